import * as assert from 'uvu/assert';

/** Lengths of the short and the long input. Linear work grows eightfold between them, quadratic by 64. */
const GROWTH = 8;
/** What is borne: far from 64, and far enough from 8 for caches and garbage. */
const BOUND = 30;
/** CPU milliseconds beside which small costs do not count. */
const NOISE = 2;
/** A machine that does other things makes single runs dear; the cheapest of so many is what the work costs. */
const RUNS = 12;

/**
 * Asserts that work is linear in the length of its input, for each family of inputs: by CPU time, which does not run
 * while the process waits, and by the cheapest of several runs. Inputs are made with `small` and eight times that.
 */
export function assertLinear<T>(
  families: Readonly<Record<string, (length: number) => T>>,
  work: (input: T) => void,
  small: number,
): void {
  for (const [name, make] of Object.entries(families)) {
    const inputs = [make(small), make(small * GROWTH)] as const;
    const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    work(inputs[0]);
    for (let run = 0; run < RUNS; run += 1) {
      for (const i of [0, 1] as const)
        best[i] = Math.min(
          best[i],
          cost(() => work(inputs[i])),
        );
      if (run >= 2 && best[1] < (best[0] + NOISE) * BOUND) break;
    }
    const [a, b] = best;
    assert.ok(
      b < (a + NOISE) * BOUND,
      `${name}: ${a.toFixed(2)} ms, for ${GROWTH} times the length ${b.toFixed(2)} ms`,
    );
  }
}

/** CPU milliseconds. */
function cost(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}
