import { GrowingBytes } from './growingBytes.ts';

export const pageBytes = 512;

/** Whether one of several things comes through a mishap; asked once for each. */
export type Luck = () => boolean;

/** A file's content, as processes see it (`cache`) and as the disk has it. */
export class Inode {
  readonly number: number;
  readonly cache = new GrowingBytes();
  readonly #disk = new GrowingBytes();
  /** Pages that differ from the disk and would be written by a sync. */
  readonly #dirty = new Set<number>();
  /** Pages a failed sync marked clean although the disk never got them. */
  readonly #falselyClean = new Set<number>();
  /** The shortest length it was cut to since the last sync; the disk still has what was cut off. */
  #cutTo = Number.POSITIVE_INFINITY;
  /** Synced writes under way. */
  syncedWrites = 0;
  /** The next of them loses pages, and is told of success. */
  losesNext = false;

  constructor(number: number) {
    this.number = number;
  }

  get dirtyPages(): readonly number[] {
    return [...this.#dirty];
  }

  /** The pages it touched, dirty now. */
  write(bytes: Uint8Array, position: number): readonly number[] {
    if (bytes.length === 0) return [];
    this.cache.write(bytes, position);
    const last = Math.floor((position + bytes.length - 1) / pageBytes);
    const pages: number[] = [];
    for (let page = Math.floor(position / pageBytes); page <= last; page++) {
      pages.push(page);
      this.#dirty.add(page);
      this.#falselyClean.delete(page);
    }
    return pages;
  }

  /** A sync of these pages: those the disk does not get are believed clean all the same. */
  flush(pages: readonly number[], reaches: Luck): void {
    for (const page of pages) {
      if (!this.#dirty.delete(page)) continue;
      if (reaches()) this.#writePage(page);
      else this.#falselyClean.add(page);
    }
  }

  /** The file's length is on disk: a cut is not undone any more. */
  settleCut(): void {
    if (this.#cutTo < this.#disk.length) this.#disk.cut(this.#cutTo);
    this.#cutTo = Number.POSITIVE_INFINITY;
  }

  truncate(lengthBytes: number): void {
    this.cache.cut(lengthBytes);
    this.#cutTo = Math.min(this.#cutTo, lengthBytes);
    for (const pages of [this.#dirty, this.#falselyClean]) {
      for (const page of pages) if (page * pageBytes >= lengthBytes) pages.delete(page);
    }
    // What was cut off is zero when the file grows again, so the page it was cut in is to be written.
    const page = Math.floor(lengthBytes / pageBytes);
    if (page * pageBytes < this.cache.length) this.#dirty.add(page);
  }

  /** The kernel may drop pages it believes clean. */
  evict(stays: Luck): void {
    for (const page of this.#falselyClean) {
      if (stays()) continue;
      this.#falselyClean.delete(page);
      const from = page * pageBytes;
      const onDisk = new Uint8Array(Math.min(pageBytes, this.cache.length - from));
      onDisk.set(this.#disk.view(from, onDisk.length));
      this.cache.write(onDisk, from);
    }
  }

  get mayForget(): boolean {
    return this.#falselyClean.size > 0;
  }

  /** Power goes: what was not synced survives as luck has it. */
  losePower(survives: Luck): void {
    if (this.#cutTo !== Number.POSITIVE_INFINITY && survives()) this.settleCut();
    this.#cutTo = Number.POSITIVE_INFINITY;
    for (const page of this.#dirty) if (survives()) this.#writePage(page);
    this.#dirty.clear();
    this.#falselyClean.clear();
    this.syncedWrites = 0;
    this.losesNext = false;
    this.cache.become(this.#disk);
  }

  #writePage(page: number): void {
    const from = page * pageBytes;
    const bytes = this.cache.view(from, pageBytes);
    // Blocks behind the cut are new ones: they cannot reach the disk before the cut has.
    if (from + bytes.length > this.#cutTo) this.settleCut();
    this.#disk.write(bytes, from);
  }
}
