/** A Kamailio of its own for a test: on loopback, in the foreground, with tables in a directory that it takes along. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answersOptions } from './answers-options.ts';
import { freePort } from './free-port.ts';
import { type KamailioSettings, kamailioConfig, TRACE } from './kamailio.cfg.ts';
import { type Program, startProgram } from './program.ts';
import { type Watched, watched } from './watched.ts';

/** The name under which `needs` looks for it. */
export const KAMAILIO = 'kamailio';

export interface Traced {
  /** in: what it was sent; out: a request that it made itself (NOTIFY). Relayed messages count as in. */
  direction: 'in' | 'out';
  text: string;
}

export interface Kamailio {
  readonly port: number;
  /** 0: none. */
  readonly tlsPort: number;
  readonly domain: string;
  /** Requests since the start; responses are not among them. Its log may lag behind its answers. */
  readonly traced: Watched<Traced>;
  readonly program: Program;
  stop(): Promise<void>;
  /** Ends it at once, as a power cut does, and forgets nothing: `start` with the same port and tables continues. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export type KamailioOptions = Partial<
  Pick<
    KamailioSettings,
    | 'domain'
    | 'users'
    | 'algorithm'
    | 'maxExpires'
    | 'nonceExpire'
    | 'cleanPeriod'
    | 'mayNotSubscribe'
    | 'outbound'
    | 'stun'
  >
> & {
  /** PEM texts: it listens by TLS as well. */
  readonly tls?: { cert: string; key: string; ca: string; clients?: boolean };
};

const TABLES = ['/usr/share/kamailio/dbtext/kamailio', '/usr/local/share/kamailio/dbtext/kamailio'];
const MODULES = [
  '/usr/lib/x86_64-linux-gnu/kamailio/modules',
  '/usr/lib/aarch64-linux-gnu/kamailio/modules',
  '/usr/lib/arm-linux-gnueabihf/kamailio/modules',
  '/usr/lib/kamailio/modules',
  '/usr/lib64/kamailio/modules',
];

/** Starts it and waits until it listens. Tests that call this are declared with `needs(['kamailio'], …)`. */
export async function startKamailio(options: KamailioOptions = {}): Promise<Kamailio> {
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), 'presentity-kamailio-'));
  const tables = join(home, 'tables');
  const source = TABLES.find((path) => existsSync(join(path, 'presentity')));
  const modules = MODULES.find((path) => existsSync(join(path, 'presence.so')));
  if (source === undefined || modules === undefined)
    throw new Error('kamailio is here without its presence modules or text tables');
  mkdirSync(tables);
  for (const table of ['version', 'presentity', 'active_watchers', 'watchers', 'xcap'])
    cpSync(join(source, table), join(tables, table));

  const tlsPort = options.tls === undefined ? 0 : await freePort();
  const pem = (name: 'cert' | 'key' | 'ca'): string => {
    const path = join(home, `${name}.pem`);
    writeFileSync(path, options.tls?.[name] ?? '', { mode: 0o600 });
    return path;
  };
  const domain = options.domain ?? 'test.local';
  const config = join(home, 'kamailio.cfg');
  writeFileSync(
    config,
    kamailioConfig({
      port,
      domain,
      users: options.users ?? { alice: 'wonder', gateway7: 'pump', lamp: 'light' },
      tables,
      modules,
      algorithm: options.algorithm ?? 'MD5',
      nonceExpire: options.nonceExpire ?? 300,
      maxExpires: options.maxExpires ?? 3600,
      cleanPeriod: options.cleanPeriod ?? 2,
      mayNotSubscribe: options.mayNotSubscribe ?? [],
      outbound: options.outbound ?? false,
      stun: options.stun ?? false,
      tls: options.tls && {
        port: tlsPort,
        cert: pem('cert'),
        key: pem('key'),
        ca: pem('ca'),
        clients: options.tls.clients ?? false,
      },
    }),
  );

  const traced = watched<Traced>();
  const launch = async (): Promise<Program> => {
    const program = startProgram({
      command: KAMAILIO,
      // -DD: in the foreground, workers as children; -E: log to standard error.
      args: ['-f', config, '-DD', '-E', '-m', '32', '-M', '4', '-Y', home, '-P', join(home, 'pid')],
      group: true,
      env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` },
    });
    program.onLine((line) => {
      const found = TRACE.exec(line);
      if (!found) return;
      traced.add({
        direction: found[1] === 'in' ? 'in' : 'out',
        text: Buffer.from(found[2] ?? '', 'hex').toString('utf8'),
      });
    });
    await Promise.race([
      answersOptions(port),
      program.ended.then((status) => {
        throw new Error(`kamailio ended with ${status}:\n${program.lines.slice(-20).join('\n')}`);
      }),
    ]);
    return program;
  };

  let program = await launch();
  const clear = (): void => rmSync(home, { recursive: true, force: true });
  return {
    port,
    tlsPort,
    domain,
    traced,
    get program() {
      return program;
    },
    async stop() {
      await program.stop();
      clear();
    },
    async kill() {
      program.signal('SIGKILL');
      await program.ended;
    },
    async restart() {
      program = await launch();
    },
  };
}
