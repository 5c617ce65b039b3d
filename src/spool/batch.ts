import { assert } from '../base/assert.ts';
import { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';
import { batchHeaderBytes, blockBytes, encodeBatchHeader, frameBytes } from './frame.ts';
import { type EventRecord, sealRecords, setBodyPlace, writeEnvelope, writeEvent } from './record.ts';
import type { MessageOwner, NewMessage } from './spool.ts';

export interface PendingMessage {
  readonly message: NewMessage;
  readonly owner: MessageOwner;
  /** The reply has left already (durability os or none). */
  answered: boolean;
  /** Offset and length of its record in the batch's record part. */
  readonly recordAt: number;
  readonly recordBytes: number;
}

const padding = new Uint8Array(blockBytes);

/** What gathers while the one before it is written: records of messages and events, and bodies. */
export class Batch {
  readonly messages: PendingMessage[] = [];
  readonly events: EventRecord[] = [];
  /** When the oldest event was put, monotonic; Infinity without one. */
  oldestEventMs = Number.POSITIVE_INFINITY;
  /** 0 until it is written. */
  number = 0;
  /** At least one message's reply waits for the disk. */
  needsSync = false;
  /** Offset in its segment, once written. */
  startAt = 0;
  readonly #records: ByteWriter;
  #bodyBytes = 0;

  constructor(records = new ByteWriter(16 * 1024)) {
    this.#records = records;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  get sizeBytes(): number {
    return this.#records.length + this.#bodyBytes;
  }

  /** A message that is larger than `capBytes` has a batch of its own. */
  hasRoomFor(bodyBytes: number, capBytes: number): boolean {
    return this.isEmpty || this.sizeBytes + bodyBytes < capBytes;
  }

  addMessage(message: NewMessage, owner: MessageOwner, answered: boolean): void {
    const { envelope, content } = message;
    const recordAt = this.#records.length;
    const { prefix, sizeBytes } = content;
    const body = { at: 0, prefixBytes: prefix.length, sizeBytes, crc: 0 };
    writeEnvelope(this.#records, { envelope, body });
    this.#bodyBytes += content.sizeBytes;
    const recordBytes = this.#records.length - recordAt;
    this.messages.push({ message, owner, answered, recordAt, recordBytes });
    if (message.durability === 'sync') this.needsSync = true;
  }

  addEvent(record: EventRecord, nowMs: number): void {
    writeEvent(this.#records, record);
    this.events.push(record);
    this.oldestEventMs = Math.min(this.oldestEventMs, nowMs);
  }

  /** The frame as it goes to disk: header, records, views of the bodies, padding. Sets `number`. */
  seal(place: Placing, digest: Digest): readonly Uint8Array[] {
    this.number = place.number;
    this.startAt = place.startAt;
    const chunks: Uint8Array[] = [];
    let bodyAt = place.startAt + batchHeaderBytes + this.#records.length;
    for (const { message, recordAt } of this.messages) {
      const { content } = message;
      let crc = place.salt;
      let sizeBytes = 0;
      for (const chunk of [content.prefix, ...content.chunks]) {
        crc = digest.crc32(chunk, crc);
        sizeBytes += chunk.length;
        chunks.push(chunk);
      }
      assert(sizeBytes === content.sizeBytes, "a content's size is that of its chunks");
      setBodyPlace(this.#records, recordAt, bodyAt, crc);
      bodyAt += content.sizeBytes;
    }
    sealRecords(this.#records, digest, place.salt);
    const { epoch, number, syncedThrough, salt } = place;
    const header = {
      epoch,
      number,
      syncedThrough,
      recordBytes: this.#records.length,
      bodyBytes: this.#bodyBytes,
    };
    const used = batchHeaderBytes + header.recordBytes + header.bodyBytes;
    return [
      encodeBatchHeader(header, digest, salt),
      this.#records.bytes,
      ...chunks,
      padding.subarray(0, frameBytes(header) - used),
    ];
  }

  /** Where the record of a message lies in the segment, once sealed. */
  recordPlace(pending: PendingMessage): { recordAt: number; recordBytes: number } {
    return {
      recordAt: this.startAt + batchHeaderBytes + pending.recordAt,
      recordBytes: pending.recordBytes,
    };
  }

  get frameBytes(): number {
    return frameBytes({ recordBytes: this.#records.length, bodyBytes: this.#bodyBytes });
  }

  /** The record buffer, for the next batch; this one must not be used any more. */
  release(): ByteWriter {
    this.#records.reset();
    return this.#records;
  }
}

interface Placing {
  readonly epoch: number;
  readonly salt: number;
  readonly number: number;
  readonly syncedThrough: number;
  readonly startAt: number;
}
