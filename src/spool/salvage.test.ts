import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import { type MessageId, reportId } from '../message/messageId.ts';
import { Batch } from './batch.ts';
import { batchHeaderBytes, blockBytes, type SegmentHeader } from './frame.ts';
import { OwedIndex } from './owedIndex.ts';
import { readRecords, type SpoolRecord, tellRecord, wholeRecords } from './record.ts';
import { recordPlaces } from './recordFrame.ts';
import { damageOf, type Salvaged, salvage, tellSalvaged } from './salvage.ts';
import { envelopeOf, eventOf, messageOf } from './samples.testing.ts';
import { findBatch } from './segmentFile.ts';

const digest = systemDigest();
const header: SegmentHeader = { number: 2, epoch: 1, salt: 77, firstBatch: 5, predecessor: undefined };
const owner = { answer: () => undefined, owed: () => undefined };

/** Seven records of every kind, and a body. */
const bytes = frame();
const recordBytes = records(bytes).length;
const whole = readRecords(records(bytes), blockBytes + batchHeaderBytes, digest, header.salt, wholeRecords)!;
const places = [...recordPlaces(records(bytes))];

function frame(): Uint8Array {
  const batch = new Batch();
  const envelope = envelopeOf({ epoch: 1, sequence: 9 }, 2);
  for (const sequence of [1, 2]) {
    batch.addMessage(messageOf({ epoch: 1, sequence }, { recipients: 2 }), owner, false, undefined);
  }
  batch.addNote({ kind: 'event', event: eventOf(envelope, 0, 'delivered', 1), messageSegment: 1 }, 0);
  batch.addNote({ kind: 'event', event: eventOf(envelope, 1, 'deferred', 3), messageSegment: 1 }, 0);
  batch.addNote({ kind: 'queueState', state: { queue: 'a.test/v', retryStep: 1, retryAtMs: 2 } }, 0);
  batch.addNote({ kind: 'hold', id: envelope.id, reason: 'deadly' }, 0);
  const owed = [{ index: 1, attempts: 3, nextTryMs: 5, heldFor: undefined }];
  const { content } = messageOf(envelope.id);
  batch.addSnapshot({ envelope, body: content, isDamaged: false, owed, from: 1, moved: () => undefined });
  const chunks = batch.seal({ ...header, number: 5, syncedThrough: 0, startAt: blockBytes }, digest);
  const bytes = new Uint8Array(blockBytes + batch.frameBytes);
  let at = blockBytes;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function records(of: Uint8Array): Uint8Array {
  const length = new DataView(of.buffer).getFloat64(blockBytes + 24, true);
  return of.subarray(blockBytes + batchHeaderBytes, blockBytes + batchHeaderBytes + length);
}

async function salvaged(damagedBytes: Uint8Array): Promise<readonly Salvaged[]> {
  const file = {
    read: async (at: number, lengthBytes: number) => damagedBytes.slice(at, at + lengthBytes),
  };
  const batch = await findBatch(file, blockBytes, damagedBytes.length, header, digest);
  const damage = damageOf(2, blockBytes, batch, undefined, damagedBytes.length);
  return salvage(file, damage, batch, header, digest);
}

function flipped(at: number, bit = 0): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 1 << bit;
  return copy;
}

test('a batch that is whole is salvaged without a gap', async () => {
  expect(await salvaged(bytes)).toEqual(whole);
});

test('wherever a bit of the records flips, all are found but the one that was hit', async () => {
  const anyAt = fc.integer({ min: 0, max: recordBytes - 1 });
  await fc.assert(
    fc.asyncProperty(anyAt, fc.nat(7), async (at, bit) => {
      const hit = places.findIndex((place) => at >= place.at && at < place.at + place.sizeBytes);
      const found = await salvaged(flipped(blockBytes + batchHeaderBytes + at, bit));
      expect(found).toEqual(whole.map((record, i) => (i === hit ? 'gap' : record)));
    }),
    { numRuns: 500 },
  );
});

test('each place that cannot be read is told by itself', async () => {
  const damagedBytes = bytes.slice();
  for (const hit of [0, 3]) damagedBytes[blockBytes + batchHeaderBytes + places[hit]!.at + 9]! ^= 1;
  const found = await salvaged(damagedBytes);
  expect(found).toEqual(whole.map((record, i) => (i === 0 || i === 3 ? 'gap' : record)));
});

test('without its header every record is found, and there may have been more', async () => {
  const found = await salvaged(flipped(blockBytes + 5));
  expect(found.filter((one) => one !== 'gap')).toEqual(whole);
  expect(found.at(-1)).toBe('gap');
});

test('records that are cut off are a gap at the end', async () => {
  const cut = bytes.slice(0, blockBytes + batchHeaderBytes + places[3]!.at + 5);
  const found = await salvaged(cut);
  expect(found.filter((one) => one !== 'gap')).toEqual(whole.slice(0, 3));
  expect(found.at(-1)).toBe('gap');
});

test('a damage reaches over its batch, or where that is unknown to the next one or to the end', () => {
  const found = (startAt: number) => ({
    startAt,
    header: { epoch: 1, number: 1, syncedThrough: 0, recordBytes: 100, bodyBytes: 8000 },
  });
  expect(damageOf(1, 4096, found(8192), undefined, 99_000)).toEqual({
    segment: 1,
    at: 8192,
    sizeBytes: 8192,
  });
  expect(damageOf(1, 4096, undefined, found(12_288), 99_000)).toEqual({
    segment: 1,
    at: 4096,
    sizeBytes: 8192,
  });
  expect(damageOf(1, 4096, undefined, undefined, 5000)).toEqual({ segment: 1, at: 4096, sizeBytes: 904 });
  expect(damageOf(1, 9000, undefined, undefined, 5000).sizeBytes).toBe(0);
});

test('a report that can be read proves the outcome before it that cannot', () => {
  const [failed, other] = [
    envelopeOf({ epoch: 1, sequence: 9 }, 2),
    envelopeOf({ epoch: 1, sequence: 10 }, 1),
  ];
  const owed = new OwedIndex();
  for (const { id, recipients } of [failed, other]) tellRecord(recordOf(id, recipients.length), 1, owed);
  tellSalvaged(['gap', recordOf(reportId(failed.id, 1)!, 1)], 2, owed);
  const held = Array.from(owed, ({ id, recipients }) => [
    id.sequence,
    recipients.map(({ index, heldFor }) => [index, heldFor]),
  ]);
  expect(held).toEqual([
    [9, [[0, 'doubtful']]],
    [10, [[0, 'doubtful']]],
    [reportId(failed.id, 1)!.sequence, [[0, undefined]]],
  ]);
});

function recordOf(id: MessageId, recipients: number): SpoolRecord {
  const body = { at: 0, inFile: false, prefixBytes: 0, sizeBytes: 0, crc: 0, isDamaged: false };
  return { kind: 'envelope', at: id.sequence, bytes: 1, envelope: envelopeOf(id, recipients), body };
}
