import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { Disk } from '../base/ports.ts';
import { beforeAll } from '../message/batchPosition.ts';
import { formatMessageId } from '../message/messageId.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { blockBytes } from './frame.ts';
import type { EventNote } from './record.ts';
import { type Recovered, type RecoveryFailure, recover } from './recovery.ts';
import {
  type BatchSample,
  drain,
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
import { SegmentSpool } from './segmentSpool.ts';

const digest = systemDigest();
const folder = '/spool';
const options = { durability: 'sync', minFreeBytes: 0 } as const;
const clock = new VirtualClock();
let disk: SimulatedDisk;

beforeEach(() => {
  disk = new SimulatedDisk(new SeededRandom(1));
});

function settle<T>(promise: Promise<T>): Promise<T> {
  return settled({ disk, clock }, promise);
}

function recovery(cursorEpoch = 0, seen: Disk = disk): Promise<Recovered | RecoveryFailure> {
  return settle(recover({ disk: seen, digest }, folder, { epoch: cursorEpoch, batch: 0 }));
}

/** Faults that are left over from before are used up. */
async function calmRecovery(): Promise<Recovered | RecoveryFailure> {
  const result = await recovery();
  return result.kind === 'disk' ? calmRecovery() : result;
}

async function recoveryOf(...segments: readonly SegmentSample[]): Promise<Recovered | RecoveryFailure> {
  await settle(layOut(disk, folder, segments));
  return recovery();
}

const message = (sequence: number, recipients = 1) =>
  messageOf({ epoch: 1, sequence }, { recipients, bodyBytes: 3000 });

function event(
  sequence: number,
  kind: 'delivered' | 'failed' | 'deferred',
  index = 0,
  attempts = 1,
): EventNote {
  return {
    kind: 'event',
    event: eventOf(message(sequence, index + 1).envelope, index, kind, attempts),
    messageSegment: 1,
  };
}

/** One batch a message, each told that its predecessor is synced unless it says otherwise. */
function batches(first: number, count: number, over: Partial<BatchSample> = {}): BatchSample[] {
  return Array.from({ length: count }, (_, i) => ({
    number: first + i,
    syncedThrough: i === 0 ? 0 : first + i - 1,
    messages: [message(first + i)],
    ...over,
  }));
}

/** What is owed, by the sequence of its message. */
function owedBy(result: Recovered | RecoveryFailure): readonly number[] {
  if (result.kind !== 'recovered') throw new Error(JSON.stringify(result));
  return Array.from(result.owed, ({ id }) => id.sequence);
}

test('an empty folder gives the first epoch, above any that a cursor names', async () => {
  expect(await recovery()).toMatchObject({
    kind: 'recovered',
    epoch: 1,
    lastSegment: 0,
    predecessor: undefined,
  });
  const result = await recovery(6);
  expect(result).toMatchObject({ epoch: 7 });
  expect(owedBy(result)).toEqual([]);
});

test('the epoch rises above every segment header and every cursor', async () => {
  const old = segmentOf({ number: 1, epoch: 8 }, batches(1, 1), digest);
  const young = segmentOf({ number: 2, epoch: 5, predecessor: { segment: 1, lastBatch: 1 } }, [], digest);
  await settle(layOut(disk, folder, [old, young]));
  expect(await recovery(3)).toMatchObject({ epoch: 9, lastSegment: 2 });
  expect(await recovery(30)).toMatchObject({ epoch: 31 });
});

test('what is owed is every recipient without an outcome, with attempts and next try of its last deferral', async () => {
  const result = await recoveryOf(
    segmentOf(
      { number: 1 },
      [
        { number: 1, messages: [message(1, 3), message(2), message(3)] },
        { number: 2, syncedThrough: 1, notes: [event(1, 'deferred', 0, 1), event(2, 'failed')] },
      ],
      digest,
    ),
    segmentOf(
      { number: 2, firstBatch: 3, predecessor: { segment: 1, lastBatch: 2 } },
      [{ number: 3, notes: [event(1, 'deferred', 0, 2), event(1, 'delivered', 1), event(2, 'deferred')] }],
      digest,
    ),
  );
  if (result.kind !== 'recovered') throw new Error(result.kind);
  expect(
    Array.from(result.owed, ({ id, vmta, recipients }) => ({ id: formatMessageId(id), vmta, recipients })),
  ).toEqual([
    {
      id: '1.1',
      vmta: 'v1',
      recipients: [
        { index: 0, domain: 'example.test', attempts: 2, nextTryMs: 5, heldFor: undefined },
        { index: 2, domain: 'example.test', attempts: 0, nextTryMs: 0, heldFor: undefined },
      ],
    },
    {
      id: '1.3',
      vmta: 'v1',
      recipients: [{ index: 0, domain: 'example.test', attempts: 0, nextTryMs: 0, heldFor: undefined }],
    },
  ]);
  expect(result.predecessor).toEqual({ segment: 2, lastBatch: 3, syncedThrough: 3 });
});

test('the first broken batch that nothing covers ends a segment, whole ones behind it included', async () => {
  // The second of two overlapping writes is whole, the first is torn; neither was ever called synced.
  const sample = segmentOf({ number: 1 }, [...batches(1, 2), ...batches(3, 2, { syncedThrough: 1 })], digest);
  const result = await recoveryOf(flipped(sample, sample.at.get(2)! + 100));
  expect(owedBy(result)).toEqual([1]);
  expect(result).toMatchObject({ predecessor: { segment: 1, lastBatch: 1 }, droppedBatches: 3 });
});

test('a frame whose header is torn ends a segment, and those behind it are found and dropped', async () => {
  const sample = segmentOf({ number: 1 }, batches(1, 4, { syncedThrough: 0 }), digest);
  const result = await recoveryOf(flipped(sample, sample.at.get(2)!));
  expect(owedBy(result)).toEqual([1]);
  expect(result).toMatchObject({ droppedBatches: 2 });
});

test('the body of a batch that nothing covers is checked, that of a covered one when it is read', async () => {
  const sample = segmentOf({ number: 1 }, batches(1, 2), digest);
  expect(owedBy(await recoveryOf(flipped(sample, sample.at.get(2)! + 2000)))).toEqual([1]);
  disk = new SimulatedDisk(new SeededRandom(2));
  expect(owedBy(await recoveryOf(flipped(sample, sample.at.get(1)! + 2000)))).toEqual([1, 2]);
});

/** Who is owed, and why they are held: `1 3 held`. */
function owedText(result: Recovered | RecoveryFailure): string {
  if (result.kind !== 'recovered') return JSON.stringify(result);
  return Array.from(result.owed, ({ id, recipients }) => {
    const held = recipients.map(({ heldFor }) => heldFor ?? 'free').join('+');
    return `${id.sequence} ${held}`;
  })
    .sort()
    .join(', ');
}

const batchNamed = (sample: SegmentSample, number: number): number => sample.at.get(number)!;

test.each([
  ['its frame', 0],
  ['its first record', 100],
])('of a batch that a later one calls synced, %s may break: the rest is read, and its bytes are kept', async (_, offset) => {
  const sample = segmentOf(
    { number: 1 },
    [
      { number: 1, messages: [message(1), message(2)] },
      { number: 2, syncedThrough: 1, messages: [message(3)], notes: [event(1, 'delivered')] },
      { number: 3, syncedThrough: 2, messages: [message(4)], notes: [event(2, 'deferred')] },
    ],
    digest,
  );
  const at = batchNamed(sample, 2);
  const result = await recoveryOf(flipped(sample, at + offset));
  // Message 1 may have had its outcome there, and it had; of 2 a later record says that it is still owed.
  const damage = { segment: 1, at, sizeBytes: batchNamed(sample, 3) - at };
  expect(result).toMatchObject({ damages: [damage], isCutShort: false });
  expect(owedText(result)).toBe(offset === 0 ? '2 free, 3 free, 4 free' : '2 free, 4 free');
  expect(await settle(disk.list(`${folder}/damaged`))).toEqual([`00000001.segment-${at}`]);
  expect(owedText(await recovery())).toBe(owedText(result));
});

test('whoever may have had an outcome in a record that is lost is held, but not who came with it', async () => {
  const sample = segmentOf(
    { number: 1 },
    [
      { number: 1, messages: [message(1), message(2)] },
      { number: 2, syncedThrough: 1, messages: [message(3)], notes: [event(1, 'delivered')] },
      { number: 3, syncedThrough: 2, messages: [message(4)] },
    ],
    digest,
  );
  const outcomeAt = batchNamed(sample, 3) - 4096 + 64 + 200;
  const result = await recoveryOf(flipped(sample, outcomeAt));
  expect(owedText(result)).toBe('1 doubtful, 2 doubtful, 3 free, 4 free');
});

test('a broken batch that the successor counts is damage; what it does not count is not looked at', async () => {
  const successor = segmentOf(
    { number: 2, firstBatch: 9, predecessor: { segment: 1, lastBatch: 2 } },
    batches(9, 1),
    digest,
  );
  const sample = segmentOf({ number: 1 }, batches(1, 3, { syncedThrough: 0 }), digest);
  const damaged = await recoveryOf(flipped(sample, sample.at.get(2)!), successor);
  expect(damaged).toMatchObject({ damages: [{ segment: 1 }] });
  disk = new SimulatedDisk(new SeededRandom(2));
  expect(owedBy(await recoveryOf(flipped(sample, sample.at.get(3)!), successor))).toEqual([1, 2, 9]);
  disk = new SimulatedDisk(new SeededRandom(2));
  expect(owedBy(await recoveryOf(sample, successor))).toEqual([1, 2, 9]);
});

test('where the successor does not know that all of it was synced, a broken batch is an end', async () => {
  const predecessor = { segment: 1, lastBatch: 3, syncedThrough: 1 };
  const successor = segmentOf({ number: 2, firstBatch: 9, predecessor }, batches(9, 1), digest);
  const sample = segmentOf({ number: 1 }, batches(1, 3, { syncedThrough: 0 }), digest);
  const result = await recoveryOf(flipped(sample, sample.at.get(2)!), successor);
  expect(owedBy(result)).toEqual([1, 9]);
  expect(result).toMatchObject({ damages: [], droppedBatches: 1 });
});

test('what accounting has read was on disk: broken it is damage, and missing it is told', async () => {
  const sample = segmentOf({ number: 1 }, batches(1, 3, { syncedThrough: 0 }), digest);
  await settle(layOut(disk, folder, [flipped(sample, sample.at.get(3)! + 100)]));
  const recorded = { epoch: 1, batch: 3 };
  const result = await settle(recover({ disk, digest }, folder, recorded));
  expect(result).toMatchObject({ damages: [{ segment: 1 }], isCutShort: false });
  expect(owedText(result)).toBe('1 doubtful, 2 doubtful');
  disk = new SimulatedDisk(new SeededRandom(2));
  await settle(layOut(disk, folder, [segmentOf({ number: 1 }, batches(1, 3, { syncedThrough: 0 }), digest)]));
  const later = await settle(recover({ disk, digest }, folder, { epoch: 2, batch: 1 }));
  expect(later).toMatchObject({ damages: [], isCutShort: true });
});

test('of batches that are missing behind the end of a segment one damage is told, however many they are', async () => {
  const sample = segmentOf({ number: 1 }, batches(1, 3), digest);
  await settle(layOut(disk, folder, [sample]));
  const ports = { disk, digest };
  const result = await settle(recover(ports, folder, { epoch: 1, batch: 1000 }));
  expect(result).toMatchObject({ damages: [{ segment: 1, at: sample.bytes.length, sizeBytes: 0 }] });
  expect(owedBy(result)).toEqual([1, 2, 3]);
});

test('a footer answers as the records do, and is not asked where nothing counts its last batch', async () => {
  for (const limit of [3, 2]) {
    disk = new SimulatedDisk(new SeededRandom(2));
    const told = [
      { number: 1, messages: [message(1, 3), message(2)] },
      { number: 2, syncedThrough: 1, notes: [event(1, 'deferred', 2, 7), event(2, 'failed')] },
      { number: 3, syncedThrough: 2, messages: [message(3)] },
    ];
    const plain = segmentOf({ number: 1 }, told, digest);
    const successor = segmentOf(
      { number: 2, firstBatch: 9, predecessor: { segment: 1, lastBatch: limit } },
      batches(9, 1),
      digest,
    );
    const byRecords = await recoveryOf(plain, successor);
    disk = new SimulatedDisk(new SeededRandom(2));
    // Without its records only the footer can tell.
    const footed = withFooter(plain, told, digest);
    const byFooter = await recoveryOf(flipped(footed, footed.at.get(1)! + 100), successor);
    if (byRecords.kind !== 'recovered' || byFooter.kind !== 'recovered') throw new Error('not recovered');
    if (limit === 3) expect([...byFooter.owed]).toEqual([...byRecords.owed]);
    expect(byFooter.damages).toHaveLength(limit === 3 ? 0 : 1);
  }
});

test('segments named between a segment and its predecessor count for nothing', async () => {
  const result = await recoveryOf(
    segmentOf({ number: 1 }, batches(1, 2), digest),
    segmentOf({ number: 2, firstBatch: 3, predecessor: { segment: 1, lastBatch: 1 } }, batches(3, 1), digest),
    segmentOf({ number: 3, firstBatch: 4, predecessor: { segment: 1, lastBatch: 2 } }, batches(4, 1), digest),
  );
  expect(owedBy(result)).toEqual([1, 2, 4]);
  expect(result).toMatchObject({ segments: [{ lastBatch: 2 }, { lastBatch: 0 }, { lastBatch: 4 }] });
});

test('the newest segment with a torn header never published anything and counts for nothing', async () => {
  const torn = segmentOf(
    { number: 2, epoch: 2, firstBatch: 3, predecessor: { segment: 1, lastBatch: 2 } },
    batches(3, 1),
    digest,
  );
  const result = await recoveryOf(segmentOf({ number: 1 }, batches(1, 2), digest), headerFlipped(torn));
  expect(owedBy(result)).toEqual([1, 2]);
  expect(result).toMatchObject({ lastSegment: 2, predecessor: { segment: 1, lastBatch: 2 }, epoch: 2 });
});

test.each([
  ['the oldest', 1],
  ['one in the middle', 2],
])('a broken header of %s segment, which a younger one names, is damage', async (_, broken) => {
  const samples = [
    segmentOf({ number: 1 }, batches(1, 1), digest),
    segmentOf({ number: 2, firstBatch: 2, predecessor: { segment: 1, lastBatch: 1 } }, batches(2, 1), digest),
    segmentOf({ number: 3, firstBatch: 3, predecessor: { segment: 2, lastBatch: 2 } }, batches(3, 1), digest),
  ].map((sample) => (sample.header.number === broken ? headerFlipped(sample) : sample));
  expect(await recoveryOf(...samples)).toEqual({
    kind: 'damaged',
    segment: `0000000${broken}.segment`,
    at: 0,
  });
});

test('a missing segment is damage while older ones are there, and reclaimed otherwise', async () => {
  const one = segmentOf({ number: 1 }, batches(1, 1), digest);
  const three = segmentOf(
    { number: 3, firstBatch: 3, predecessor: { segment: 2, lastBatch: 2 } },
    batches(3, 1),
    digest,
  );
  expect(await recoveryOf(one, three)).toMatchObject({ kind: 'damaged', segment: '00000002.segment' });
  disk = new SimulatedDisk(new SeededRandom(2));
  expect(owedBy(await recoveryOf(three))).toEqual([3]);
});

test('a segment under the name of another is damage: believed, it would cut off all between', async () => {
  const one = segmentOf({ number: 1 }, batches(1, 1), digest);
  const two = segmentOf(
    { number: 2, firstBatch: 2, predecessor: { segment: 1, lastBatch: 1 } },
    batches(2, 1),
    digest,
  );
  const copy = { ...one, header: { ...one.header, number: 9 } };
  expect(await recoveryOf(one, two, copy)).toMatchObject({ kind: 'damaged', segment: '00000009.segment' });
});

test('another format is refused by name', async () => {
  const sample = segmentOf({ number: 1 }, batches(1, 1), digest);
  sample.bytes[4] = 7;
  sample.bytes[4 + blockBytes / 2] = 7;
  expect(await recoveryOf(sample)).toEqual({ kind: 'otherVersion', segment: '00000001.segment', version: 7 });
});

test('files that are no segments are left alone', async () => {
  await settle(layOut(disk, folder, [segmentOf({ number: 1 }, batches(1, 1), digest)]));
  for (const name of [
    'lock',
    '.nfs0001',
    '1.segment',
    '00000001.segment.bak',
    '99999999999999999999.segment',
  ]) {
    await settle(disk.open(`${folder}/${name}`, 'create'));
  }
  const result = await recovery();
  expect(owedBy(result)).toEqual([1]);
  expect(result).toMatchObject({ lastSegment: 1 });
});

test('a segment nobody finished writing, empty or cut short, is no damage', async () => {
  const one = segmentOf({ number: 1 }, batches(1, 1), digest);
  const two = segmentOf(
    { number: 2, firstBatch: 2, predecessor: { segment: 1, lastBatch: 1 } },
    batches(2, 1),
    digest,
  );
  for (const length of [0, 1, blockBytes - 1, blockBytes, blockBytes + 63, two.bytes.length - 1]) {
    disk = new SimulatedDisk(new SeededRandom(2));
    expect(owedBy(await recoveryOf(one, { ...two, bytes: two.bytes.slice(0, length) }))).toEqual([1]);
  }
});

test('any failing operation starts it over, and it never goes on without the sync', async () => {
  for (const fault of ['open', 'read', 'write', 'sync', 'syncFolder', 'list'] as const) {
    disk = new SimulatedDisk(new SeededRandom(2));
    await settle(layOut(disk, folder, [segmentOf({ number: 1 }, batches(1, 2), digest)]));
    disk.fail(fault, 4);
    expect(owedBy(await recovery()), fault).toEqual([1, 2]);
    disk.fail(fault, 5);
    expect(await recovery(), fault).toEqual({ kind: 'disk', code: 'EIO' });
  }
});

test('it holds one file open at a time, however many there are', async () => {
  let open = 0;
  let most = 0;
  const counting: Disk = {
    list: (path) => disk.list(path),
    makeFolder: (path) => disk.makeFolder(path),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    syncFolder: (path) => disk.syncFolder(path),
    space: (path) => disk.space(path),
    async open(path, how) {
      const file = await disk.open(path, how);
      most = Math.max(most, ++open);
      return { ...file, close: () => file.close().finally(() => open--) };
    },
  };
  const samples = Array.from({ length: 9 }, (_, i) =>
    segmentOf(
      { number: i + 1, firstBatch: i + 1, predecessor: i === 0 ? undefined : { segment: i, lastBatch: i } },
      batches(i + 1, 1),
      digest,
    ),
  );
  await settle(layOut(disk, folder, samples));
  expect(owedBy(await recovery(0, counting))).toHaveLength(9);
  expect({ open, most }).toEqual({ open: 0, most: 1 });
});

/** What does not count may go at any time. */
function whatCounts(result: Recovered | RecoveryFailure): unknown {
  if (result.kind !== 'recovered') return result;
  const segments = result.segments.map(({ number, epoch, lastBatch }) => ({ number, epoch, lastBatch }));
  return { ...result, segments, droppedBatches: undefined };
}

test('what a recovery answered is what every later one answers, whatever interrupts those between', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed);
    disk = new SimulatedDisk(random);
    // A busy life that ends in a crash, some of its syncs failed.
    const first = await recovery();
    if (first.kind !== 'recovered') throw new Error(first.kind);
    const events = { published: () => undefined, failed: () => undefined };
    const spool = new SegmentSpool({ disk, clock, random, digest }, folder, first, options, events);
    await settle(spool.started);
    const owner = { answer: () => undefined, owed: () => undefined };
    for (let steps = 60 + random.below(60); steps > 0; steps--) {
      if (random.oneIn(5)) spool.putMessage(messageOf(spool.nextId(), { bodyBytes: 700 }), owner);
      if (random.oneIn(40)) disk.fail('sync');
      disk.step();
      clock.advance(5);
      await drain();
    }
    const crash = (): void => {
      clock.dropAlarms();
      if (random.oneIn(2)) disk.kill();
      else disk.powerLoss();
    };
    crash();
    const answer = await calmRecovery();
    expect(answer.kind).toBe('recovered');
    for (let interruptions = 4; interruptions > 0; interruptions--) {
      recover({ disk, digest }, folder, beforeAll).catch(() => undefined);
      if (random.oneIn(2)) disk.fail(random.pick(['sync', 'write', 'syncFolder', 'read'] as const));
      for (let steps = random.below(50); steps > 0; steps--) {
        disk.step();
        await drain();
      }
      crash();
    }
    expect(whatCounts(await calmRecovery()), `seed ${seed}`).toEqual(whatCounts(answer));
  }
});

test('a folder made by the first start survives the power loss after it', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    disk = new SimulatedDisk(new SeededRandom(seed));
    const first = await recovery();
    if (first.kind !== 'recovered') throw new Error(first.kind);
    const events = { published: () => undefined, failed: () => undefined };
    const spool = new SegmentSpool(
      { disk, clock, random: new SeededRandom(1), digest },
      folder,
      first,
      options,
      events,
    );
    await settle(spool.started);
    disk.powerLoss();
    clock.dropAlarms();
    expect(await recovery()).toMatchObject({ epoch: 2, lastSegment: 1 });
  }
});
