import type { Digest, DiskFile } from '../base/ports.ts';
import { type MessageId, reportedBy } from '../message/messageId.ts';
import { batchHeaderBytes, frameBytes, type SegmentHeader } from './frame.ts';
import type { OwedIndex } from './owedIndex.ts';
import { recordType, type SpoolRecord, tellRecord, wholeRecords } from './record.ts';
import { isWhole, payloadOf, type RecordPlace, recordHeaderBytes } from './recordFrame.ts';
import type { FoundBatch } from './segmentFile.ts';

/** Something that was on disk cannot be read any more. */
export interface Damage {
  readonly segment: number;
  /** Offset in the segment's file, and length, bytes. */
  readonly at: number;
  readonly sizeBytes: number;
}

/** A record that can be read, or the place of one or more that cannot. */
export type Salvaged = SpoolRecord | 'gap';

/** Where a damaged batch lies: up to the next one that was found, or to the end. */
export function damageOf(
  segment: number,
  from: number,
  batch: FoundBatch | undefined,
  next: FoundBatch | undefined,
  endAt: number,
): Damage {
  if (batch !== undefined) return { segment, at: batch.startAt, sizeBytes: frameBytes(batch.header) };
  return { segment, at: from, sizeBytes: Math.max(0, (next?.startAt ?? endAt) - from) };
}

/** What can still be read of a damaged batch, in its order, and where something is missing. */
export async function salvage(
  file: Pick<DiskFile, 'read'>,
  { at, sizeBytes }: Damage,
  batch: FoundBatch | undefined,
  { salt }: SegmentHeader,
  digest: Digest,
): Promise<readonly Salvaged[]> {
  const recordsAt = at + batchHeaderBytes;
  const recordBytes = batch?.header.recordBytes ?? Math.max(0, sizeBytes - batchHeaderBytes);
  const bytes = await file.read(recordsAt, recordBytes);
  const salvaged: Salvaged[] = [];
  for (const place of wholePlaces(bytes, digest, salt)) {
    salvaged.push(place === 'gap' ? 'gap' : (readPlace(bytes, place, recordsAt) ?? 'gap'));
  }
  // Without its header nobody knows how many records it had.
  if (batch === undefined || bytes.length < recordBytes) salvaged.push('gap');
  return salvaged;
}

/**
 * Whoever is owed where something is missing may have had the outcome there. Not so a message of the same
 * batch: it was owed only once the batch was durable.
 */
export function tellSalvaged(salvaged: readonly Salvaged[], segment: number, owed: OwedIndex): void {
  const envelopes = new Set<number>();
  for (const one of salvaged) if (one !== 'gap' && one.kind === 'envelope') envelopes.add(one.at);
  for (const one of salvaged) {
    if (one === 'gap') {
      owed.doubt(({ segment: where, recordAt }) => where === segment && envelopes.has(recordAt));
    } else {
      tellRecord(one, segment, owed);
      if (one.kind === 'envelope') tellReported(one.envelope.id, owed);
    }
  }
}

/** A report proves the outcome that was written with it, should that be what cannot be read. */
function tellReported(id: MessageId, owed: OwedIndex): void {
  const reported = reportedBy(id);
  if (reported === undefined) return;
  const { index: recipientIndex } = reported;
  owed.settle({ kind: 'failed', id: reported.id, recipientIndex, attempts: 0, nextTryMs: 0 });
}

function readPlace(bytes: Uint8Array, place: RecordPlace, base: number): SpoolRecord | undefined {
  try {
    return wholeRecords[place.type]?.(payloadOf(bytes, place), {
      at: base + place.at,
      bytes: place.sizeBytes,
    });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(recordType));

/** Every whole record; behind a broken one the next is looked for at each byte, for its length may be wrong. */
function* wholePlaces(bytes: Uint8Array, digest: Digest, salt: number): Iterable<RecordPlace | 'gap'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let inGap = false;
  for (let at = 0; at < bytes.length; ) {
    const place = at + recordHeaderBytes <= bytes.length ? placeAt(view, at) : undefined;
    if (place !== undefined && knownTypes.has(place.type) && isWhole(bytes, place, digest, salt)) {
      inGap = false;
      yield place;
      at += place.sizeBytes;
      continue;
    }
    if (!inGap) yield 'gap';
    inGap = true;
    at += 1;
  }
}

function placeAt(view: DataView, at: number): RecordPlace {
  return {
    type: view.getUint32(at, true),
    at,
    sizeBytes: recordHeaderBytes + view.getUint32(at + 4, true),
  };
}
