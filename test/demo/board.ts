import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../support/installed.ts';

/** The microcontroller of the demo: it reports a door and obeys `LAMP=on` and `LAMP=off`. */
export interface Board {
  /** The path that a serial port is opened by. */
  readonly port: string;
  /** What the path is: a pty, or a mock inside this process. */
  readonly kind: 'pty' | 'mock';
  setDoor(state: 'open' | 'shut'): void;
  readonly lamp: 'on' | 'off';
  close(): Promise<void>;
}

/** What carries the board's lines. */
interface Wire {
  readonly port: string;
  readonly kind: Board['kind'];
  write(line: string): void;
  onLine(listener: (line: string) => void): void;
  close(): Promise<void>;
}

/** A board on a real pty where socat is installed, else on serialport's mock binding. */
export async function startBoard(): Promise<Board> {
  const wire = installed('socat') ? await ptyWire() : await mockWire();
  let lamp: 'on' | 'off' = 'off';
  wire.onLine((line) => {
    const match = /^LAMP=(on|off)$/.exec(line.trim());
    if (!match) return;
    lamp = match[1] === 'on' ? 'on' : 'off';
    wire.write(`LAMP=${lamp}\r\n`);
  });
  return {
    port: wire.port,
    kind: wire.kind,
    setDoor: (state) => wire.write(`DOOR=${state}\r\nLAMP=${lamp}\r\n`),
    get lamp() {
      return lamp;
    },
    close: () => wire.close(),
  };
}

/** The far end of a pty that socat holds open; its pipes are the board's pins. */
async function ptyWire(): Promise<Wire> {
  const folder = mkdtempSync(join(tmpdir(), 'presentity-demo-'));
  const port = join(folder, 'ttyBOARD');
  const socat: ChildProcess = spawn('socat', ['-d', '-d', `PTY,link=${port},raw,echo=0`, 'STDIO'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C is for the demo, which ends socat last. Should the demo be killed, socat ends with its stdin.
    detached: true,
  });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    socat.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (/starting data transfer loop/.test(said)) resolve();
    });
    socat.once('error', reject);
    socat.once('exit', (status) => reject(new Error(`socat ended with ${status}: ${said}`)));
  });
  return {
    port,
    kind: 'pty',
    write: (line) => void socat.stdin?.write(line),
    onLine: (listener) => splitLines((take) => socat.stdout?.on('data', take), listener),
    async close() {
      if (socat.exitCode === null && socat.signalCode === null) {
        const gone = new Promise((resolve) => socat.once('exit', resolve));
        socat.kill();
        await gone;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** serialport's mock binding: no pty, but the same stream that a real port has. */
async function mockWire(): Promise<Wire> {
  const { MockBinding } = await import('@serialport/binding-mock');
  const port = '/dev/ttyMOCK';
  MockBinding.createPort(port, { echo: false, record: false });
  const opened: { emitData(data: Buffer): void; isOpen: boolean }[] = [];
  const listeners: ((chunk: Buffer) => void)[] = [];
  const open = MockBinding.open.bind(MockBinding);
  // The mock keeps the open port to itself; the board must speak into it and hear what is written to it.
  MockBinding.open = async (options) => {
    const binding = await open(options);
    const write = binding.write.bind(binding);
    binding.write = async (bytes: Buffer) => {
      await write(bytes);
      for (const listener of listeners) listener(bytes);
    };
    opened.push(binding);
    return binding;
  };
  return {
    port,
    kind: 'mock',
    write: (line) => {
      for (const binding of opened) if (binding.isOpen) binding.emitData(Buffer.from(line));
    },
    onLine: (listener) => splitLines((take) => void listeners.push(take), listener),
    close: async () => MockBinding.reset(),
  };
}

/** The longest line that the board takes. */
const LONGEST_LINE = 256;

function splitLines(from: (take: (chunk: Buffer) => void) => void, listener: (line: string) => void): void {
  let rest = '';
  from((chunk) => {
    rest += chunk.toString('latin1');
    const lines = rest.split('\n');
    rest = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) listener(line);
  });
}
