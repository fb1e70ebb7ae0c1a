import { connectControl } from '../control/client.ts';
import type { StatusReport } from '../control/status.ts';
import { exits } from './errors.ts';
import type { Io } from './io.ts';
import { SOCKET_FLAGS, socketPath } from './socket.ts';
import { fit, formatAge, pad, printable, widthOf } from './table.ts';
import { defineVerb } from './verb.ts';

export const status = defineVerb({
  name: 'status',
  summary: 'Tells how the running gateway is.',
  usage: '[-c FILE | --socket PATH]',
  description:
    'Exit status 0: all is well; 1: something does not work; 2: nothing works; 69: it does not run.',
  flags: SOCKET_FLAGS,
  words: [0, 0],
  async run(surroundings, values) {
    const { io, clock } = surroundings;
    const client = await connectControl({ clock }, await socketPath(surroundings, values));
    const report = await client.ask('status').finally(() => client.close());
    if (values.json) io.out(JSON.stringify(report));
    else for (const line of formatStatus(report, io)) io.out(line);
    return { ok: exits.ok, degraded: exits.degraded, down: exits.down }[report.state];
  },
});

type Cell = { readonly text: string; readonly style?: Parameters<Io['style']>[0] | undefined };

/** The report as lines; on a terminal cut to its width. */
export function formatStatus(report: StatusReport, io: Io): string[] {
  const cell = (text: string, style?: Cell['style']): Cell => ({ text: printable(text), style });
  const mood = (state: string): Cell => cell(state, MOODS[state]);
  const lines: string[] = [];
  const block = (title: string, rows: Cell[][]) => {
    if (rows.length === 0) return;
    lines.push('', io.style('bold', title), ...layout(rows, io));
  };

  lines.push(
    `presentity ${report.version}  ${io.style(MOODS[report.state] ?? 'dim', report.state)}  up ${formatAge(report.uptime)}  ${Math.round(report.memory / 1_048_576)} MiB${report.config === undefined ? '' : `  ${report.config}`}`,
  );
  block(
    'accounts',
    report.accounts.map(({ id, aor, registration, state, publish, server, detail, nat }) => [
      cell(id),
      cell(aor),
      cell(registration, MOODS[state]),
      cell(publish.strategy),
      cell(server ?? ''),
      cell([detail, publish.detail, nat].filter(Boolean).join('; ')),
    ]),
  );
  block(
    'sources',
    report.sources.map(({ id, type, where, state, cause }) => [
      cell(id),
      cell(type),
      cell(where),
      mood(state),
      cell(cause ?? ''),
    ]),
  );
  block(
    'devices',
    report.devices.map(({ id, name, reach, note, age }) => [
      cell(id),
      cell(name === id ? '' : name),
      mood(reach),
      cell(note),
      cell(formatAge(age), 'dim'),
    ]),
  );
  if (report.edge) {
    const { state, domains, listen, counts, detail } = report.edge;
    const tables = ['bindings', 'publications', 'subscriptions'].flatMap((name) =>
      counts[name] === undefined ? [] : [`${counts[name]} ${name}`],
    );
    block('edge', [
      [
        cell(domains.join(', ')),
        mood(state),
        cell(listen.join(', ')),
        cell([...tables, detail].filter(Boolean).join(', ')),
      ],
    ]);
  }
  return lines;
}

const MOODS: Readonly<Record<string, NonNullable<Cell['style']>>> = {
  ok: 'good',
  up: 'good',
  reachable: 'good',
  degraded: 'doubtful',
  starting: 'doubtful',
  unknown: 'doubtful',
  down: 'bad',
  unreachable: 'bad',
};

/** Aligned columns; on a terminal the widest give way, so that no line wraps. */
function layout(rows: Cell[][], io: Io): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, { text }] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, widthOf(text));
  }
  if (io.terminal) narrow(widths, io.columns());
  return rows.map((row) => {
    const cells = row.flatMap(({ text, style }, column) => {
      const width = widths[column] ?? 0;
      if (width === 0) return [];
      const shown = pad(fit(text, width), width);
      return [style ? io.style(style, shown) : shown];
    });
    return `  ${cells.join('  ')}`.trimEnd();
  });
}

/** A column that is cut to less says nothing any more. */
const NARROWEST = 8;

/** Takes from the widest columns until a line fits; when nothing is left to take, the last columns go. */
function narrow(widths: number[], columns: number): void {
  const line = (): number => widths.reduce((sum, width) => sum + (width > 0 ? width + 2 : 0), 0);
  while (line() > columns) {
    const widest = Math.max(...widths);
    const at = widths.indexOf(widest);
    if (widest > NARROWEST) widths[at] = Math.max(NARROWEST, widest - (line() - columns));
    else {
      const last = widths.findLastIndex((width) => width > 0);
      if (last <= 0) return;
      widths[last] = 0;
    }
  }
}
