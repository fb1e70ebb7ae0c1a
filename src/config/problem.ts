import type { CodedError } from '../base/errors.ts';
import type { Path, Place } from './document.ts';

/** One thing that is wrong, where it is wrong, and what would be right. */
export interface Problem {
  readonly level: 'error' | 'warning';
  /** As the manual lists it: `CFG_UNKNOWN_KEY`. */
  readonly code: string;
  readonly text: string;
  /** What was expected, or what to do. */
  readonly remedy: string;
  /** The valid name that was probably meant. */
  readonly meant?: string;
  readonly file: string;
  /** Absent when it concerns the file as a whole. */
  readonly place?: Place;
  readonly path: Path;
}

/** Makes a problem of a coded error. */
export function problem(
  level: Problem['level'],
  error: CodedError,
  at: { file: string; place?: Place; path?: Path; meant?: string | undefined },
): Problem {
  return {
    level,
    code: error.code,
    text: error.message,
    remedy: error.remedy,
    ...(at.meant !== undefined && { meant: at.meant }),
    file: at.file,
    ...(at.place && { place: at.place }),
    path: at.path ?? [],
  };
}

/** A problem as JSON; part of the interface of the command line. */
export function plainProblem({ level, code, text, remedy, meant, place, path, file }: Problem) {
  return {
    level,
    code,
    text,
    remedy,
    ...(meant !== undefined && { meant }),
    file,
    ...(place && { line: place.line, column: place.column, length: place.length }),
    path: formatPath(path),
  };
}

/** In the order of the file; what concerns the whole file first. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) =>
      (a.place?.line ?? 0) - (b.place?.line ?? 0) ||
      (a.place?.column ?? 0) - (b.place?.column ?? 0) ||
      Number(a.level === 'warning') - Number(b.level === 'warning'),
  );
}

/** `accounts.main.aor`, `commands[2].from` */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** Wider lines are cut around the caret. */
const WIDTH = 100;

/**
 * A problem as people read it:
 *
 *     gateway.yaml:9:7: error: unknown key "topik" in devices.door.signals.open [CFG_UNKNOWN_KEY]
 *         9 |       topik: hall/door
 *           |       ^~~~~ did you mean "topic"?
 *           = one of source, topic, path
 */
export function formatProblem(problem: Problem): string {
  const { file, place, level, text, code, remedy, meant } = problem;
  const where = place ? `${file}:${place.line}:${place.column}` : file;
  const guess = meant === undefined ? '' : `did you mean "${meant}"?`;
  const rows = [`${where}: ${level}: ${text} [${code}]`];
  if (place) {
    const cut = window(place);
    // Tabs stay tabs, so that the caret stands under its character whatever their width.
    const indent = cut.text.slice(0, cut.column - 1).replace(/[^\t]/g, ' ');
    rows.push(`${String(place.line).padStart(5)} | ${cut.text}`);
    rows.push(`      | ${indent}^${'~'.repeat(Math.max(0, cut.length - 1))}${guess ? ` ${guess}` : ''}`);
  } else if (guess) {
    rows.push(`      | ${guess}`);
  }
  if (remedy) rows.push(`      = ${remedy}`);
  return rows.join('\n');
}

function window(place: Place): { text: string; column: number; length: number } {
  if (place.text.length <= WIDTH) return place;
  const from = Math.max(0, Math.min(place.column - 1 - WIDTH / 4, place.text.length - WIDTH));
  const to = Math.min(place.text.length, from + WIDTH);
  const text = `${from > 0 ? '…' : ''}${place.text.slice(from, to)}${to < place.text.length ? '…' : ''}`;
  const column = place.column - from + (from > 0 ? 1 : 0);
  return { text, column, length: Math.min(place.length, to - place.column + 1) };
}

/** `2 errors, 1 warning`; empty without any. */
export function countProblems(problems: readonly Problem[]): string {
  const errors = problems.filter((one) => one.level === 'error').length;
  const warnings = problems.length - errors;
  const parts: string[] = [];
  if (errors > 0) parts.push(`${errors} ${errors === 1 ? 'error' : 'errors'}`);
  if (warnings > 0) parts.push(`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`);
  return parts.join(', ');
}

/** `a, b or c` */
export function listNames(names: Iterable<string>, none = 'none is defined'): string {
  const all = [...names];
  const last = all.pop();
  if (last === undefined) return none;
  return all.length === 0 ? last : `${all.join(', ')} or ${last}`;
}
