import type { Digest, Disk, DiskFile } from '../base/ports.ts';
import { type BatchPosition, comparePositions, type Watermark } from '../message/batchPosition.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Envelope } from '../message/envelope.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import { blockBytes, frameBytes, type SegmentHeader, segmentName, segmentNumber } from './frame.ts';
import { eventsOnly, type RecordReading, type SpoolRecord, wholeRecords } from './record.ts';
import { type Damage, damageOf, salvage } from './salvage.ts';
import { findBatch, ReadAhead, readBatchRecords, readSegmentHeader } from './segmentFile.ts';
import { findBatches } from './segmentScan.ts';

/** What a batch says to accounting, in spool order. */
export interface ReadBatch {
  readonly position: BatchPosition;
  readonly events: readonly (DeliveryEvent | QueueEvent)[];
  readonly envelopes: readonly Envelope[];
  /** Some of what it said cannot be read any more: those rows are lost. */
  readonly damage: Damage | undefined;
}

/** The header of a segment that counts cannot be read: nobody knows what is behind it. */
export interface BatchDamaged {
  readonly kind: 'damaged';
  readonly segment: string;
  readonly at: number;
}

/**
 * Reads batches behind the cursor for the recorder, never past what the engine has published
 * (architecture 5, Accounting by cursor). In each segment it stops at the last batch the successor's
 * header counts. Records are read in one go, bodies are skipped.
 */
export class BatchReader {
  readonly #disk: Disk;
  readonly #digest: Digest;
  readonly #folder: string;
  readonly #withEnvelopes: boolean;
  readonly #reading: RecordReading<SpoolRecord>;
  /** The last batch given; reading starts over behind it when a file could not be opened. */
  #after: BatchPosition;
  /** The segments that count, oldest first, up to the watermark's. */
  #chain: readonly SegmentHeader[] = [];
  #segment: SegmentHeader | undefined;
  #file: DiskFile | undefined;
  #at = blockBytes;
  #lastRead = 0;

  /** Nothing at or before `after` is given; envelopes only for who wants receipts. */
  constructor(disk: Disk, digest: Digest, folder: string, after: BatchPosition, withEnvelopes = true) {
    this.#withEnvelopes = withEnvelopes;
    this.#reading = withEnvelopes ? wholeRecords : eventsOnly;
    this.#disk = disk;
    this.#digest = digest;
    this.#folder = folder;
    this.#after = after;
  }

  /** The next batches up to the watermark, at most `max`; empty when there is none yet. Rejects with DiskError; ask again. */
  async next(watermark: Watermark, max: number): Promise<readonly ReadBatch[] | BatchDamaged> {
    try {
      const read = await this.#readOn(watermark, max);
      if (!('kind' in read)) this.#after = read.at(-1)?.position ?? this.#after;
      return read;
    } catch (error) {
      await this.close().catch(() => undefined);
      // Segments it has passed may have been reclaimed: the way there is looked up anew.
      this.#chain = [];
      throw error;
    }
  }

  async #readOn(watermark: Watermark, max: number): Promise<readonly ReadBatch[] | BatchDamaged> {
    if (this.#chain.at(-1)?.number !== watermark.segment) {
      const chain = await this.#readChain(watermark.segment);
      if ('kind' in chain) return chain;
      this.#chain = chain;
    }
    const read: ReadBatch[] = [];
    // Up to the watermark everything is durable, so what is read ahead of it can only be too much.
    let ahead = new ReadAhead(this.#file);
    while (read.length < max) {
      const index = this.#chain.findIndex(({ number }) => number === this.#segment?.number);
      const successor = this.#chain[index + 1];
      const last = successor?.predecessor?.lastBatch ?? watermark.batch;
      if (index < 0 || this.#lastRead >= last) {
        if (successor === undefined) break;
        await this.#enter(successor);
        ahead = new ReadAhead(this.#file);
        continue;
      }
      const batch = await this.#readBatch(this.#segment!, ahead);
      if (comparePositions(batch.position, this.#after) > 0) read.push(batch);
    }
    return read;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#segment = undefined;
    await file?.close();
  }

  async #readBatch(segment: SegmentHeader, file: ReadAhead): Promise<ReadBatch> {
    const found = await findBatch(file, this.#at, Number.POSITIVE_INFINITY, segment, this.#digest);
    const records = found && (await readBatchRecords(file, found, segment.salt, this.#digest, this.#reading));
    if (records === undefined || found?.header.number !== this.#lastRead + 1) {
      return this.#readDamaged(segment);
    }
    this.#at += frameBytes(found.header);
    this.#lastRead = found.header.number;
    return this.#batchOf(segment, records, undefined);
  }

  /** A batch the engine called synced: what can be read of it is given, and the next one follows. */
  async #readDamaged(segment: SegmentHeader): Promise<ReadBatch> {
    const file = this.#file!;
    const number = this.#lastRead + 1;
    const found = await findBatches(file, segment, this.#digest);
    const batch = found.find(({ header }) => header.number === number);
    const next = found.find(({ header }) => header.number > number);
    const damage = damageOf(segment.number, this.#at, batch, next, await file.sizeBytes());
    const salvaged = await salvage(file, damage, batch, segment, this.#digest);
    this.#at = damage.at + damage.sizeBytes;
    this.#lastRead = number;
    return this.#batchOf(
      segment,
      salvaged.filter((one) => one !== 'gap'),
      damage,
    );
  }

  #batchOf({ epoch }: SegmentHeader, records: readonly SpoolRecord[], damage: Damage | undefined): ReadBatch {
    return {
      position: { epoch, batch: this.#lastRead },
      events: records.flatMap((record) =>
        record.kind === 'event' || record.kind === 'queueEvent' ? [record.event] : [],
      ),
      envelopes: this.#withEnvelopes
        ? records.flatMap((record) => (record.kind === 'envelope' ? [record.envelope] : []))
        : [],
      damage,
    };
  }

  async #enter(segment: SegmentHeader): Promise<void> {
    await this.close();
    this.#file = await this.#open(segment.number);
    this.#segment = segment;
    this.#at = blockBytes;
    this.#lastRead = segment.firstBatch - 1;
  }

  /** From the watermark's segment back along the predecessors, as far as they are still there. */
  async #readChain(newest: number): Promise<readonly SegmentHeader[] | BatchDamaged> {
    const present = new Set((await this.#disk.list(this.#folder)).map(segmentNumber));
    const chain: SegmentHeader[] = [];
    let number: number | undefined = newest;
    while (number !== undefined && present.has(number)) {
      const known: SegmentHeader | undefined = this.#chain.find((segment) => segment.number === number);
      const header: SegmentHeader | undefined = known ?? (await this.#readHeader(number));
      if (header === undefined) return { kind: 'damaged', segment: segmentName(number), at: 0 };
      chain.unshift(header);
      number = header.predecessor?.segment;
    }
    return chain;
  }

  async #readHeader(number: number): Promise<SegmentHeader | undefined> {
    const file = await this.#open(number);
    const read = await readSegmentHeader(file, this.#digest).finally(() => file.close());
    return read.kind === 'whole' ? read.header : undefined;
  }

  #open(segment: number): Promise<DiskFile> {
    return this.#disk.open(`${this.#folder}/${segmentName(segment)}`, 'read');
  }
}
