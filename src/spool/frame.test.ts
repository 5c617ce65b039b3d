import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../base/byteWriter.ts';
import { systemDigest } from '../base/node/digest.ts';
import { Batch } from './batch.ts';
import {
  batchHeaderBytes,
  blockBytes,
  decodeBatchHeader,
  decodeSegmentHeader,
  encodeBatchHeader,
  encodeSegmentHeader,
  formatVersion,
  frameBytes,
  type SegmentHeader,
  segmentName,
  segmentNumber,
} from './frame.ts';
import { type SpoolRecord, wholeRecords } from './record.ts';
import { messageOf } from './samples.testing.ts';
import { findBatch, readBatchRecords } from './segmentFile.ts';

const digest = systemDigest();
const u32 = fc.nat(0xffff_ffff);
const count = fc.nat(Number.MAX_SAFE_INTEGER);

const anySegment: fc.Arbitrary<SegmentHeader> = fc.record({
  number: u32,
  epoch: u32,
  salt: u32,
  firstBatch: count,
  predecessor: fc.option(
    fc.record({ segment: fc.integer({ min: 1, max: 0xffff_ffff }), lastBatch: count, syncedThrough: count }),
    {
      nil: undefined,
    },
  ),
});

test('a segment header comes back as it was written, from its copy where it is damaged', () => {
  const flip = (bytes: Uint8Array, bit: number): void => {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  };
  fc.assert(
    fc.property(anySegment, fc.nat(52 * 8 - 1), (header, bit) => {
      const bytes = encodeSegmentHeader(header, digest);
      expect(bytes).toHaveLength(blockBytes);
      expect(decodeSegmentHeader(bytes, digest)).toEqual({ kind: 'whole', version: formatVersion, header });
      flip(bytes, bit);
      expect(decodeSegmentHeader(bytes, digest)).toEqual({ kind: 'whole', version: formatVersion, header });
      flip(bytes, bit + (blockBytes / 2) * 8);
      expect(decodeSegmentHeader(bytes, digest).kind).not.toBe('whole');
    }),
  );
});

test('a segment header cut short is broken, and one of another format says so', () => {
  const bytes = encodeSegmentHeader(
    { number: 1, epoch: 1, salt: 1, firstBatch: 1, predecessor: undefined },
    digest,
  );
  expect(decodeSegmentHeader(bytes.subarray(0, blockBytes - 1), digest)).toEqual({ kind: 'broken' });
  expect(decodeSegmentHeader(new Uint8Array(blockBytes), digest)).toEqual({ kind: 'broken' });
  bytes[4] = 3;
  bytes[4 + blockBytes / 2] = 3;
  expect(decodeSegmentHeader(bytes, digest)).toEqual({ kind: 'otherVersion', version: 3 });
});

test('a header of version 1 is read: it stands alone, and all that its predecessor counts is synced', () => {
  const out = new ByteWriter(blockBytes);
  for (const word of [0x31535350, 1, 7, 3, 99]) out.u32(word);
  out.f64(12);
  out.u32(6);
  out.f64(11);
  out.u32(digest.crc32(out.bytes, 0));
  const block = new Uint8Array(blockBytes);
  block.set(out.bytes);
  const predecessor = { segment: 6, lastBatch: 11, syncedThrough: 11 };
  expect(decodeSegmentHeader(block, digest)).toEqual({
    kind: 'whole',
    version: 1,
    header: { number: 7, epoch: 3, salt: 99, firstBatch: 12, predecessor },
  });
});

test('a batch header comes back as it was written, and any flipped bit of it is noticed', () => {
  const half = fc.nat(2 ** 40);
  const anyHeader = fc.record({
    epoch: u32,
    number: count,
    syncedThrough: count,
    recordBytes: half,
    bodyBytes: half,
  });
  fc.assert(
    fc.property(anyHeader, u32, fc.nat(44 * 8 - 1), (header, salt, bit) => {
      const bytes = encodeBatchHeader(header, digest, salt);
      expect(bytes).toHaveLength(batchHeaderBytes);
      expect(decodeBatchHeader(bytes, digest, salt)).toEqual(header);
      expect(decodeBatchHeader(bytes, digest, (salt ^ 1) >>> 0)).toBeUndefined();
      expect(decodeBatchHeader(bytes.subarray(1), digest, salt)).toBeUndefined();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeBatchHeader(bytes, digest, salt)).toBeUndefined();
    }),
  );
});

test('lengths that are no counts are refused even when the CRC fits', () => {
  const fine = { epoch: 1, number: 1, syncedThrough: 0, recordBytes: 8, bodyBytes: 0 };
  for (const wrong of [-8192, Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2 ** 60]) {
    for (const field of ['number', 'syncedThrough', 'recordBytes', 'bodyBytes'] as const) {
      const bytes = encodeBatchHeader({ ...fine, [field]: wrong }, digest, 3);
      expect(decodeBatchHeader(bytes, digest, 3), `${field} ${wrong}`).toBeUndefined();
    }
  }
});

test('names sort as numbers do, and only our own names are segments', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), (number) => {
      expect(segmentNumber(segmentName(number))).toBe(number);
    }),
  );
  for (const foreign of [
    ...['lock', '.segment', '1.segment', '00000000.segment', '000000001.segment', '00000001.segment~'],
    ...[
      '99999999999.segment',
      '4294967296.segment',
      'a00000001.segment',
      '00000001.SEGMENT',
      '-0000001.segment',
    ],
  ]) {
    expect(segmentNumber(foreign), foreign).toBeUndefined();
  }
});

const segment = { number: 1, epoch: 3, salt: 77, firstBatch: 5, predecessor: undefined };

function frameOf(bodies: readonly number[]): Uint8Array {
  const batch = new Batch();
  const owner = { answer: () => undefined, owed: () => undefined };
  bodies.forEach((bodyBytes, i) => {
    batch.addMessage(messageOf({ epoch: 3, sequence: i + 1 }, { bodyBytes }), owner, false, undefined);
  });
  const chunks = batch.seal({ ...segment, number: 5, syncedThrough: 4, startAt: 0 }, digest);
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

/** Whether a frame reads as recovery reads one nothing covers: header, records, bodies. */
async function isWhole(frame: Uint8Array): Promise<boolean> {
  const read = async (position: number, lengthBytes: number): Promise<Uint8Array> =>
    frame.subarray(position, position + lengthBytes);
  const found = await findBatch({ read }, 0, frame.length, segment, digest);
  const records = found && (await readBatchRecords({ read }, found, segment.salt, digest, wholeRecords));
  const isBodyWhole = (record: SpoolRecord): boolean => {
    if (record.kind !== 'envelope') return true;
    const { at, sizeBytes, crc } = record.body;
    return digest.crc32(frame.subarray(at, at + sizeBytes), segment.salt) === crc;
  };
  return records?.every(isBodyWhole) ?? false;
}

test('every flipped bit of a frame is noticed, but for those of its padding, which say nothing', async () => {
  const frame = frameOf([40, 0, 25]);
  expect(await isWhole(frame)).toBe(true);
  const used = 64 + (await recordBytesOf(frame)) + 40 + 25 + 3 * 2;
  expect(frame).toHaveLength(frameBytes({ recordBytes: used - 64, bodyBytes: 0 }));
  for (let bit = 0; bit < frame.length * 8; bit += bit < used * 8 ? 1 : 61) {
    const at = bit >> 3;
    const isPadding = at >= used || (at >= 44 && at < 64);
    frame[at]! ^= 1 << (bit & 7);
    expect(await isWhole(frame), `bit ${bit}`).toBe(isPadding);
    frame[at]! ^= 1 << (bit & 7);
  }
});

async function recordBytesOf(frame: Uint8Array): Promise<number> {
  return decodeBatchHeader(frame, digest, segment.salt)!.recordBytes;
}

test('a frame cut anywhere, or with any block of it unwritten, is noticed', async () => {
  const frame = frameOf([9000, 3]);
  expect(await isWhole(frame)).toBe(true);
  for (let length = 0; length < frame.length; length += 7) {
    expect(await isWhole(frame.subarray(0, length)), `length ${length}`).toBe(false);
  }
  for (let at = 0; at < frame.length; at += 512) {
    const torn = frame.slice();
    torn.fill(0, at, at + 512);
    const isPadding = frame.subarray(at, at + 512).every((byte) => byte === 0);
    expect(await isWhole(torn), `sector at ${at}`).toBe(isPadding);
  }
});

test('a batch is padded to whole blocks and holds its bodies behind its records', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3000), { maxLength: 5 }), (bodies) => {
      const frame = frameOf(bodies);
      expect(frame.length % blockBytes).toBe(0);
      const header = decodeBatchHeader(frame, digest, segment.salt)!;
      expect(header).toMatchObject({ epoch: 3, number: 5, syncedThrough: 4 });
      expect(header.bodyBytes).toBe(bodies.reduce((sum, bytes) => sum + bytes + 2, 0));
      expect(frame).toHaveLength(frameBytes(header));
    }),
  );
});

test('a content whose chunks are not of its size is our own mistake, found before it is stored', () => {
  const batch = new Batch();
  const message = messageOf({ epoch: 1, sequence: 1 });
  const content = { ...message.content, sizeBytes: 5 };
  batch.addMessage(
    { ...message, content },
    { answer: () => undefined, owed: () => undefined },
    false,
    undefined,
  );
  expect(() => batch.seal({ ...segment, number: 5, syncedThrough: 4, startAt: 0 }, digest)).toThrow('chunks');
});
