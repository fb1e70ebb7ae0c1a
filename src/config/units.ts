const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1000, MB: 1_000_000, KiB: 1024, MiB: 1_048_576 };

/** Thirty days: longer than any wait that makes sense here, and far below what a timer can hold. */
const LONGEST = 30 * 86_400_000;

/**
 * Reads `500ms`, `30s`, `5m`, `1h30m`, `2d`. A number needs its unit: nobody can tell whether 5 means
 * seconds or minutes.
 * @returns milliseconds, or `undefined` when the text is no duration of at most 30 days
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount = '', , unit = ''] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (MILLISECONDS[unit] ?? Number.NaN);
  }
  return total <= LONGEST ? Math.round(total) : undefined;
}

/** Writes milliseconds the way {@link parseDuration} reads them: `5m`, `1h30m`, `2.5s`. */
export function formatDuration(milliseconds: number): string {
  let rest = Math.max(0, Math.round(milliseconds));
  if (rest === 0) return '0s';
  if (rest < 1000) return `${rest}ms`;
  let text = '';
  for (const unit of ['d', 'h', 'm'] as const) {
    const size = MILLISECONDS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return rest > 0 ? `${text}${rest / 1000}s` : text;
}

/**
 * Reads `512B`, `64kB`, `1MB`, `64KiB`, `1MiB`.
 * @returns bytes, or `undefined` when the text is no size
 */
export function parseSize(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)(B|kB|MB|KiB|MiB)$/.exec(text);
  if (!found) return undefined;
  const bytes = Number(found[1]) * (BYTES[found[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
