/**
 * Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
 * A swap counts once because it is what a hurried finger does most.
 */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, (before[column - 2] ?? 0) + 1);
      }
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/**
 * The known name that was probably meant, or `undefined` when nothing is near enough to be worth a guess:
 * a third of the letters may be wrong. Case, `-` and `_` do not count as a difference.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll('-', '_');
  const wanted = plain(word);
  if (wanted === '' || wanted.length > 64) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of known) {
    const candidate = plain(name);
    // `temp` for `temperature`: an abbreviation is nearer than its distance says.
    const abbreviated = wanted.length >= 3 && candidate.startsWith(wanted);
    const steps = abbreviated ? Math.min(1, distance(wanted, candidate)) : distance(wanted, candidate);
    if (steps < least && steps < Math.max(wanted.length, candidate.length)) {
      best = name;
      least = steps;
    }
  }
  return best;
}
