/** A Mosquitto broker of its own for a test, and its two clients. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { type Program, startProgram } from './program.ts';

/** The names under which `needs` looks for them. */
export const MOSQUITTO: readonly string[] = ['mosquitto', 'mosquitto_pub', 'mosquitto_sub'];

export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  readonly program: Program;
  publish(topic: string, payload: string, options?: { retain?: boolean; qos?: 0 | 1 | 2 }): Promise<void>;
  /** `mosquitto_sub`, subscribed: each message is a line `TOPIC PAYLOAD`. Stop it yourself. */
  subscribe(topic: string): Promise<Program>;
  /** Ends the broker at once, as a power cut does; what was retained is gone. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface MosquittoOptions {
  port?: number;
  /** User name to password; without any, everybody may come in. */
  users?: Readonly<Record<string, string>>;
}

const run = promisify(execFile);
const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` };

/** Starts it and waits until it listens. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const port = options.port ?? (await freePort());
  const home = mkdtempSync(join(tmpdir(), 'presentity-mosquitto-'));
  const config = join(home, 'mosquitto.conf');
  const lines = [`listener ${port} 127.0.0.1`, 'persistence false', 'log_dest stderr', 'log_type all'];
  const users = Object.entries(options.users ?? {});
  if (users.length === 0) lines.push('allow_anonymous true');
  else {
    const passwords = join(home, 'passwords');
    writeFileSync(passwords, '', { mode: 0o600 });
    for (const [user, password] of users)
      await run('mosquitto_passwd', ['-b', passwords, user, password], { env: environment });
    lines.push('allow_anonymous false', `password_file ${passwords}`);
    // Started by root it gives its rights up before it reads the file.
    lines.push(`user ${process.getuid?.() === 0 ? 'root' : 'mosquitto'}`);
  }
  writeFileSync(config, `${lines.join('\n')}\n`);

  const launch = async (): Promise<Program> => {
    const program = startProgram({
      command: 'mosquitto',
      args: ['-c', config],
      env: { PATH: environment.PATH },
    });
    await program.line(/mosquitto version .* running/);
    return program;
  };
  let program = await launch();
  let subscribers = 0;
  const [first] = users;
  const client = ['-h', '127.0.0.1', '-p', String(port), ...(first ? ['-u', first[0], '-P', first[1]] : [])];

  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    get program() {
      return program;
    },
    async publish(topic, payload, { retain = false, qos = 0 } = {}) {
      await run('mosquitto_pub', [
        ...client,
        '-t',
        topic,
        '-q',
        String(qos),
        ...(retain ? ['-r'] : []),
        ...(payload === '' ? ['-n'] : ['-m', payload]),
      ]);
    },
    async subscribe(topic) {
      subscribers += 1;
      const id = `test-${subscribers}`;
      const subscriber = startProgram({
        command: 'mosquitto_sub',
        args: [...client, '-i', id, '-v', '-t', topic],
      });
      await program.line(new RegExp(`Sending SUBACK to ${id}$`));
      return subscriber;
    },
    async kill() {
      program.signal('SIGKILL');
      await program.ended;
    },
    async restart() {
      program = await launch();
    },
    async stop() {
      await program.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
