import type { Disk, DiskError, DiskFile } from '../base/ports.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { Batch } from './batch.ts';
import { type SegmentHeader, type SpoolSizes, segmentName, spoolSizes } from './frame.ts';
import { Reclaim } from './reclaim.ts';
import { type EventRecord, readEnvelope } from './record.ts';
import type { Recovered } from './recovery.ts';
import { readSegmentHeader } from './segmentFile.ts';
import { SegmentWriter, type WriterPorts } from './segmentWriter.ts';
import type {
  Durability,
  MessageOwner,
  NewMessage,
  Spool,
  SpoolEvents,
  SpoolReadFailure,
  StoredMessage,
} from './spool.ts';

const outcomesStalledMs = 5000;

/** The spool on local disk: segments in one folder, written by this process alone. */
export class SegmentSpool implements Spool {
  readonly #ports: WriterPorts;
  readonly #folder: string;
  readonly #events: SpoolEvents;
  readonly #writer: SegmentWriter;
  readonly #reclaim = new Reclaim();
  readonly #readers: SegmentReaders;
  readonly #epoch: number;
  #sequence = 0;
  #reclaiming = false;
  #firstPublished: () => void = () => undefined;
  /**
   * Resolves when this start's first segment is durable. Nothing may be put before: only then is the
   * epoch, and with it every id, this start's alone.
   */
  readonly started: Promise<void> = new Promise((resolve) => {
    this.#firstPublished = resolve;
  });

  /** Continues behind a recovery, with a segment and an epoch of its own. */
  constructor(
    ports: WriterPorts,
    folder: string,
    recovered: Recovered,
    durability: Durability,
    events: SpoolEvents,
    sizes: SpoolSizes = spoolSizes,
  ) {
    this.#ports = ports;
    this.#folder = folder;
    this.#events = events;
    this.#epoch = recovered.epoch;
    this.#readers = new SegmentReaders(ports, folder);
    for (const { number, epoch, lastBatch } of recovered.segments) {
      this.#reclaim.found(number, { epoch, batch: lastBatch });
    }
    for (const { location, recipients } of recovered.owed) {
      this.#reclaim.owe(location.segment, recipients.length);
    }
    const { epoch, lastSegment, predecessor } = recovered;
    this.#writer = new SegmentWriter(
      ports,
      { folder, epoch, lastSegment, predecessor, durability, sizes },
      {
        opened: (header) => this.#reclaim.opened(header.number),
        published: (batch, header) => this.#published(batch, header),
        failed: (code, segment) => this.#events.failed(code, segment),
      },
    );
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  get unsyncedEvents(): number {
    return this.#writer.unsyncedEvents;
  }

  get segments(): number {
    return this.#reclaim.segments;
  }

  nextId(): MessageId {
    this.#sequence += 1;
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  putMessage(message: NewMessage, owner: MessageOwner): void {
    this.#writer.putMessage(message, owner);
  }

  putEvent(record: EventRecord): void {
    this.#writer.putEvent(record);
  }

  outcomesStalled(nowMs: number): boolean {
    return nowMs - this.#writer.oldestEventMs > outcomesStalledMs;
  }

  async read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure> {
    try {
      return await this.#readers.use(location.segment, (reader) => this.#readFrom(reader, location));
    } catch (error) {
      const { code } = error as Partial<DiskError>;
      if (code === undefined) throw error;
      return { kind: 'unreadable', code };
    }
  }

  async #readFrom(
    { file, salt }: SegmentReader,
    { recordAt, recordBytes }: SpoolLocation,
  ): Promise<StoredMessage | SpoolReadFailure> {
    const { digest } = this.#ports;
    const record = readEnvelope(await file.read(recordAt, recordBytes), digest, salt);
    if (record === undefined) return { kind: 'unreadable', code: 'damaged' };
    const { at, sizeBytes, prefixBytes, crc } = record.body;
    const body = await file.read(at, sizeBytes);
    if (body.length < sizeBytes || digest.crc32(body, salt) !== crc) {
      return { kind: 'unreadable', code: 'damaged' };
    }
    const content = {
      prefix: body.subarray(0, prefixBytes),
      chunks: [body.subarray(prefixBytes)],
      sizeBytes,
    };
    return { kind: 'stored', envelope: record.envelope, content };
  }

  recorded(position: BatchPosition): void {
    this.#reclaim.recorded(position);
    void this.#reclaimOldest();
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#readers.closeAll();
  }

  #published(batch: Batch, header: SegmentHeader): void {
    const { number: segment, epoch } = header;
    for (const { message } of batch.messages) this.#reclaim.owe(segment, message.envelope.recipients.length);
    for (const { event, messageSegment } of batch.events) {
      if (event.kind !== 'deferred') this.#reclaim.settle(messageSegment);
    }
    this.#reclaim.published(segment, { epoch, batch: batch.number });
    this.#firstPublished();
    this.#events.published({ segment, epoch, batch: batch.number });
  }

  /** Strictly oldest first, the folder synced after each unlink before the next (architecture 5). */
  async #reclaimOldest(): Promise<void> {
    if (this.#reclaiming) return;
    this.#reclaiming = true;
    try {
      for (let segment = this.#reclaim.next(); segment !== undefined; segment = this.#reclaim.next()) {
        await this.#readers.close(segment);
        await unlinkIfThere(this.#ports.disk, `${this.#folder}/${segmentName(segment)}`);
        await this.#ports.disk.syncFolder(this.#folder);
        this.#reclaim.gone(segment);
      }
    } catch (error) {
      // It is tried again with the next report of the recorder; an unlink that stands is harmless.
      const { code } = error as Partial<DiskError>;
      if (code === undefined) throw error;
      this.#events.failed(code, this.#reclaim.next() ?? 0);
    } finally {
      this.#reclaiming = false;
    }
  }
}

async function unlinkIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if ((error as DiskError).code !== 'ENOENT') throw error;
  }
}

interface SegmentReader {
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
class SegmentReaders {
  readonly #ports: WriterPorts;
  readonly #folder: string;
  readonly #open = new Map<number, OpenReader>();

  constructor(ports: WriterPorts, folder: string) {
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
