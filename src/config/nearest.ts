/**
 * Candidates looked at for one configuration: enough for some 200 unknown directives. A file that is no
 * configuration must not cost more; what follows is told without a suggestion.
 */
const mostCandidates = 150_000;

/** What was meant by the names of one configuration. */
export class NearestNames {
  #candidatesLeft = mostCandidates;

  /**
   * The known name most like `name` (edit distance, a swap of neighbours counts one), or undefined when
   * none is near enough to be meant: at most a third of its letters, and never more than four.
   */
  find(name: string, known: Iterable<string>): string | undefined {
    let best: string | undefined;
    let most = Math.min(4, Math.max(1, Math.floor(name.length / 3)));
    // Longer than any directive: not worth comparing (the input is whatever stands in the file).
    if (name.length > 80) return undefined;
    for (const candidate of known) {
      if (this.#candidatesLeft === 0) return undefined;
      this.#candidatesLeft--;
      if (Math.abs(candidate.length - name.length) > most) continue;
      const distance = editDistance(name, candidate, most);
      if (distance > most) continue;
      best = candidate;
      most = distance - 1;
    }
    return best;
  }
}

/**
 * Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other.
 * @param most a distance above it may come back as any number above it
 */
export function editDistance(left: string, right: string, most: number): number {
  const tooFar = most + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let l = 1; l <= left.length; l++) {
    const row = new Array<number>(right.length + 1).fill(tooFar);
    row[0] = l;
    let least = l;
    // Further off the diagonal no path is short enough.
    for (let r = Math.max(1, l - most); r <= Math.min(right.length, l + most); r++) {
      const same = left[l - 1] === right[r - 1];
      let cost = Math.min(last[r]! + 1, row[r - 1]! + 1, last[r - 1]! + (same ? 0 : 1));
      const swapped = l > 1 && r > 1 && left[l - 1] === right[r - 2] && left[l - 2] === right[r - 1];
      if (swapped) cost = Math.min(cost, beforeLast[r - 2]! + 1);
      row[r] = cost;
      least = Math.min(least, cost);
    }
    // Two rows above it: a swap may still come from the row before.
    if (least > tooFar) return tooFar;
    beforeLast = last;
    last = row;
  }
  return last[right.length]!;
}
