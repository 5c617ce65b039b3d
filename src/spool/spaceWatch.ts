import type { Disk } from '../base/ports.ts';

/** So much of the disk is kept for outcomes and rows, however little the configuration asks for ... */
const reserveBytesMax = 64 * 1024 * 1024;
/** ... but no more than this part of a small one. */
const reserveShare = 0.05;
/** New mail is taken again only when this much more than the reserve is free, or it would come and go. */
const againShare = 1.25;

/**
 * Whether there is room for new mail: while a reserve for outcomes and rows remains (architecture 5, Disk
 * full). The disk is looked at now and then; what was written since counts as gone.
 */
export class SpaceWatch {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #minFreeBytes: number;
  #freeBytes = Number.POSITIVE_INFINITY;
  #reserveBytes = 0;
  #writtenBytes = 0;
  #isFull = false;
  #isLooking = false;

  /** `minFreeBytes`: min-free-space. */
  constructor(disk: Disk, folder: string, minFreeBytes: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#minFreeBytes = minFreeBytes;
  }

  wrote(bytes: number): void {
    this.#writtenBytes += bytes;
  }

  /** `pendingBytes`: on their way to the disk. */
  isFull(pendingBytes: number): boolean {
    const freeBytes = this.#freeBytes - this.#writtenBytes - pendingBytes;
    this.#isFull = freeBytes < this.#reserveBytes * (this.#isFull ? againShare : 1);
    return this.#isFull;
  }

  /** A disk that does not say how much room it has is taken to have some: a write will tell. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const writtenBytes = this.#writtenBytes;
    try {
      const { freeBytes, totalBytes } = await this.#disk.space(this.#folder);
      this.#freeBytes = freeBytes;
      this.#reserveBytes = Math.max(this.#minFreeBytes, Math.min(reserveBytesMax, totalBytes * reserveShare));
      // What was written before is in the answer; the rest may be, and is counted twice for a moment.
      this.#writtenBytes -= writtenBytes;
    } catch {
      this.#freeBytes = Number.POSITIVE_INFINITY;
    } finally {
      this.#isLooking = false;
    }
  }
}
