/** What has a time at which to look at it again. Only the heap writes these. */
export interface Alarmed {
  /** Infinity: none. */
  alarmAtMs: number;
  /** Where it is in the heap; -1: nowhere. */
  alarmPlace: number;
}

/** A binary heap of things by their alarms, each at most once: setting one again moves it. */
export class AlarmHeap<T extends Alarmed> {
  readonly #items: T[] = [];

  /** The earliest alarm; Infinity when there is none. */
  firstAtMs(): number {
    return this.#items[0]?.alarmAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** Whose alarm is the earliest. */
  first(): T | undefined {
    return this.#items[0];
  }

  /** Infinity: without an alarm from now on. */
  set(item: T, atMs: number): void {
    if (item.alarmAtMs === atMs) return;
    item.alarmAtMs = atMs;
    const { alarmPlace } = item;
    if (atMs === Number.POSITIVE_INFINITY) this.#remove(item);
    else if (alarmPlace < 0) this.#settle(item, this.#items.length);
    else this.#settle(item, alarmPlace);
  }

  #remove(item: T): void {
    const last = this.#items.pop()!;
    if (last !== item) this.#settle(last, item.alarmPlace);
    item.alarmPlace = -1;
  }

  /** Puts it where it belongs, beginning at a place that is free or its own. */
  #settle(item: T, from: number): void {
    const items = this.#items;
    let hole = from;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (items[parent]!.alarmAtMs <= item.alarmAtMs) break;
      this.#place(items[parent]!, hole);
      hole = parent;
    }
    for (let child = 2 * hole + 1; child < items.length; child = 2 * hole + 1) {
      const other = items[child + 1];
      if (other !== undefined && other.alarmAtMs < items[child]!.alarmAtMs) child++;
      if (items[child]!.alarmAtMs >= item.alarmAtMs) break;
      this.#place(items[child]!, hole);
      hole = child;
    }
    this.#place(item, hole);
  }

  #place(item: T, at: number): void {
    this.#items[at] = item;
    item.alarmPlace = at;
  }
}
