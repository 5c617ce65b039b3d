import { assert } from '../base/assert.ts';
import { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';
import type { Content, SpoolLocation } from '../message/envelope.ts';
import { batchHeaderBytes, blockBytes, encodeBatchHeader, frameBytes } from './frame.ts';
import {
  type BodyPlace,
  type EventNote,
  type Note,
  setBodyPlace,
  writeEnvelope,
  writeNote,
  writeSnapshot,
} from './record.ts';
import { sealRecords } from './recordFrame.ts';
import type { Snapshot } from './snapshot.ts';
import type { MessageOwner, NewMessage, OwnedMessage } from './spool.ts';

/** Where its record lies: offset and length in the batch's record part. */
interface RecordSpan {
  readonly recordAt: number;
  readonly recordBytes: number;
}

export interface PendingMessage extends RecordSpan {
  readonly message: NewMessage;
  readonly owner: MessageOwner;
  /** The content's own file, when it lies in one. */
  readonly bodyFile: BodyPlace | undefined;
  /** The outcomes it reports; undefined: it is no report. */
  readonly reported: readonly EventNote[] | undefined;
  /** The reply has left already (durability os or none). */
  answered: boolean;
}

export interface PendingSnapshot extends RecordSpan {
  readonly snapshot: Snapshot;
  /** So many notes of the batch stand before it: they do not apply to it. */
  readonly notesBefore: number;
}

const padding = new Uint8Array(blockBytes);

/** What gathers while the one before it is written: records of messages and notes, and bodies. */
export class Batch {
  readonly messages: PendingMessage[] = [];
  readonly snapshots: PendingSnapshot[] = [];
  readonly notes: Note[] = [];
  /** By the first of the outcomes that each reports; the others follow it in `notes`. */
  readonly reports = new Map<Note, PendingMessage>();
  /** When the oldest note was put, monotonic; Infinity without one. */
  oldestNoteMs = Number.POSITIVE_INFINITY;
  /** 0 until it is written. */
  number = 0;
  /** At least one message's reply waits for the disk. */
  needsSync = false;
  /** Offset in its segment, once written. */
  startAt = 0;
  readonly #records: ByteWriter;
  readonly #bodies: { readonly content: Content; readonly recordsAt: number[] }[] = [];
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

  addMessage(
    message: NewMessage,
    owner: MessageOwner,
    answered: boolean,
    bodyFile: BodyPlace | undefined,
    reported?: readonly EventNote[],
  ): PendingMessage {
    const { envelope, content } = message;
    const recordAt = this.#records.length;
    writeEnvelope(this.#records, { envelope, body: bodyFile ?? this.#addBody(content, recordAt, false) });
    const recordBytes = this.#records.length - recordAt;
    const pending = { message, owner, answered, bodyFile, reported, recordAt, recordBytes };
    this.messages.push(pending);
    if (message.durability === 'sync') this.needsSync = true;
    return pending;
  }

  addSnapshot(snapshot: Snapshot): void {
    const { envelope, body, owed, isDamaged } = snapshot;
    const recordAt = this.#records.length;
    const place = 'inFile' in body ? body : this.#addBody(body, recordAt, isDamaged);
    writeSnapshot(this.#records, { envelope, body: place, owed });
    const recordBytes = this.#records.length - recordAt;
    this.snapshots.push({ snapshot, notesBefore: this.notes.length, recordAt, recordBytes });
  }

  addNote(note: Note, nowMs: number): void {
    writeNote(this.#records, note);
    this.notes.push(note);
    this.oldestNoteMs = Math.min(this.oldestNoteMs, nowMs);
  }

  /** Outcomes, then the report of them: never one without the other (architecture 5, Outcomes). */
  addReport(reported: readonly EventNote[], { message, owner }: OwnedMessage, nowMs: number): PendingMessage {
    for (const note of reported) this.addNote(note, nowMs);
    const pending = this.addMessage(message, owner, true, undefined, reported);
    this.reports.set(reported[0]!, pending);
    return pending;
  }

  /** Somebody waits for it to be durable. Reports wait as long as the outcomes they come with. */
  get isAwaited(): boolean {
    return this.messages.length > this.reports.size || this.snapshots.length > 0;
  }

  /** The frame as it goes to disk: header, records, views of the bodies, padding. Sets `number`. */
  seal(place: Placing, digest: Digest): readonly Uint8Array[] {
    this.number = place.number;
    this.startAt = place.startAt;
    const chunks: Uint8Array[] = [];
    let bodyAt = place.startAt + batchHeaderBytes + this.#records.length;
    for (const { content, recordsAt } of this.#bodies) {
      let crc = place.salt;
      let sizeBytes = 0;
      for (const chunk of [content.prefix, ...content.chunks]) {
        crc = digest.crc32(chunk, crc);
        sizeBytes += chunk.length;
        chunks.push(chunk);
      }
      assert(sizeBytes === content.sizeBytes, "a content's size is that of its chunks");
      for (const recordAt of recordsAt) setBodyPlace(this.#records, recordAt, bodyAt, crc);
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

  /** Where a record lies in the segment, once sealed. */
  locationOf({ recordAt, recordBytes }: RecordSpan, segment: number): SpoolLocation {
    return { segment, recordAt: this.startAt + batchHeaderBytes + recordAt, recordBytes };
  }

  get frameBytes(): number {
    return frameBytes({ recordBytes: this.#records.length, bodyBytes: this.#bodyBytes });
  }

  /** The record buffer, for the next batch; this one must not be used any more. */
  release(): ByteWriter {
    this.#records.reset();
    return this.#records;
  }

  #addBody(content: Content, recordAt: number, isDamaged: boolean): BodyPlace {
    const { prefix, sizeBytes } = content;
    const last = this.#bodies.at(-1);
    // Messages that came in as one have one content.
    if (last?.content === content) last.recordsAt.push(recordAt);
    else {
      this.#bodies.push({ content, recordsAt: [recordAt] });
      this.#bodyBytes += sizeBytes;
    }
    // Place and checksum are known when the batch is sealed.
    return { at: 0, inFile: false, prefixBytes: prefix.length, sizeBytes, crc: 0, isDamaged };
  }
}

/** `durability os`: the kernel has it, the reply may leave. */
export function answerWritten(batch: Batch): void {
  for (const pending of batch.messages) {
    if (pending.answered || pending.message.durability !== 'os') continue;
    pending.answered = true;
    pending.owner.answer(true);
  }
}

/** What it adds to a batch beside its record. */
export function ownBytes({ content }: NewMessage, bodyFile: BodyPlace | undefined): number {
  return bodyFile === undefined ? content.sizeBytes : 0;
}

/** What a message that is not published yet holds of the reception budget. */
export function heldBytes({ message, recordBytes }: PendingMessage): number {
  return message.content.sizeBytes + recordBytes;
}

interface Placing {
  readonly epoch: number;
  readonly salt: number;
  readonly number: number;
  readonly syncedThrough: number;
  readonly startAt: number;
}
