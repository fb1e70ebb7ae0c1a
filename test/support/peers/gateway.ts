/** The product itself as a user runs it: the built program, a configuration file, directories of its own. */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answersOptions } from './answers-options.ts';
import { freePort } from './free-port.ts';
import { type Program, startProgram } from './program.ts';
import { TAP_HOST } from './tap.ts';

/** What `make build` leaves, or another build by its path. */
export const PRESENTITY =
  process.env.PRESENTITY_PROGRAM ?? join(import.meta.dirname, '..', '..', '..', 'dist', 'presentity');

export interface Gateway {
  readonly program: Program;
  /** The directory that configuration, secrets and state lie in. */
  readonly home: string;
  /** Changes the configuration file; the running process is not told. */
  configure(yaml: string): void;
  start(): Program;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
  /** `presentity status --json`, parsed. */
  status(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  /** The file, less `data` and `runtime`, which are added. */
  config: string;
  /** Files beside it: name to content. */
  files?: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
}

export function startGateway(options: GatewayOptions): Gateway {
  if (!existsSync(PRESENTITY)) throw new Error('dist/presentity is not built: make build');
  const home = mkdtempSync(join(tmpdir(), 'presentity-gateway-'));
  const file = join(home, 'presentity.yaml');
  mkdirSync(join(home, 'data'));
  mkdirSync(join(home, 'run'));
  for (const [name, content] of Object.entries(options.files ?? {})) {
    writeFileSync(join(home, name), content);
    chmodSync(join(home, name), 0o600);
  }
  const configure = (yaml: string): void =>
    writeFileSync(file, `${yaml}\ndata: ${join(home, 'data')}\nruntime: ${join(home, 'run')}\n`);
  const start = (): Program =>
    startProgram({
      command: PRESENTITY,
      args: ['run', '-c', file],
      ...(options.env === undefined ? {} : { env: options.env }),
    });
  configure(options.config);
  let program = start();
  return {
    get program() {
      return program;
    },
    home,
    configure,
    start() {
      program = start();
      return program;
    },
    async kill() {
      program.signal('SIGKILL');
      await program.ended;
    },
    status: async () => JSON.parse(await presentity(['status', '--json', '-c', file])),
    async stop() {
      await program.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface EdgeProgram {
  readonly port: number;
  readonly domain: string;
  readonly program: Program;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** `presentity edge` with flags, on a free port, UDP and TCP. */
export async function startEdge(
  users: Readonly<Record<string, string>>,
  options: { notifyInterval?: number } = {},
): Promise<EdgeProgram> {
  if (!existsSync(PRESENTITY)) throw new Error('dist/presentity is not built: make build');
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), 'presentity-edge-'));
  const domain = 'test.local';
  const args = [
    'edge',
    ...['--listen', `udp:127.0.0.1:${port}`, '--listen', `tcp:127.0.0.1:${port}`],
    // The address of a tap is its own too, or it would take the agent's Route for another proxy's.
    ...['--domain', domain, '--domain', TAP_HOST, '--data', home],
    ...(options.notifyInterval === undefined ? [] : ['--notify-interval', String(options.notifyInterval)]),
    ...Object.entries(users).flatMap(([user, password]) => ['--user', `${user}:${password}`]),
  ];
  const launch = async (): Promise<Program> => {
    const program = startProgram({ command: PRESENTITY, args });
    await Promise.race([
      answersOptions(port),
      program.ended.then((status) => {
        throw new Error(`presentity edge ended with ${status}:\n${program.lines.join('\n')}`);
      }),
    ]);
    return program;
  };
  let program = await launch();
  return {
    port,
    domain,
    get program() {
      return program;
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

/** Runs a short verb; its standard output. Rejects when it fails without having said anything there. */
export function presentity(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(PRESENTITY, args, { timeout: 15_000 }, (error, stdout, stderr) => {
      if (error && stdout === '')
        reject(new Error(`presentity ${args.join(' ')}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}
