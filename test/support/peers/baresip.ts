/** A baresip phone without a screen: registers, watches its contacts, chats. Steered over its control port. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { type Program, startProgram, within } from './program.ts';

/** The name under which `needs` looks for it. */
export const BARESIP = 'baresip';

export interface BaresipOptions {
  user: string;
  password: string;
  domain: string;
  /** Of the server, on 127.0.0.1. */
  port: number;
  protocol?: 'udp' | 'tcp';
  /** Names and addresses of the buddies that it watches; the first is the one that it chats with. */
  buddies: Readonly<Record<string, string>>;
}

export interface Baresip {
  readonly program: Program;
  /** What it shows of a buddy (`Online`, `Offline`, `Busy`, `Unknown`), once that is `wanted`. */
  shows(buddy: string, wanted: string, ms?: number): Promise<void>;
  /** Writes to the first buddy. */
  say(text: string): Promise<void>;
  /** Calls that address. */
  dial(uri: string): Promise<void>;
  stop(): Promise<void>;
}

const MODULES = ['/usr/lib/baresip/modules', '/usr/local/lib/baresip/modules'];

export async function startBaresip(options: BaresipOptions): Promise<Baresip> {
  const { user, password, domain, port, protocol = 'udp', buddies } = options;
  const home = mkdtempSync(join(tmpdir(), 'presentity-baresip-'));
  const control = await freePort();
  const config = [
    'poll_method poll',
    'sip_listen 127.0.0.1:0',
    `module_path ${MODULES[0]}`,
    'module stdio.so',
    'module g711.so',
    'module_tmp account.so',
    'module_app contact.so',
    'module_app menu.so',
    'module_app presence.so',
    'module_app ctrl_tcp.so',
    `ctrl_tcp_listen 127.0.0.1:${control}`,
  ];
  writeFileSync(join(home, 'config'), `${config.join('\n')}\n`);
  const outbound = `sip:127.0.0.1:${port};transport=${protocol}`;
  writeFileSync(
    join(home, 'accounts'),
    `<sip:${user}@${domain};transport=${protocol}>;auth_pass=${password};outbound="${outbound}";regint=600\n`,
  );
  const contacts = Object.entries(buddies).map(([name, aor]) => `"${name}" <${aor}>;presence=p2p`);
  writeFileSync(join(home, 'contacts'), `${contacts.join('\n')}\n`);

  const program = startProgram({ command: BARESIP, args: ['-f', home], env: { HOME: home } });
  await program.line(/baresip is ready/);
  const link = await openControl(control);

  const shown = async (buddy: string): Promise<string | undefined> => {
    const text = (await link.ask('contacts')).replace(/\u001b\[[0-9;]*m/g, '');
    const line = text.split('\n').find((one) => one.includes(` ${buddy} <`));
    return line?.replace(/^[>\s]+/, '').split(/\s+/)[0];
  };

  return {
    program,
    async shows(buddy, wanted, ms = 8_000) {
      const end = performance.now() + ms;
      for (;;) {
        const now = await shown(buddy);
        if (now === wanted) return;
        if (performance.now() > end) throw new Error(`baresip shows ${buddy} as ${now}, not ${wanted}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async say(text) {
      await link.ask('message', text);
    },
    async dial(uri) {
      await link.ask('dial', uri);
    },
    async stop() {
      link.close();
      // It says good-bye to everybody first; nobody here waits for that.
      await program.stop(500);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

interface Control {
  ask(command: string, params?: string): Promise<string>;
  close(): void;
}

/** Its control port speaks JSON in netstrings. */
async function openControl(port: number): Promise<Control> {
  const socket: Socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const waiting = new Map<string, (data: string) => void>();
  let rest = Buffer.alloc(0);
  let tokens = 0;
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const colon = rest.indexOf(':');
      const length = Number(rest.subarray(0, Math.max(0, colon)).toString());
      if (colon < 0 || rest.length < colon + length + 2) return;
      const message = JSON.parse(rest.subarray(colon + 1, colon + 1 + length).toString()) as {
        token?: string;
        data?: string;
      };
      rest = rest.subarray(colon + length + 2);
      if (message.token !== undefined) waiting.get(message.token)?.(message.data ?? '');
    }
  });
  return {
    ask(command, params = '') {
      const token = String(++tokens);
      const json = JSON.stringify({ command, params, token });
      const answer = new Promise<string>((resolve) => waiting.set(token, resolve));
      socket.write(`${Buffer.byteLength(json)}:${json},`);
      return within(answer, 5_000, `baresip's answer to ${command}`);
    },
    close: () => socket.destroy(),
  };
}
