import { doubled } from '../base/column.ts';

/** A binary heap of (time, slot) pairs, earliest first: 12 bytes a pair. */
export class TimeHeap {
  #atMs = new Float64Array(64);
  #slot = new Int32Array(64);
  #size = 0;

  /** The earliest time; Infinity when empty. */
  firstAtMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#atMs[0]!;
  }

  push(atMs: number, slot: number): void {
    if (this.#size === this.#slot.length) {
      this.#atMs = doubled(this.#atMs);
      this.#slot = doubled(this.#slot);
    }
    let hole = this.#size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.#atMs[parent]! <= atMs) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#atMs[hole] = atMs;
    this.#slot[hole] = slot;
  }

  /** Removes the earliest pair and returns its slot. Not to be called when empty. */
  pop(): number {
    const first = this.#slot[0]!;
    const last = --this.#size;
    const atMs = this.#atMs[last]!;
    const slot = this.#slot[last]!;
    let hole = 0;
    for (let child = 1; child < last; child = 2 * hole + 1) {
      if (child + 1 < last && this.#atMs[child + 1]! < this.#atMs[child]!) child++;
      if (this.#atMs[child]! >= atMs) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#atMs[hole] = atMs;
    this.#slot[hole] = slot;
    return first;
  }

  /** Every pair whose slot `isWanted` marks, in no order: there may be a million others. */
  *entriesOf(isWanted: Uint8Array): Iterable<readonly [slot: number, atMs: number]> {
    for (let at = 0; at < this.#size; at++) {
      const slot = this.#slot[at]!;
      if (isWanted[slot] === 1) yield [slot, this.#atMs[at]!];
    }
  }

  /** Removes every pair whose slot `isWanted`, and returns their slots, in no order. */
  extract(isWanted: (slot: number) => boolean): readonly number[] {
    const extracted: number[] = [];
    const size = this.#size;
    this.#size = 0;
    for (let at = 0; at < size; at++) {
      const slot = this.#slot[at]!;
      // Pairs are put back in the place of those already looked at.
      if (isWanted(slot)) extracted.push(slot);
      else this.push(this.#atMs[at]!, slot);
    }
    return extracted;
  }

  bytes(): number {
    return this.#slot.length * 12;
  }

  #move(from: number, to: number): void {
    this.#atMs[to] = this.#atMs[from]!;
    this.#slot[to] = this.#slot[from]!;
  }
}
