import type { ValueRules } from '../../device/options.ts';

/** How one signal of one device is read from, and written to, a line of text. */
export interface SerialBinding {
  readonly device: string;
  readonly signal: string;
  /** Regular expression for a whole line; the value is the group named `value`, else the first group, else the match. */
  readonly match?: string | undefined;
  /** What is written for a value: `LAMP={value}\n`. Without it the signal cannot be written. */
  readonly write?: string | undefined;
  /** The signal's values, so that a write translates back: `{ "1": true }` writes `1` for true. */
  readonly values?: ValueRules | undefined;
}

/** How a port is opened. */
export interface SerialLineOptions {
  readonly baud: number;
  readonly dataBits?: 5 | 6 | 7 | 8 | undefined;
  readonly parity?: 'none' | 'even' | 'odd' | undefined;
  readonly stopBits?: 1 | 1.5 | 2 | undefined;
  readonly rtscts?: boolean | undefined;
  /** Whether closing the port drops DTR, which resets most Arduinos at the next opening. Default true, as the system's. */
  readonly hupcl?: boolean | undefined;
}

/** One serial port. All times are milliseconds. */
export interface SerialSourceOptions extends SerialLineOptions {
  readonly id: string;
  /** Path of the device node; best one of `/dev/serial/by-id/`. */
  readonly port: string;
  /** Longest line, in characters, that is given to the regular expressions; longer ones are counted and dropped. Default 1024. */
  readonly maxLine?: number | undefined;
  /** Without any byte for this long the port is closed and opened again. Default: never. */
  readonly silence?: number | undefined;
  /** How long a write may take. Default 5 s. */
  readonly writeTimeout?: number | undefined;
  readonly bindings: readonly SerialBinding[];
}
