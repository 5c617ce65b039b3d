import { none, type RecipientTable } from './columns.ts';
import { TimeHeap } from './timeHeap.ts';

/** Deadlines are rounded up to this part of bounce-after: few pages, and nobody expires early. */
const grainsPerBounceAfter = 4096;

/** When a recipient expires: its age reaches bounce-after, rounded up by at most 1/4096 of that (or 1 ms). */
export function deadlineMs(queuedAtMs: number, bounceAfterMs: number): number {
  const grainMs = Math.max(1, Math.floor(bounceAfterMs / grainsPerBounceAfter));
  return Math.ceil((queuedAtMs + bounceAfterMs) / grainMs) * grainMs;
}

interface Page {
  readonly atMs: number;
  head: number;
}

/** The deadlines of all ready recipients: one doubly linked page a deadline, so joining and leaving are O(1). */
export class ExpiryCalendar {
  readonly #recipients: RecipientTable;
  readonly #pages = new Map<number, Page>();
  /** One entry a page. */
  readonly #order = new TimeHeap();
  /** The page used last: mail that comes in together expires together. */
  #recent: Page = { atMs: Number.NaN, head: none };

  constructor(recipients: RecipientTable) {
    this.#recipients = recipients;
  }

  join(slot: number, atMs: number): void {
    const { pageNext, pagePrevious } = this.#recipients;
    const page = this.#page(atMs);
    pageNext[slot] = page.head;
    pagePrevious[slot] = none;
    if (page.head !== none) pagePrevious[page.head] = slot;
    page.head = slot;
  }

  /** `atMs`: what `join` was told. */
  leave(slot: number, atMs: number): void {
    const { pageNext, pagePrevious } = this.#recipients;
    const next = pageNext[slot]!;
    const previous = pagePrevious[slot]!;
    if (next !== none) pagePrevious[next] = previous;
    if (previous === none) this.#page(atMs).head = next;
    else pageNext[previous] = next;
  }

  /** The earliest deadline of anyone; Infinity when there is none. */
  firstAtMs(): number {
    return this.#firstPage()?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Someone whose deadline is the earliest. Not to be called when there is none. */
  first(): number {
    return this.#firstPage()?.head ?? none;
  }

  bytes(): number {
    return this.#order.bytes();
  }

  /** Pages that ran empty are dropped only here, once nothing earlier is left. */
  #firstPage(): Page | undefined {
    for (
      let atMs = this.#order.firstAtMs();
      atMs !== Number.POSITIVE_INFINITY;
      atMs = this.#order.firstAtMs()
    ) {
      const page = this.#page(atMs);
      if (page.head !== none) return page;
      this.#order.pop();
      this.#pages.delete(atMs);
      this.#recent = { atMs: Number.NaN, head: none };
    }
    return undefined;
  }

  #page(atMs: number): Page {
    if (this.#recent.atMs === atMs) return this.#recent;
    let page = this.#pages.get(atMs);
    if (page === undefined) {
      page = { atMs, head: none };
      this.#pages.set(atMs, page);
      this.#order.push(atMs, 0);
    }
    this.#recent = page;
    return page;
  }
}
