import { ByteReader } from '../base/byteReader.ts';
import { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';
import type { DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { Envelope, SpoolLocation } from '../message/envelope.ts';
import { hasMode } from '../message/queueState.ts';
import type { Batch, PendingMessage } from './batch.ts';
import { blockBytes, type SegmentHeader } from './frame.ts';
import { holdNumber, holdOf, type OwedSink } from './owed.ts';
import { purgeFrom, purgeTo, tellPurge } from './purgeRecord.ts';
import { queueModeFrom, queueModeTo, queueStateFrom, queueStateTo } from './queueStateCodec.ts';
import type { Note, SnapshotRecipient } from './record.ts';
import type { ReadableFile } from './segmentFile.ts';
import type { Snapshot } from './snapshot.ts';

/*
 * The index footer of a segment (architecture 5, Layout): what a restart takes up of its records, without
 * the records. It is behind the last batch, and its last bytes say where it begins.
 */

const footerMagic = 0x31465350;
const trailerBytes = 32;
const entry = { message: 1, settled: 2, queueState: 3, hold: 4, purge: 5, queueMode: 7 } as const;
const kinds: readonly DeliveryEventKind[] = ['delivered', 'failed', 'deferred'];

/** Gathers, batch by batch, what the segment's footer will say. */
export class FooterWriter {
  readonly #entries = new ByteWriter(64 * 1024);
  readonly #names: string[] = [];
  readonly #numberOfName = new Map<string, number>();

  /** A sealed batch, as its records tell it. */
  add(batch: Batch, segment: number): void {
    for (const pending of batch.messages) this.#message(pending, batch.locationOf(pending, segment));
    let noted = 0;
    for (const pending of batch.snapshots) {
      for (; noted < pending.notesBefore; noted++) this.#note(batch.notes[noted]!);
      this.#snapshot(pending.snapshot, batch.locationOf(pending, segment));
    }
    for (; noted < batch.notes.length; noted++) this.#note(batch.notes[noted]!);
  }

  #message({ message: { envelope, content }, bodyFile }: PendingMessage, location: SpoolLocation): void {
    const { recipients } = envelope;
    const hasBodyFile = bodyFile !== undefined;
    this.#head(envelope, location, hasBodyFile ? 0 : content.sizeBytes, hasBodyFile);
    this.#entries.u32(recipients.length);
    for (let index = 0; index < recipients.length; index++) {
      this.#recipient({ index, attempts: 0, nextTryMs: 0, heldFor: undefined }, recipients[index]!.domain);
    }
  }

  #snapshot({ envelope, body, owed }: Snapshot, location: SpoolLocation): void {
    const inFile = 'inFile' in body;
    this.#head(envelope, location, inFile ? 0 : body.sizeBytes, inFile);
    this.#entries.u32(owed.length);
    for (const recipient of owed) this.#recipient(recipient, envelope.recipients[recipient.index]!.domain);
  }

  #note(note: Note): void {
    const out = this.#entries;
    if (note.kind === 'event') {
      const { kind, id, recipientIndex, attempts, nextTryMs } = note.event;
      out.u8(entry.settled);
      out.u8(kinds.indexOf(kind));
      out.u32(id.epoch);
      out.f64(id.sequence);
      out.u32(recipientIndex);
      out.u32(attempts);
      out.f64(nextTryMs);
    } else if (note.kind === 'queueState') {
      out.u8(hasMode(note.state) ? entry.queueMode : entry.queueState);
      (hasMode(note.state) ? queueModeTo : queueStateTo)(out, note.state);
    } else if (note.kind === 'hold') {
      out.u8(entry.hold);
      out.u32(note.id.epoch);
      out.f64(note.id.sequence);
      out.u8(holdNumber(note.reason));
    } else if (note.kind === 'purge') {
      out.u8(entry.purge);
      purgeTo(out, note.named);
    }
  }

  /** Whole blocks, to be written behind the last batch. */
  encode(lastBatch: number, digest: Digest, salt: number): readonly Uint8Array[] {
    const names = new ByteWriter();
    names.u32(this.#names.length);
    for (const name of this.#names) names.text(name);
    const payload = [names.bytes, this.#entries.bytes];
    const payloadBytes = names.length + this.#entries.length;
    const trailer = new ByteWriter(trailerBytes);
    trailer.u32(footerMagic);
    trailer.f64(payloadBytes);
    trailer.f64(lastBatch);
    trailer.u32(payload.reduce((crc, bytes) => digest.crc32(bytes, crc), salt));
    trailer.u32(digest.crc32(trailer.bytes, salt));
    const end = new Uint8Array(footerBytes(payloadBytes) - payloadBytes);
    end.set(trailer.bytes, end.length - trailerBytes);
    return [...payload, end];
  }

  #head(
    { id, timeQueuedMs, vmta }: Envelope,
    { recordAt, recordBytes }: SpoolLocation,
    bodyBytes: number,
    hasBodyFile: boolean,
  ): void {
    const out = this.#entries;
    out.u8(entry.message);
    out.u32(id.epoch);
    out.f64(id.sequence);
    out.f64(recordAt);
    out.u32(recordBytes);
    out.f64(recordBytes + bodyBytes);
    out.u8(Number(hasBodyFile));
    out.f64(timeQueuedMs);
    out.u32(this.#numberOf(vmta));
  }

  #recipient({ index, attempts, nextTryMs, heldFor }: SnapshotRecipient, domain: string): void {
    const out = this.#entries;
    out.u32(index);
    out.u32(this.#numberOf(domain));
    out.u32(attempts);
    out.f64(nextTryMs);
    out.u8(holdNumber(heldFor));
  }

  #numberOf(name: string): number {
    const known = this.#numberOfName.get(name);
    if (known !== undefined) return known;
    this.#numberOfName.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}

function footerBytes(payloadBytes: number): number {
  return Math.ceil((payloadBytes + trailerBytes) / blockBytes) * blockBytes;
}

/**
 * The footer's payload, when there is a whole one that speaks of exactly the batches up to `lastBatch`. Only
 * for a segment whose successor's header counts that batch: what nothing counts must be looked at itself.
 */
export async function readFooter(
  file: ReadableFile,
  { salt }: SegmentHeader,
  lastBatch: number,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const sizeBytes = await file.sizeBytes();
  if (sizeBytes % blockBytes !== 0 || sizeBytes === 0) return undefined;
  const trailer = await file.read(sizeBytes - trailerBytes, trailerBytes);
  if (trailer.length < trailerBytes) return undefined;
  const reader = new ByteReader(trailer);
  const magic = reader.u32();
  const payloadBytes = reader.f64();
  const through = reader.f64();
  const payloadCrc = reader.u32();
  const trailerCrc = digest.crc32(trailer.subarray(0, reader.at), salt);
  if (magic !== footerMagic || reader.u32() !== trailerCrc || through !== lastBatch) return undefined;
  const payload = await file.read(sizeBytes - footerBytes(payloadBytes), payloadBytes);
  return digest.crc32(payload, salt) === payloadCrc ? payload : undefined;
}

/** Tells what a whole footer says. */
export function tellFooter(payload: Uint8Array, segment: number, into: OwedSink): void {
  const from = new ByteReader(payload);
  const names: string[] = [];
  for (let left = from.u32(); left > 0; left--) names.push(from.text());
  while (from.at < payload.length) entryReading[from.u8()]!(from, segment, names, into);
}

type EntryReading = (from: ByteReader, segment: number, names: readonly string[], into: OwedSink) => void;

const entryReading: Readonly<Record<number, EntryReading>> = {
  [entry.message]: (from, segment, names, into) => {
    const id = { epoch: from.u32(), sequence: from.f64() };
    const location = { segment, recordAt: from.f64(), recordBytes: from.u32() };
    const storedBytes = from.f64();
    const hasBodyFile = from.u8() === 1;
    const timeQueuedMs = from.f64();
    const vmta = names[from.u32()]!;
    const recipients = [];
    for (let left = from.u32(); left > 0; left--) {
      recipients.push({
        index: from.u32(),
        domain: names[from.u32()]!,
        attempts: from.u32(),
        nextTryMs: from.f64(),
        heldFor: holdOf(from.u8()),
      });
    }
    into.put({ id, location, storedBytes, hasBodyFile, timeQueuedMs, vmta, recipients });
  },
  [entry.settled]: (from, _segment, _names, into) => {
    const kind = kinds[from.u8()]!;
    const id = { epoch: from.u32(), sequence: from.f64() };
    into.settle({ kind, id, recipientIndex: from.u32(), attempts: from.u32(), nextTryMs: from.f64() });
  },
  [entry.queueState]: (from, segment, _names, into) => {
    into.queueState(queueStateFrom(from), segment);
  },
  [entry.queueMode]: (from, segment, _names, into) => {
    into.queueState(queueModeFrom(from), segment);
  },
  [entry.hold]: (from, _segment, _names, into) => {
    into.hold({ epoch: from.u32(), sequence: from.f64() }, holdOf(from.u8()));
  },
  [entry.purge]: (from, _segment, _names, into) => tellPurge(purgeFrom(from), into),
};
