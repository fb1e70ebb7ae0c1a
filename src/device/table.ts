import type { CodedError } from '../base/errors.ts';
import { deviceErrors } from './errors.ts';
import { evaluate, type Seen, settle, type View, withHysteresis } from './evaluate.ts';
import { type Comparison, type Expression, parseExpression } from './expression.ts';
import type { DeviceOptions } from './options.ts';
import type { Glance, Signal } from './signal.ts';
import type { Cause, DeviceState } from './state.ts';
import {
  formatMeasure,
  formatValue,
  namesIn,
  parseTemplate,
  renderTemplate,
  type Template,
} from './template.ts';

interface Row {
  readonly when: Expression | undefined;
  readonly basic: 'open' | 'closed';
  readonly activity: string | undefined;
  readonly note: Template | undefined;
  /** The signals that its note shows. */
  readonly shows: readonly string[];
}

/** A state table, read. */
export interface Table {
  readonly rows: readonly Row[];
  /** The comparisons that need a memory. */
  readonly hysteresis: readonly Comparison[];
}

/** What the rules say of a device. */
export type Verdict = Pick<DeviceState, 'reach' | 'note' | 'activity' | 'cause'>;

export type Memory = Map<Comparison, boolean>;

/**
 * Reads the rules of a device.
 * @throws CodedError DEV_RULE_SYNTAX, DEV_TEMPLATE_SYNTAX
 */
function readTable(options: DeviceOptions): Table {
  const names = Object.keys(options.signals);
  const hysteresis = (name: string): number => options.signals[name]?.hysteresis ?? 0;
  const rows = (options.states ?? []).map((row): Row => {
    const note = row.note === undefined ? undefined : parseTemplate(row.note, names);
    return {
      when: row.when === undefined ? undefined : parseExpression(row.when, options.signals),
      basic: row.basic ?? 'open',
      activity: row.activity,
      note,
      shows: note ? [...new Set(namesIn(note))] : [],
    };
  });
  // Without rows the device is fine while every signal is known, and its note lists them.
  if (rows.length === 0)
    rows.push({ when: undefined, basic: 'open', activity: undefined, note: undefined, shows: names });
  return {
    rows,
    hysteresis: rows.flatMap((row) => (row.when ? withHysteresis(row.when, hysteresis) : [])),
  };
}

/** Reads the rules of many devices; those of one kind share their table, since fleets are many of a few kinds. */
export function createTables(): (options: DeviceOptions) => Table {
  const tables = new Map<string, Table>();
  return (options) => {
    const shape = Object.entries(options.signals).map(([name, rules]) => [
      name,
      rules.values,
      rules.hysteresis,
    ]);
    const key = JSON.stringify([options.states, shape]);
    let table = tables.get(key);
    if (!table) {
      table = readTable(options);
      tables.set(key, table);
    }
    return table;
  };
}

/** Applies the rules to signals as they are shown. `memory` is brought up to date. */
export function judge(
  table: Table,
  signals: ReadonlyMap<string, Signal>,
  memory: Memory | undefined,
): Verdict {
  const now = viewOf(signals, memory, (shown) => shown);
  if (memory) settle(table.hysteresis, now, memory);
  const { row, cause } = decide(table, signals, now);
  if (!cause) {
    return {
      reach: row?.basic === 'closed' ? 'unreachable' : 'reachable',
      note: noteOf(row, signals),
      activity: row?.activity,
      cause: undefined,
    };
  }
  const last = lastKnown(table, signals, memory);
  return {
    reach: 'unknown',
    note: last === undefined ? cause.text : `${cause.text}; last known: ${last}`,
    activity: undefined,
    cause,
  };
}

/** The first row that is true, or the cause for which the first row that is not false cannot be told. */
function decide(
  table: Table,
  signals: ReadonlyMap<string, Signal>,
  view: View,
): { row?: Row; cause?: Cause } {
  // Whatever the rules say: a device of which nothing at all is known is unknown.
  const nothing = noneKnown(signals, view);
  if (nothing) return { cause: nothing };
  for (const row of table.rows) {
    const truth = row.when ? evaluate(row.when, view) : true;
    if (truth === false) continue;
    if (truth !== true) return { cause: truth };
    const hidden = row.shows.map((name) => view.signal(name)).find((seen) => !seen.known);
    return hidden?.cause ? { cause: hidden.cause } : { row };
  }
  return {};
}

function noneKnown(signals: ReadonlyMap<string, Signal>, view: View): Cause | undefined {
  let first: Cause | undefined;
  for (const name of signals.keys()) {
    const seen = view.signal(name);
    if (seen.known) return undefined;
    first ??= seen.cause;
  }
  return first ?? causeOf(deviceErrors.NO_SIGNALS());
}

/** What the note would be if the last valid values still held. */
function lastKnown(
  table: Table,
  signals: ReadonlyMap<string, Signal>,
  memory: Memory | undefined,
): string | undefined {
  const then = viewOf(signals, memory, ({ value, cause }) => ({ known: value !== undefined, value, cause }));
  const { row, cause } = decide(table, signals, then);
  return (cause ? listOf(signals) : noteOf(row, signals)) || undefined;
}

function noteOf(row: Row | undefined, signals: ReadonlyMap<string, Signal>): string {
  if (!row?.note) return listOf(signals);
  return renderTemplate(row.note, (name, decimals) => {
    const signal = signals.get(name);
    const value = signal?.shown.value;
    return signal === undefined || value === undefined
      ? '?'
      : formatValue(value, decimals ?? signal.options.decimals);
  });
}

/** Every value, for a note that nobody wrote. */
function listOf(signals: ReadonlyMap<string, Signal>): string {
  const texts: string[] = [];
  for (const { name, shown, options } of signals.values()) {
    if (shown.value === undefined) continue;
    const text = formatMeasure(shown.value, options.decimals, options.unit);
    texts.push(signals.size === 1 ? text : `${name} ${text}`);
  }
  return texts.join(', ');
}

function viewOf(
  signals: ReadonlyMap<string, Signal>,
  memory: Memory | undefined,
  see: (shown: Glance) => Seen,
): View {
  return {
    signal(name) {
      const signal = signals.get(name);
      return signal ? see(signal.shown) : { known: false, value: undefined, cause: undefined };
    },
    hysteresis: (name) => signals.get(name)?.options.hysteresis ?? 0,
    memory,
  };
}

function causeOf(error: CodedError): Cause {
  return { code: error.code, text: error.message };
}
