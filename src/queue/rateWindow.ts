/** Takes this close together are remembered as one, with the time of the last of them. */
const slicesPerWindow = 60;
/** Whoever sees it may read whole milliseconds off a clock: two that are a window apart must be so there. */
const clockMs = 1;
const firstCapacity = 4;

/**
 * What was counted within the last `perMs`, ends of windows included, so that two things a whole window apart
 * still count together. Takes of one slice leave together with the last of them: it may count too much by what
 * one slice holds, never too little. A few numbers at first, 62 slices at most.
 */
export class RateWindow {
  readonly perMs: number;
  readonly #sliceMs: number;
  /** A ring of slices, oldest at `#head`: when the last take of each was, and how much it holds. */
  #lastMs: number[] = new Array<number>(firstCapacity).fill(0);
  #counts: number[] = new Array<number>(firstCapacity).fill(0);
  #head = 0;
  #size = 0;
  #sum = 0;
  /** When the newest slice began. */
  #newestMs = Number.NEGATIVE_INFINITY;

  constructor(perMs: number) {
    this.perMs = perMs;
    this.#sliceMs = perMs / slicesPerWindow;
  }

  /** `nowMs` never falls from call to call, here and below. */
  sum(nowMs: number): number {
    while (this.#size > 0 && this.#lastMs[this.#head]! + this.perMs + clockMs <= nowMs) {
      this.#sum -= this.#counts[this.#head]!;
      this.#head = (this.#head + 1) % this.#counts.length;
      this.#size--;
    }
    return this.#sum;
  }

  took(count: number, nowMs: number): void {
    if (count === 0) return;
    this.sum(nowMs);
    if (this.#size === 0 || nowMs >= this.#newestMs + this.#sliceMs) this.#beginSlice(nowMs);
    const newest = (this.#head + this.#size - 1) % this.#counts.length;
    this.#lastMs[newest] = nowMs;
    this.#counts[newest]! += count;
    this.#sum += count;
  }

  /** From when on no more than `most` (0 or more) count, if nothing is taken until then; `nowMs` if so already. */
  fallsToMs(most: number, nowMs: number): number {
    let sum = this.sum(nowMs);
    let atMs = nowMs;
    for (let i = 0; i < this.#size && sum > most; i++) {
      const slice = (this.#head + i) % this.#counts.length;
      sum -= this.#counts[slice]!;
      atMs = this.#lastMs[slice]! + this.perMs + clockMs;
    }
    return atMs;
  }

  #beginSlice(nowMs: number): void {
    if (this.#size === this.#counts.length) this.#grow();
    this.#newestMs = nowMs;
    this.#counts[(this.#head + this.#size++) % this.#counts.length] = 0;
  }

  #grow(): void {
    const inOrder = (ring: readonly number[]): number[] => [
      ...ring.slice(this.#head),
      ...ring.slice(0, this.#head),
      ...new Array<number>(ring.length).fill(0),
    ];
    this.#lastMs = inOrder(this.#lastMs);
    this.#counts = inOrder(this.#counts);
    this.#head = 0;
  }
}
