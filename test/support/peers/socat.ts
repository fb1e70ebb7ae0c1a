/** A serial line without hardware: two ptys joined by socat. Ours to open is `port`; the test is the board behind it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Program, startProgram, within } from './program.ts';

/** The name under which `needs` looks for it. */
export const SOCAT = 'socat';

export interface SerialPair {
  /** The device path for the product. */
  readonly port: string;
  readonly program: Program;
  /** The board speaks. */
  write(bytes: string | Buffer): Promise<void>;
  /** What the board has heard so far. */
  heard(): string;
  /** Resolves once what the board has heard matches. */
  hears(pattern: RegExp, ms?: number): Promise<string>;
  /** Pulls the plug: both ptys vanish. */
  unplug(): Promise<void>;
  /** Plugs a board in again, at the same path. */
  plug(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes the pair and waits until both ends are there. */
export async function startSerialPair(): Promise<SerialPair> {
  const home = mkdtempSync(join(tmpdir(), 'presentity-pty-'));
  const port = join(home, 'port');
  const board = join(home, 'board');
  let program: Program;
  let handle: FileHandle | undefined;
  let text = '';
  const listeners = new Set<() => void>();

  const plug = async (): Promise<void> => {
    program = startProgram({
      command: SOCAT,
      args: ['-d', '-d', `pty,raw,echo=0,link=${port}`, `pty,raw,echo=0,link=${board}`],
    });
    await program.line(/starting data transfer loop/);
    const opened = await open(board, 'r+');
    handle = opened;
    void listen(opened);
  };
  const listen = async (from: FileHandle): Promise<void> => {
    const bytes = Buffer.alloc(4096);
    try {
      for (;;) {
        const { bytesRead } = await from.read(bytes, 0, bytes.length, null);
        if (bytesRead === 0) return;
        text += bytes.toString('utf8', 0, bytesRead);
        for (const listener of [...listeners]) listener();
      }
    } catch {
      // The line is cut.
    }
  };
  const unplug = async (): Promise<void> => {
    // Ending socat hangs the line up, which also ends the read that waits on the board's side.
    await program.stop();
    await handle?.close().catch(() => {});
    handle = undefined;
  };

  await plug();
  return {
    port,
    get program() {
      return program;
    },
    async write(bytes) {
      await handle?.write(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
    },
    heard: () => text,
    hears(pattern, ms = 5_000) {
      if (pattern.test(text)) return Promise.resolve(text);
      let listener: (() => void) | undefined;
      const found = new Promise<string>((resolve) => {
        listener = () => {
          if (pattern.test(text)) resolve(text);
        };
        listeners.add(listener);
      });
      return within(
        found,
        ms,
        () => `${pattern} on the serial line; heard: ${JSON.stringify(text.slice(-300))}`,
      ).finally(() => listener && listeners.delete(listener));
    },
    unplug,
    plug,
    async stop() {
      await unplug();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
