/** One device as the watcher sees it. */
export interface Row {
  name: string;
  /** What the last NOTIFY said. */
  state: 'open' | 'closed' | 'unknown' | 'gone';
  note: string;
  /** Seconds since the last NOTIFY that changed it. */
  age: number;
}

export interface Screen {
  /** Draws the table of devices again; only on a terminal. */
  table(rows: readonly Row[]): void;
  /** One line of traffic. */
  line(text: string): void;
  /** Lines that stay above the table. */
  say(text: string): void;
  close(): void;
}

/** Where a screen is drawn. */
export interface Out {
  out(text: string): void;
  /** Whether it is a terminal. */
  terminal: boolean;
  columns(): number;
  rows(): number;
}

const MARK: Record<Row['state'], string> = {
  open: '\x1b[32m●\x1b[0m',
  closed: '\x1b[31m●\x1b[0m',
  unknown: '\x1b[33m○\x1b[0m',
  gone: '\x1b[90m○\x1b[0m',
};

/** How many lines of traffic stay on the screen. */
const TRAFFIC_LINES = 14;

/** A live table with traffic below on a terminal; plain lines elsewhere. */
export function createScreen(out: Out): Screen {
  return out.terminal ? createLiveScreen(out) : createLineScreen(out);
}

function createLineScreen(out: Out): Screen {
  return {
    table: () => {},
    line: (text) => out.out(`${text}\n`),
    say: (text) => out.out(`${text}\n`),
    close: () => {},
  };
}

function createLiveScreen(out: Out): Screen {
  const head: string[] = [];
  let traffic: string[] = [];
  let rows: readonly Row[] = [];
  out.out('\x1b[?1049h\x1b[?25l');

  const draw = (): void => {
    const width = out.columns();
    const room = Math.max(3, Math.min(TRAFFIC_LINES, out.rows() - head.length - rows.length - 5));
    const lines = [
      ...head,
      '',
      `\x1b[1m${'  device'.padEnd(22)}${'state'.padEnd(10)}${'value'.padEnd(width - 40)}age\x1b[0m`,
      ...rows.map((row) => formatRow(row, width)),
      '',
      `\x1b[1m  traffic\x1b[0m`,
      ...traffic.slice(-room).map((line) => fit(`  ${line}`, width)),
    ];
    out.out(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  };

  return {
    table(next) {
      rows = next;
      draw();
    },
    line(text) {
      traffic = [...traffic.slice(-TRAFFIC_LINES), text];
      draw();
    },
    say(text) {
      head.push(...text.split('\n'));
      draw();
    },
    close: () => out.out('\x1b[?25h\x1b[?1049l'),
  };
}

function formatRow(row: Row, width: number): string {
  const note = fit(row.note, width - 42).padEnd(width - 40);
  return `${MARK[row.state]} ${fit(row.name, 19).padEnd(20)}${row.state.padEnd(10)}${note}${row.age.toFixed(0)} s`;
}

function fit(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
