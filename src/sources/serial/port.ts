import type { SerialLineOptions } from './options.ts';

/** An open serial port. */
export interface PortHandle {
  /** Resolves when the system has taken all bytes, which is before they are on the line. */
  write(bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** What an open port tells. */
export interface PortEvents {
  data(chunk: Buffer): void;
  /** Once, unless `close` was called: the other end is gone. */
  closed(error: Error | undefined): void;
}

/** Opens a port, or rejects with what the system says, in words: the npm package gives its errors no codes. */
export type OpenPort = (path: string, line: SerialLineOptions, events: PortEvents) => Promise<PortHandle>;

/** What this room needs of a port class of npm serialport; its mock is one too. */
export interface SerialPortLike {
  write(bytes: Buffer, done: (error: Error | null | undefined) => void): unknown;
  close(done: (error: Error | null) => void): void;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'close', listener: (error: Error | null | undefined) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export type SerialPortClass<Port extends SerialPortLike = SerialPortLike> = new (
  options: {
    path: string;
    baudRate: number;
    dataBits: 5 | 6 | 7 | 8;
    parity: 'none' | 'even' | 'odd';
    stopBits: 1 | 1.5 | 2;
    rtscts: boolean;
    hupcl: boolean;
    lock: boolean;
    highWaterMark: number;
  },
  opened: (error: Error | null) => void,
) => Port;

/** Bytes of the read buffer; the package's own default of 64 KiB per port is for cameras, not for sensors. */
const READ_BUFFER = 4_096;

/** Opens ports with a class of npm serialport. */
export function openWith(Port: SerialPortClass): OpenPort {
  return (path, line, events) =>
    new Promise((resolve, reject) => {
      let closing = false;
      const port = new Port(
        {
          path,
          baudRate: line.baud,
          dataBits: line.dataBits ?? 8,
          parity: line.parity ?? 'none',
          stopBits: line.stopBits ?? 1,
          rtscts: line.rtscts ?? false,
          hupcl: line.hupcl ?? true,
          lock: true,
          highWaterMark: READ_BUFFER,
        },
        (error) => {
          if (error) reject(error);
          else resolve(handle);
        },
      );
      const handle: PortHandle = {
        write: (bytes) =>
          new Promise((done, failed) => {
            port.write(bytes, (error) => (error ? failed(error) : done()));
          }),
        close: () =>
          new Promise((done) => {
            closing = true;
            // Closing what is closed already is no error worth hearing.
            port.close(() => done());
          }),
      };
      port.on('data', (chunk) => {
        if (!closing) events.data(chunk);
      });
      port.on('error', () => {
        // What matters comes as the end of opening, of a write, or as a close.
      });
      port.on('close', (error) => {
        if (!closing) events.closed(error ?? undefined);
        closing = true;
      });
    });
}

/** Opens ports of the machine. The package is loaded with the first one. */
export const openSystemPort: OpenPort = async (path, line, events) => {
  const module: { SerialPort?: unknown; default?: unknown } = await import('serialport');
  // CommonJS, which every loader and bundler wraps in its own way.
  const { SerialPort } = (module.SerialPort ? module : module.default) as { SerialPort: SerialPortClass };
  return openWith(SerialPort)(path, line, events);
};
