/** The rate of a transactional server over that of a bare echo with the same sizes; CPU of the server's process only. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { startProgram } from '../support/peers/program.ts';
import { type Figure, middle } from './figure.ts';
import { leanFlags } from './flags.ts';
import { createRequestLoad } from './request-load.ts';

const GOAL = 0.6;
/** Requests of a burst; over TCP as many connections. The buffer of a UDP socket has to hold them. */
const BURST = 64;
/** Requests that warm the server up, until the compiler is done with it, and those that count. */
const WARM_UP = 24_000;
const COUNTED = 16_000;
/** How often both take their turn. */
const TURNS = 3;

interface Served {
  /** CPU microseconds per request. */
  readonly cost: number;
  readonly answerBytes: number;
}

export async function uasFigures(say: (text: string) => void): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'uas-rate-'));
  try {
    const server = join(folder, 'serve.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'serve.ts')],
      bundle: true,
      outfile: server,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      minify: true,
    });
    const all: Figure[] = [];
    for (const [variant, flags] of [
      ['plain node', []],
      ['lean flags', leanFlags()],
    ] as const) {
      for (const protocol of ['tcp', 'udp'] as const) {
        say(`MESSAGE answered with 200 over ${protocol}, ${variant}`);
        const uas: number[] = [];
        const echo: number[] = [];
        for (let turn = 0; turn < TURNS; turn += 1) {
          const ours = await serve(server, flags, 'uas', protocol, undefined);
          uas.push(ours.cost);
          echo.push((await serve(server, flags, 'echo', protocol, ours.answerBytes)).cost);
        }
        all.push({
          name: `MESSAGE answered a CPU second, ${protocol}, ${variant}`,
          unit: '',
          ours: 1_000_000 / middle(uas),
          base: { value: 1_000_000 / middle(echo), of: 'bare echo' },
          as: 'ratio',
          goal: { atLeast: GOAL },
          note: `${middle(uas).toFixed(1)} µs each`,
        });
      }
    }
    return all;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function serve(
  program: string,
  flags: readonly string[],
  kind: 'uas' | 'echo',
  protocol: 'udp' | 'tcp',
  answerBytes: number | undefined,
): Promise<Served> {
  const args = [...flags, '--no-warnings', program, kind, protocol];
  if (answerBytes !== undefined) args.push(String(answerBytes));
  const server = startProgram({ command: process.execPath, args });
  try {
    const { port } = JSON.parse(await server.line(/^\{"port"/)) as { port: number };
    const answer = kind === 'uas' ? 'SIP/2.0 200 OK\r\n' : undefined;
    const load = await createRequestLoad({
      protocol,
      port,
      burst: BURST,
      answer,
      hold: (held) => process.kill(server.pid, held ? 'SIGSTOP' : 'SIGCONT'),
    });
    try {
      const told = async (answered: number): Promise<number> => {
        server.write('\n');
        const line = await server.line(new RegExp(`^\\{"answered":${answered},`));
        return (JSON.parse(line) as { cpu: number }).cpu;
      };
      await load.run(WARM_UP);
      const before = await told(WARM_UP);
      await load.run(COUNTED);
      const after = await told(WARM_UP + COUNTED);
      return { cost: (after - before) / COUNTED, answerBytes: load.answerBytes };
    } finally {
      load.close();
    }
  } finally {
    await server.stop();
  }
}
