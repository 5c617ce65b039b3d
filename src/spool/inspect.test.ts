import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { Disk } from '../base/ports.ts';
import { beforeAll } from '../message/batchPosition.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { blockBytes } from './frame.ts';
import { type Inspection, type InspectionOptions, inspectSpool } from './inspect.ts';
import { crcSeed } from './lostHeader.ts';
import { PatientFile } from './patientFile.ts';
import { recover } from './recovery.ts';
import { Retriever } from './retriever.ts';
import {
  type BatchSample,
  diskError,
  eventOf,
  flipped,
  headerFlipped,
  layOut,
  messageOf,
  type SegmentSample,
  segmentOf,
  settled,
  withFooter,
} from './samples.testing.ts';

const digest = systemDigest();
const folder = '/spool';
const clock = new VirtualClock();
let disk: SimulatedDisk;

beforeEach(() => {
  disk = new SimulatedDisk(new SeededRandom(1));
});

/** No byte, no name may change. */
function readOnly(of: Disk): Disk {
  const never = (): never => {
    throw new Error('it would change the folder');
  };
  return {
    list: (path) => of.list(path),
    open: (path, how) => (how === 'read' ? of.open(path, how) : never()),
    makeFolder: never,
    rename: never,
    unlink: never,
    syncFolder: never,
    space: never,
  };
}

function inspected(options: Partial<InspectionOptions> = {}): Promise<Inspection> {
  const all = { isInMotion: false, recorded: beforeAll, ...options };
  return settled({ disk, clock }, inspectSpool({ disk: readOnly(disk), digest }, folder, all));
}

async function inspectionOf(
  segments: readonly SegmentSample[],
  options?: Partial<InspectionOptions>,
): Promise<Inspection> {
  await settled({ disk, clock }, layOut(disk, folder, segments));
  return inspected(options);
}

const message = (sequence: number) => messageOf({ epoch: 1, sequence }, { bodyBytes: 3000 });

/** One message a batch; each knows the one before it synced. */
function batches(first: number, count: number): BatchSample[] {
  return Array.from({ length: count }, (_, i) => ({
    number: first + i,
    syncedThrough: i === 0 ? 0 : first + i - 1,
    messages: [message(first + i)],
  }));
}

function owedBy({ owed }: Inspection): readonly number[] {
  return Array.from(owed, ({ id }) => id.sequence);
}

const older = segmentOf({ number: 1 }, batches(1, 3), digest);
const newer = (limit = 3) =>
  segmentOf(
    { number: 2, firstBatch: 4, predecessor: { segment: 1, lastBatch: limit } },
    [
      ...batches(4, 2),
      {
        number: 6,
        syncedThrough: 5,
        notes: [{ kind: 'event', event: eventOf(message(2).envelope, 0, 'delivered', 1), messageSegment: 1 }],
      },
    ],
    digest,
  );
/** In the content of batch `number`. */
const inBody = (sample: SegmentSample, number: number): number => sample.at.get(number)! + 2000;
const inRecords = (sample: SegmentSample, number: number): number => sample.at.get(number)! + 100;

test('a whole spool has no damage, and is counted as a start would count it', async () => {
  const closed = withFooter(older, batches(1, 3), digest);
  const found = await inspectionOf([closed, newer()]);
  expect(found.damages).toEqual([]);
  expect(owedBy(found)).toEqual([1, 3, 4, 5]);
  expect(found.segments).toMatchObject([
    { number: 1, version: 2, counted: { batches: 3, lastBatch: 3, hasFooter: true, dropped: 0 } },
    { number: 2, version: 2, counted: { batches: 3, lastBatch: 6, hasFooter: false, dropped: 0 } },
  ]);
});

test.each([
  ['without a footer', older],
  ['with a footer', withFooter(older, batches(1, 3), digest)],
])('a flipped byte of a content is found in a segment %s, and whether its mail is owed', async (_, sample) => {
  const damaged = flipped(flipped(sample, inBody(sample, 1)), inBody(sample, 2));
  const found = await inspectionOf([damaged, newer()]);
  expect(found.damages).toMatchObject([
    { kind: 'content', segment: 1, id: { sequence: 1 }, isOwed: true, sizeBytes: 3002 },
    { kind: 'content', segment: 1, id: { sequence: 2 }, isOwed: false },
  ]);
  expect(owedBy(found)).toEqual([1, 3, 4, 5]);
});

test('of damaged records is told where they are and what can be read; whoever was owed before is doubtful', async () => {
  const found = await inspectionOf([flipped(older, inRecords(older, 2)), newer()]);
  expect(found.damages).toEqual([
    {
      kind: 'records',
      segment: 1,
      at: older.at.get(2),
      sizeBytes: 2 * blockBytes - blockBytes,
      messages: 0,
      notes: 0,
    },
  ]);
  const held = Array.from(found.owed, ({ id, recipients }) => [id.sequence, recipients[0]!.heldFor]);
  expect(held).toEqual([
    [1, 'doubtful'],
    [3, undefined],
    [4, undefined],
    [5, undefined],
  ]);
});

test('a footer must say what the records say', async () => {
  const wrong = withFooter(older, [...batches(1, 2), { number: 3, messages: [message(99)] }], digest);
  const found = await inspectionOf([wrong, newer()]);
  expect(found.damages).toEqual([{ kind: 'footer', segment: 1 }]);
});

test('a torn end that nothing vouches for is no damage; what accounting has read of it is', async () => {
  const sample = newer();
  const torn = flipped(sample, inRecords(sample, 6));
  const found = await inspectionOf([older, torn]);
  expect(found.damages).toEqual([]);
  expect(found.segments[1]).toMatchObject({ counted: { lastBatch: 5, dropped: 1 } });
  expect(await inspected({ recorded: { epoch: 1, batch: 6 } })).toMatchObject({
    damages: [{ kind: 'records', segment: 2, at: sample.at.get(6) }],
  });
  expect(await inspected({ recorded: { epoch: 1, batch: 9 } })).toMatchObject({
    damages: [
      { kind: 'records', at: sample.at.get(6) },
      { kind: 'cutShort', segment: 2, through: { epoch: 1, batch: 9 } },
    ],
  });
  expect(await inspected({ recorded: { epoch: 2, batch: 1 } })).toMatchObject({
    damages: [{ kind: 'cutShort', segment: 2, through: { epoch: 2, batch: 1 } }],
  });
});

test('while an engine works, the newest segment is judged as far as its frames call it synced', async () => {
  const sample = newer();
  const moving = flipped(sample, inRecords(sample, 6));
  const found = await inspectionOf([older, moving], { isInMotion: true, recorded: { epoch: 1, batch: 9 } });
  expect(found.damages).toEqual([]);
  expect(found.segments[1]).toMatchObject({ counted: { lastBatch: 5, dropped: 0 } });
  // The outcome in batch 6 is being written.
  expect(owedBy(found)).toEqual([1, 2, 3, 4, 5]);
});

test('while an engine has nothing to do its last batch counts, although no later one calls it synced', async () => {
  const found = await inspectionOf([older, newer()], { isInMotion: true });
  expect(found.segments[1]).toMatchObject({ counted: { lastBatch: 6 } });
  expect(owedBy(found)).toEqual([1, 3, 4, 5]);
});

test('where a start refuses for a lost header, everything is found all the same', async () => {
  await settled({ disk, clock }, layOut(disk, folder, [headerFlipped(older), newer()]));
  const found = await inspected();
  expect(found.damages).toEqual([{ kind: 'header', segment: 1, isReadable: true }]);
  expect(owedBy(found)).toEqual([1, 3, 4, 5]);
  const retriever = new Retriever({ disk: readOnly(disk), digest }, folder, found.salts);
  for (const owed of found.owed) {
    const { isWhole, content } = await settled({ disk, clock }, retriever.message(owed));
    expect([isWhole, content!.chunks[0]!.every((byte) => byte === owed.id.sequence)]).toEqual([true, true]);
  }
  const ports = { disk, digest };
  expect(await settled({ disk, clock }, recover(ports, folder, beforeAll))).toMatchObject({
    kind: 'damaged',
  });
});

test('the lost header of the newest segment is damage once something in it was synced', async () => {
  const found = await inspectionOf([older, headerFlipped(newer())]);
  expect(found.damages).toEqual([{ kind: 'header', segment: 2, isReadable: true }]);
  expect(owedBy(found)).toEqual([1, 3, 4, 5]);
  disk = new SimulatedDisk(new SeededRandom(1));
  const first = segmentOf(
    { number: 2, firstBatch: 4, predecessor: { segment: 1, lastBatch: 3 } },
    batches(4, 1),
    digest,
  );
  expect((await inspectionOf([older, headerFlipped(first)])).damages).toEqual([]);
});

test('a segment that is gone from the middle, or has another format, is named; the rest is found', async () => {
  const third = segmentOf(
    { number: 3, firstBatch: 7, predecessor: { segment: 2, lastBatch: 6 } },
    batches(7, 1),
    digest,
  );
  const gone = await inspectionOf([older, third]);
  expect(gone.damages).toEqual([{ kind: 'segment', segment: 2 }]);
  const held = Array.from(gone.owed, ({ id, recipients }) => [id.sequence, recipients[0]!.heldFor]);
  expect(held).toEqual([
    [1, 'doubtful'],
    [2, 'doubtful'],
    [3, 'doubtful'],
    [7, undefined],
  ]);
  disk = new SimulatedDisk(new SeededRandom(1));
  const other = newer();
  const bytes = other.bytes.slice();
  for (const at of [4, 4 + blockBytes / 2]) bytes[at] = 9;
  const unknown = await inspectionOf([older, { ...other, bytes }]);
  expect(unknown.damages).toEqual([{ kind: 'segment', segment: 2 }]);
  expect(unknown.segments[1]).toEqual({ number: 2, version: 9, sizeBytes: bytes.length, counted: undefined });
});

test('blocks that the disk fails on read as zeroes, the rest as it is', async () => {
  const bytes = Uint8Array.from({ length: 3 * blockBytes + 10 }, (_, i) => 1 + (i % 250));
  const file = new PatientFile({
    sizeBytes: async () => bytes.length,
    read: async (at, length) => {
      if (at < 2 * blockBytes && at + length > blockBytes) throw diskError('EIO');
      return bytes.slice(at, at + length);
    },
  });
  const read = await file.read(100, 10 * blockBytes);
  const expected = bytes.slice(100).fill(0, blockBytes - 100, 2 * blockBytes - 100);
  expect(read).toEqual(expected);
});

test('the seed of a checksum is found from bytes and checksum', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(0xffff_ffff), (bytes, seed) => {
      expect(crcSeed(bytes, digest.crc32(bytes, seed), digest)).toBe(seed);
    }),
  );
});
