import { deviceErrors } from './errors.ts';
import type { Comparison, Expression, Operator } from './expression.ts';
import type { Value } from './reading.ts';
import type { Cause } from './state.ts';

/** What an expression sees of a signal. */
export interface Seen {
  readonly known: boolean;
  readonly value: Value | undefined;
  readonly cause: Cause | undefined;
}

/** Three-valued: true, false, or the cause for which it cannot be told. */
export type Truth = boolean | Cause;

/** The device as an expression sees it, and what its comparisons said last, for hysteresis. */
export interface View {
  signal(name: string): Seen;
  hysteresis(name: string): number;
  /** Truth of comparisons that have hysteresis, as of the last `settle`. */
  readonly memory: Map<Comparison, boolean> | undefined;
}

/** Evaluates by Kleene's strong logic: `false and unknown` is false, `true or unknown` is true. */
export function evaluate(expression: Expression, view: View): Truth {
  switch (expression.kind) {
    case 'truth': {
      const seen = view.signal(expression.name);
      if (!seen.known || seen.value === undefined) return causeOf(seen, expression.name);
      if (typeof seen.value === 'string') return mismatch(expression.name, seen.value, 'true or false');
      return Boolean(seen.value);
    }
    case 'not': {
      const inner = evaluate(expression.inner, view);
      return typeof inner === 'boolean' ? !inner : inner;
    }
    case 'and':
    case 'or': {
      const decisive = expression.kind === 'or';
      let open: Cause | undefined;
      for (const part of expression.parts) {
        const truth = evaluate(part, view);
        if (truth === decisive) return decisive;
        if (typeof truth !== 'boolean') open ??= truth;
      }
      return open ?? !decisive;
    }
    case 'compare':
      return compare(expression, view, view.memory?.get(expression));
  }
}

/**
 * Brings the comparisons with hysteresis up to date. All of them, whether or not their row is reached, so that none
 * remembers a time when another row decided.
 */
export function settle(
  comparisons: readonly Comparison[],
  view: View,
  memory: Map<Comparison, boolean>,
): void {
  for (const comparison of comparisons) {
    const truth = compare(comparison, view, memory.get(comparison));
    // While a signal is unknown the comparison keeps what it said last.
    if (typeof truth === 'boolean') memory.set(comparison, truth);
  }
}

/** The comparisons in an expression that hysteresis applies to: those by order, of a signal that has it. */
export function withHysteresis(expression: Expression, hysteresis: (name: string) => number): Comparison[] {
  switch (expression.kind) {
    case 'truth':
      return [];
    case 'not':
      return withHysteresis(expression.inner, hysteresis);
    case 'and':
    case 'or':
      return expression.parts.flatMap((part) => withHysteresis(part, hysteresis));
    case 'compare': {
      const byOrder = expression.operator !== '==' && expression.operator !== '!=';
      return byOrder && hysteresis(expression.left.name) > 0 ? [expression] : [];
    }
  }
}

function compare(comparison: Comparison, view: View, before: boolean | undefined): Truth {
  const { left, right, operator } = comparison;
  const seen = view.signal(left.name);
  if (!seen.known || seen.value === undefined) return causeOf(seen, left.name);
  let other: Value;
  if (right.kind === 'literal') other = right.value;
  else {
    const far = view.signal(right.name);
    if (!far.known || far.value === undefined) return causeOf(far, right.name);
    other = far.value;
  }
  if (operator === '==' || operator === '!=') return equal(seen.value, other) === (operator === '==');
  if (typeof seen.value !== 'number') return mismatch(left.name, seen.value, other);
  if (typeof other !== 'number')
    return right.kind === 'signal'
      ? mismatch(right.name, other, seen.value)
      : mismatch(left.name, seen.value, other);
  // Once true it holds until the value has come back over the threshold by the hysteresis.
  const slack = before === true ? view.hysteresis(left.name) : 0;
  return ordered(seen.value, operator, other, slack);
}

function ordered(
  value: number,
  operator: Exclude<Operator, '==' | '!='>,
  limit: number,
  slack: number,
): boolean {
  switch (operator) {
    case '<':
      return value < limit + slack;
    case '<=':
      return value <= limit + slack;
    case '>':
      return value > limit - slack;
    case '>=':
      return value >= limit - slack;
  }
}

/** Values of unlike types are equal when they read alike: a source without types sends `1` and `true` as text. */
function equal(one: Value, other: Value): boolean {
  return one === other || (typeof one !== typeof other && String(one) === String(other));
}

function causeOf(seen: Seen, name: string): Cause {
  if (seen.cause) return seen.cause;
  const { code, message } = deviceErrors.NEVER_READ({ signal: name });
  return { code, text: message };
}

function mismatch(signal: string, value: Value, other: Value): Cause {
  const { code, message } = deviceErrors.NO_MATCH({ signal, value: `"${value}"`, other });
  return { code, text: message };
}
