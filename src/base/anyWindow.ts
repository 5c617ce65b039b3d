/** Something that happened, so much of it. */
export interface Happening {
  readonly atMs: number;
  readonly amount: number;
}

/** The most that happened in any window of `perMs`, wherever it begins, both its ends included. */
export function mostInAnyWindow(happenings: readonly Happening[], perMs: number): number {
  return busiestWindow(happenings, perMs, 1);
}

/** The same of windows in which at least so many things happened; 0: there is no such window. */
export function busiestWindow(happenings: readonly Happening[], perMs: number, thingsLeast: number): number {
  const sorted = happenings.toSorted((one, other) => one.atMs - other.atMs);
  let most = 0;
  let sum = 0;
  let first = 0;
  for (const [last, { atMs, amount }] of sorted.entries()) {
    sum += amount;
    while (sorted[first]!.atMs < atMs - perMs) sum -= sorted[first++]!.amount;
    if (last - first + 1 >= thingsLeast) most = Math.max(most, sum);
  }
  return most;
}
