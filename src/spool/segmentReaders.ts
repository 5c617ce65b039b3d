import type { Digest, Disk, DiskFile } from '../base/ports.ts';
import { segmentName } from './frame.ts';
import { readSegmentHeader } from './segmentFile.ts';

export interface ReaderPorts {
  readonly disk: Disk;
  readonly digest: Digest;
}

/** A segment open for reading. */
export interface SegmentReader {
  readonly file: DiskFile;
  readonly salt: number;
}

interface OpenReader {
  readonly reader: Promise<SegmentReader>;
  /** Reads under way; the file is closed only behind the last of them. */
  users: number;
  isDropped: boolean;
}

const openReadersMax = 64;

/** Segments opened for reading, the least recently used one closed when there are too many. */
export class SegmentReaders {
  readonly #ports: ReaderPorts;
  readonly #folder: string;
  readonly #open = new Map<number, OpenReader>();

  constructor(ports: ReaderPorts, folder: string) {
    this.#ports = ports;
    this.#folder = folder;
  }

  async use<T>(segment: number, work: (reader: SegmentReader) => Promise<T>): Promise<T> {
    const open = this.#open.get(segment) ?? {
      reader: this.#begin(segment),
      users: 0,
      isDropped: false,
    };
    this.#open.delete(segment);
    this.#open.set(segment, open);
    const [oldest] = this.#open.keys();
    if (this.#open.size > openReadersMax) void this.close(oldest!);
    open.users += 1;
    try {
      return await work(await open.reader);
    } catch (error) {
      // What failed is opened anew the next time.
      if (this.#open.get(segment) === open) this.#open.delete(segment);
      open.isDropped = true;
      throw error;
    } finally {
      open.users -= 1;
      if (open.isDropped && open.users === 0) await closeReader(open);
    }
  }

  async close(segment: number): Promise<void> {
    const open = this.#open.get(segment);
    if (open === undefined) return;
    this.#open.delete(segment);
    open.isDropped = true;
    if (open.users === 0) await closeReader(open);
  }

  async closeAll(): Promise<void> {
    for (const segment of [...this.#open.keys()]) await this.close(segment);
  }

  async #begin(segment: number): Promise<SegmentReader> {
    const file = await this.#ports.disk.open(`${this.#folder}/${segmentName(segment)}`, 'read');
    try {
      const read = await readSegmentHeader(file, this.#ports.digest);
      if (read.kind === 'whole') return { file, salt: read.header.salt };
      throw Object.assign(new Error('segment header damaged'), { code: 'damaged' });
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }
}

function closeReader({ reader }: OpenReader): Promise<void> {
  return reader.then(({ file }) => file.close()).catch(() => undefined);
}
