/**
 * The known name most like `name` (edit distance, a swap of neighbours counts one), or undefined when
 * none is near enough to be meant: at most a third of its letters, and never more than four.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(4, Math.max(1, Math.floor(name.length / 3))) + 1;
  // Longer than any directive: not worth comparing (the input is whatever stands in the file).
  if (name.length > 80) return undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other. */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let l = 1; l <= left.length; l++) {
    const row = [l];
    for (let r = 1; r <= right.length; r++) {
      const same = left[l - 1] === right[r - 1];
      let cost = Math.min(last[r]! + 1, row[r - 1]! + 1, last[r - 1]! + (same ? 0 : 1));
      const swapped = l > 1 && r > 1 && left[l - 1] === right[r - 2] && left[l - 2] === right[r - 1];
      if (swapped) cost = Math.min(cost, beforeLast[r - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length]!;
}
