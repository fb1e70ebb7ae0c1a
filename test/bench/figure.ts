/** One measured figure, always beside the base it was measured against in the same run. */
export interface Figure {
  name: string;
  unit: string;
  ours: number;
  /** What it is compared to; absent for a figure that stands alone. */
  base?: { value: number; of: string };
  /** How the two are compared; the goal speaks of the outcome. */
  as: 'difference' | 'ratio' | 'alone';
  goal?: { atMost: number } | { atLeast: number };
  /** Why it was not measured. */
  missing?: string;
  /** Shown behind the row. */
  note?: string;
}

/** What the goal speaks of: ours, ours less the base, or ours over the base. */
export function outcome(figure: Figure): number {
  const base = figure.base?.value ?? Number.NaN;
  if (figure.as === 'difference') return figure.ours - base;
  if (figure.as === 'ratio') return figure.ours / base;
  return figure.ours;
}

export function met(figure: Figure): boolean | undefined {
  if (figure.missing !== undefined) return false;
  if (figure.goal === undefined) return undefined;
  const value = outcome(figure);
  return 'atMost' in figure.goal ? value <= figure.goal.atMost : value >= figure.goal.atLeast;
}

/** The median of what several turns measured. */
export function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

export function table(figures: readonly Figure[]): string {
  const head = ['figure', 'ours', 'base', 'compared', 'goal', '', ''];
  const rows = figures.map((figure) => {
    if (figure.missing !== undefined)
      return [figure.name, '-', '-', '-', goal(figure), 'not measured', figure.missing];
    const verdict = met(figure);
    return [
      figure.name,
      `${number(figure.ours)} ${figure.unit}`,
      figure.base ? `${number(figure.base.value)} (${figure.base.of})` : '-',
      compared(figure),
      goal(figure),
      verdict === undefined ? '' : verdict ? 'met' : 'SHORT',
      figure.note ?? '',
    ];
  });
  const widths = head.map((_one, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function compared(figure: Figure): string {
  const value = outcome(figure);
  if (figure.as === 'difference') return `${value >= 0 ? '+' : ''}${number(value)} ${figure.unit}`;
  return figure.as === 'ratio' ? `× ${number(value)}` : '-';
}

function goal(figure: Figure): string {
  if (figure.goal === undefined) return '-';
  const sign = figure.as === 'ratio' ? '× ' : figure.as === 'difference' ? '+' : '';
  return 'atMost' in figure.goal ? `≤ ${sign}${figure.goal.atMost}` : `≥ ${sign}${figure.goal.atLeast}`;
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '?';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value < 1 ? 3 : 2);
}
