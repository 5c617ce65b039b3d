import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { type BatchHeader, blockBytes, decodeSegmentHeader, type SegmentHeader } from './frame.ts';
import { HeldDisk } from './heldDisk.testing.ts';
import { wholeRecords } from './record.ts';
import { drain, envelopeOf, eventOf, messageOf } from './samples.testing.ts';
import { findBatch, readBatchRecords } from './segmentFile.ts';
import { SegmentWriter } from './segmentWriter.ts';
import type { Durability } from './spool.ts';

const sizes = {
  segmentBytes: 512 * 1024,
  batchBytes: 96 * 1024,
  overlapBytes: 32 * 1024,
  bodyFileBytes: 1e9,
};
const digest = systemDigest();
let disk: HeldDisk;
let clock: VirtualClock;
let writer: SegmentWriter;
/** What owners and the spool were told, in order: `1 stored`, `1 owed`, `1 refused`, `batch 2`, `failed EIO`. */
let told: string[];
let locations: SpoolLocation[];
let sequence: number;

function begin(durability: Durability = 'sync'): void {
  const start = { folder: '/s', epoch: 4, lastSegment: 0, predecessor: undefined, durability, sizes };
  writer = new SegmentWriter({ disk, clock, random: new SeededRandom(1), digest }, start, {
    opened: ({ number }) => void told.push(`segment ${number}`),
    published: (batch) => void told.push(`batch ${batch.number}`),
    failed: (code) => void told.push(`failed ${code}`),
  });
}

beforeEach(async () => {
  disk = new HeldDisk();
  clock = new VirtualClock();
  told = [];
  locations = [];
  sequence = 0;
});

/** The first, empty batch of the start is durable. */
async function beginAndPublish(durability: Durability = 'sync'): Promise<void> {
  begin(durability);
  await disk.finishAll();
  expect(told.splice(0)).toEqual(['segment 1', 'batch 1']);
}

function put(bodyBytes = 10, durability: Durability = 'sync'): void {
  sequence += 1;
  const key = sequence;
  writer.putMessage(messageOf({ epoch: 4, sequence }, { bodyBytes, durability }), {
    answer: (stored) => void told.push(`${key} ${stored ? 'stored' : 'refused'}`),
    owed: (location) => {
      told.push(`${key} owed`);
      locations.push(location);
    },
  });
}

function putEvent(attempts = 1): void {
  const envelope = envelopeOf({ epoch: 4, sequence: 1 }, 1);
  writer.putNote({ kind: 'event', event: eventOf(envelope, 0, 'deferred', attempts), messageSegment: 1 });
}

function putReported(attempts: readonly number[], bodyBytes = 10): void {
  sequence += 1;
  const key = sequence;
  const envelope = envelopeOf({ epoch: 4, sequence: 1 }, attempts.length);
  writer.putReport(
    attempts.map((count, index) => ({
      kind: 'event',
      event: eventOf(envelope, index, 'failed', count),
      messageSegment: 1,
    })),
    {
      message: messageOf({ epoch: 4, sequence }, { bodyBytes, durability: 'none' }),
      owner: { answer: () => void told.push(`${key} answered`), owed: () => void told.push(`${key} owed`) },
    },
  );
}

interface ReadSegment {
  readonly header: SegmentHeader;
  readonly batches: readonly {
    readonly header: BatchHeader;
    readonly says: readonly string[];
    readonly bytes: number;
  }[];
}

/** What lies in a segment: messages by sequence, events by their attempts. */
async function segment(number: number): Promise<ReadSegment> {
  const bytes = disk.files.get(`/s/0000000${number}.segment`)!;
  const read = decodeSegmentHeader(bytes.subarray(0, blockBytes), digest);
  if (read.kind !== 'whole') throw new Error('no segment header');
  const file = { read: async (at: number, length: number) => bytes.subarray(at, at + length) };
  const batches = [];
  for (let at = blockBytes; at < bytes.length; ) {
    const found = await findBatch(file, at, bytes.length, read.header, digest);
    if (found === undefined) break;
    const records = (await readBatchRecords(file, found, read.header.salt, digest, wholeRecords))!;
    const says = records.map((record) => {
      if (record.kind === 'event') return `event ${record.event.attempts}`;
      return 'envelope' in record ? `message ${record.envelope.id.sequence}` : record.kind;
    });
    const used = found.header.recordBytes + found.header.bodyBytes + 64;
    const frame = Math.ceil(used / blockBytes) * blockBytes;
    batches.push({ header: found.header, says, bytes: frame });
    at += frame;
  }
  return { header: read.header, batches };
}

test('nothing is published before the first segment, its folder entry included, is synced', async () => {
  begin();
  put();
  expect(await disk.held()).toEqual(['open']);
  await disk.finish('open');
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finish('writeSynced');
  expect(await disk.held()).toEqual(['syncFolder']);
  expect(told).toEqual(['segment 1']);
  await disk.finish('syncFolder');
  expect(told).toEqual(['segment 1', '1 stored', '1 owed', 'batch 1']);
});

test('a message is answered behind its synced write, and lies where its owner was told', async () => {
  await beginAndPublish();
  put(50);
  expect(await disk.held()).toEqual(['writeSynced']);
  expect(told).toEqual([]);
  await disk.finish('writeSynced');
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2']);
  const { header, batches } = await segment(1);
  expect(header).toMatchObject({ number: 1, epoch: 4, firstBatch: 1, predecessor: undefined });
  expect(
    batches.map(({ header: { number, syncedThrough }, says }) => ({ number, syncedThrough, says })),
  ).toEqual([
    { number: 1, syncedThrough: 0, says: [] },
    { number: 2, syncedThrough: 1, says: ['message 1'] },
  ]);
  expect(locations[0]).toMatchObject({ segment: 1, recordAt: 2 * blockBytes + 64 });
});

test('what is put at one moment, or while a batch is under way, shares one batch', async () => {
  await beginAndPublish();
  for (let i = 0; i < 5; i++) put();
  expect(await disk.held()).toEqual(['writeSynced']);
  for (let i = 0; i < 10; i++) {
    put();
    expect(await disk.held()).toEqual(['writeSynced']);
  }
  await disk.finishAll();
  const { batches } = await segment(1);
  expect(batches.map(({ says }) => says.length)).toEqual([0, 5, 10]);
  expect(batches.map(({ header }) => header.syncedThrough)).toEqual([0, 1, 2]);
});

test('one batch that has grown overlaps the one under way, and says only what is synced by then', async () => {
  await beginAndPublish();
  put();
  await disk.held();
  put(20_000);
  expect(await disk.held()).toEqual(['writeSynced']);
  put(20_000);
  expect(await disk.held()).toEqual(['writeSynced', 'writeSynced']);
  put(50_000);
  expect(await disk.held()).toEqual(['writeSynced', 'writeSynced']);
  await disk.finishAll();
  const { batches } = await segment(1);
  expect(batches.map(({ says }) => says.length)).toEqual([0, 1, 2, 1]);
  expect(batches.map(({ header }) => header.syncedThrough)).toEqual([0, 1, 1, 2]);
});

test('a batch that is durable before its predecessor is published behind it', async () => {
  await beginAndPublish();
  put();
  await disk.held();
  put(50_000);
  await disk.finishLast('writeSynced');
  expect(told).toEqual([]);
  await disk.finish('writeSynced');
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2', '2 stored', '2 owed', 'batch 3']);
});

test('a batch is capped, and a message larger than the cap has one of its own', async () => {
  await beginAndPublish();
  put();
  await disk.held();
  for (const bodyBytes of [60_000, 60_000, 200_000, 100, 100]) put(bodyBytes);
  await disk.finishAll();
  const { batches } = await segment(1);
  expect(batches.map(({ says }) => says)).toEqual([
    [],
    ['message 1'],
    ['message 2'],
    ['message 3'],
    ['message 4'],
    ['message 5', 'message 6'],
  ]);
});

test('events wait 100 ms for company, and no longer', async () => {
  await beginAndPublish();
  putEvent(1);
  expect(await disk.held()).toEqual([]);
  clock.advance(60);
  putEvent(2);
  expect(await disk.held()).toEqual([]);
  clock.advance(39);
  expect(await disk.held()).toEqual([]);
  expect(writer.unsyncedEvents).toBe(2);
  clock.advance(1);
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finishAll();
  expect(writer.unsyncedEvents).toBe(0);
  expect((await segment(1)).batches.at(-1)!.says).toEqual(['event 1', 'event 2']);
});

test('events ride with the next message, and those behind it wait their own 100 ms', async () => {
  await beginAndPublish();
  putEvent(1);
  expect(await disk.held()).toEqual([]);
  clock.advance(90);
  put();
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finishAll();
  expect((await segment(1)).batches.at(-1)!.says).toEqual(['event 1', 'message 1']);
  putEvent(2);
  expect(await disk.held()).toEqual([]);
  clock.advance(99);
  expect(await disk.held()).toEqual([]);
  clock.advance(1);
  expect(await disk.held()).toEqual(['writeSynced']);
});

test('the 256th event forces the sync', async () => {
  await beginAndPublish();
  for (let i = 0; i < 255; i++) putEvent();
  expect(await disk.held()).toEqual([]);
  putEvent();
  expect(await disk.held()).toEqual(['writeSynced']);
});

test('a segment that is full is followed by another only when all of it has answered', async () => {
  await beginAndPublish();
  put(10);
  await disk.held();
  put(520_000);
  await disk.held();
  put(50_000);
  expect(await disk.held()).toEqual(['writeSynced', 'writeSynced']);
  await disk.finishLast('writeSynced');
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finish('writeSynced');
  // Its footer, which nothing waits for.
  expect(await disk.held()).toEqual(['write', 'open']);
  told.length = 0;
  await disk.finish('open', 'writeSynced');
  expect(told).toEqual(['segment 2']);
  await disk.finish('syncFolder');
  expect(told).toEqual(['segment 2', '3 stored', '3 owed', 'batch 4']);
  const { header, batches } = await segment(2);
  expect(header).toMatchObject({ number: 2, firstBatch: 4, predecessor: { segment: 1, lastBatch: 3 } });
  expect(batches[0]!.header).toMatchObject({ number: 4, syncedThrough: 0 });
});

test('every segment has a salt of its own', async () => {
  await beginAndPublish();
  put(520_000);
  await disk.finishAll();
  put();
  await disk.finishAll();
  expect((await segment(1)).header.salt).not.toBe((await segment(2)).header.salt);
});

test('a message larger than a segment is stored whole', async () => {
  await beginAndPublish();
  put(600_000);
  await disk.finishAll();
  expect(told).toContain('1 stored');
  const { batches } = await segment(1);
  expect(batches[1]).toMatchObject({ says: ['message 1'], header: { bodyBytes: 600_002 } });
});

test('a failed batch refuses its messages once the next segment is published, and keeps them counted till then', async () => {
  await beginAndPublish();
  put();
  put();
  await disk.held();
  put();
  await disk.fail('writeSynced');
  expect(told.splice(0)).toEqual(['failed EIO']);
  const heldBytes = writer.pendingBytes;
  expect(heldBytes).toBeGreaterThan(36);
  clock.advance(99);
  expect(await disk.held()).toEqual([]);
  clock.advance(1);
  await disk.finish('open', 'writeSynced');
  expect(told.splice(0)).toEqual(['segment 2']);
  expect(writer.pendingBytes).toBe(heldBytes);
  await disk.finish('syncFolder');
  expect(told).toEqual(['3 stored', '3 owed', '1 refused', '2 refused', 'batch 3']);
  expect(writer.pendingBytes).toBe(0);
  const { header, batches } = await segment(2);
  expect(header).toMatchObject({ firstBatch: 3, predecessor: { segment: 1, lastBatch: 1 } });
  expect(batches.map(({ says }) => says)).toEqual([['message 3']]);
});

test('an empty batch is published when nothing but refusals waits for it', async () => {
  await beginAndPublish();
  put();
  await disk.fail('writeSynced', 'ENOSPC');
  clock.advance(100);
  await disk.finishAll();
  expect(told).toEqual(['failed ENOSPC', 'segment 2', '1 refused', 'batch 3']);
});

test('a failed folder sync is a failed sync', async () => {
  begin();
  put();
  await disk.finish('open', 'writeSynced');
  await disk.fail('syncFolder');
  expect(told).toEqual(['segment 1', 'failed EIO']);
  clock.advance(100);
  await disk.finishAll();
  expect(told.slice(2)).toEqual(['segment 2', '1 refused', 'batch 2']);
  expect((await segment(2)).header.predecessor).toBeUndefined();
});

test('two failures in a row leave the chain at the last segment that holds a synced batch', async () => {
  await beginAndPublish();
  put();
  await disk.fail('writeSynced');
  clock.advance(100);
  await disk.finish('open');
  await disk.fail('writeSynced');
  clock.advance(200);
  await disk.finishAll();
  expect((await segment(3)).header).toMatchObject({
    firstBatch: 4,
    predecessor: { segment: 1, lastBatch: 1 },
  });
});

test.each([
  ['the earlier fails, then the later is stored', ['fail', 'finish']],
  ['the earlier fails, then the later', ['fail', 'fail']],
  ['the later fails, then the earlier', ['failLast', 'fail']],
  // Two writes share a descriptor, which reports an error once: the one told of success may be the one lost.
  ['the later fails, then the earlier is stored', ['failLast', 'finish']],
  ['the later is stored, then the earlier fails', ['finishLast', 'fail']],
] as const)('of two batches under way neither counts when %s', async (_, ends) => {
  await beginAndPublish();
  put();
  await disk.held();
  put(50_000);
  await disk[ends[0]]('writeSynced');
  clock.advance(5000);
  // Nothing of the old segment may be under way when the new one is opened.
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk[ends[1]]('writeSynced');
  clock.advance(100);
  await disk.finishAll();
  const words = told.filter((word) => !word.startsWith('failed'));
  expect(words).toEqual(['segment 2', '1 refused', '2 refused', 'batch 4']);
  expect((await segment(2)).header.predecessor).toEqual({ segment: 1, lastBatch: 1, syncedThrough: 1 });
});

test('outcomes and deferrals of failed batches are written again, in their order and before younger ones', async () => {
  await beginAndPublish();
  putEvent(1);
  putEvent(2);
  put();
  await disk.held();
  putEvent(3);
  put(50_000);
  await disk.held();
  putEvent(4);
  const putAtMs = clock.monotonicMs();
  clock.advance(50);
  await disk.fail('writeSynced');
  await disk.finish('writeSynced');
  expect(writer.unsyncedEvents).toBe(4);
  expect(writer.oldestNoteMs).toBe(putAtMs);
  clock.advance(100);
  await disk.finishAll();
  expect((await segment(2)).batches.flatMap(({ says }) => says)).toEqual(
    [1, 2, 3, 4].map((attempts) => `event ${attempts}`),
  );
  expect(writer.unsyncedEvents).toBe(0);
  expect(writer.oldestNoteMs).toBe(Number.POSITIVE_INFINITY);
});

test('outcomes and their report share a batch where the cap would part them', async () => {
  await beginAndPublish();
  put(90 * 1024);
  putReported([1, 2], 10 * 1024);
  putEvent(3);
  clock.advance(100);
  await disk.finishAll();
  const { batches } = await segment(1);
  const filled = batches.map(({ says }) => says).filter((says) => says.length > 0);
  expect(filled[0]).toEqual(['message 1']);
  expect(filled[1]).toEqual(['event 1', 'event 2', 'message 2', 'event 3']);
});

test('a report waits as long as the outcomes it comes with, and is owed with its batch', async () => {
  await beginAndPublish();
  putReported([1]);
  expect(writer.unsyncedEvents).toBe(1);
  expect(writer.pendingBytes).toBeGreaterThan(10);
  clock.advance(99);
  expect(await disk.held()).toEqual([]);
  clock.advance(1);
  await disk.finishAll();
  expect(told).toEqual(['1 owed', 'batch 2']);
  expect([writer.unsyncedEvents, writer.pendingBytes]).toEqual([0, 0]);
});

test('outcomes and report of a failed batch are written again together, in their order, and owed once', async () => {
  await beginAndPublish();
  putEvent(1);
  putReported([2, 3], 50 * 1024);
  putEvent(4);
  put(10);
  await disk.fail('writeSynced');
  // What waits behind it is larger than the cap allows in one batch.
  put(60 * 1024);
  clock.advance(100);
  await disk.finishAll();
  const { batches } = await segment(2);
  expect(batches[0]!.says).toEqual(['event 1', 'event 2', 'event 3', 'message 1', 'event 4']);
  expect(batches[1]!.says).toEqual(['message 3']);
  expect(told.filter((one) => one.startsWith('1 '))).toEqual(['1 owed']);
  expect(told).toContain('2 refused');
  expect([writer.unsyncedEvents, writer.pendingBytes]).toEqual([0, 0]);
});

test('a disk that stays broken is tried ever more rarely, and nothing is answered meanwhile', async () => {
  await beginAndPublish();
  put();
  await disk.fail('writeSynced');
  const delays = [];
  for (let tries = 0; tries < 7; tries++) {
    let waited = 0;
    for (; (await disk.held()).length === 0; waited++) clock.advance(1);
    delays.push(waited);
    await disk.fail('open', 'ENOSPC');
  }
  expect(delays).toEqual([100, 200, 400, 800, 1600, 2000, 2000]);
  expect(told.filter((word) => !word.startsWith('failed'))).toEqual([]);
  expect(writer.pendingBytes).toBeGreaterThan(12);
  clock.advance(2000);
  await disk.finishAll();
  expect(told.slice(-2)).toEqual(['1 refused', 'batch 3']);
});

test('with durability os the reply leaves behind the write, and the message is owed with its batch', async () => {
  await beginAndPublish('os');
  put(10, 'os');
  expect(told).toEqual([]);
  await disk.finish('write');
  expect(await disk.held()).toEqual([]);
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2']);
});

test('with durability none the reply leaves at once', async () => {
  await beginAndPublish('none');
  put(10, 'none');
  expect(told).toEqual(['1 stored']);
  await disk.finish('write');
  expect(await disk.held()).toEqual([]);
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2']);
});

test('a message that asks for a sync gets one whatever the others do', async () => {
  await beginAndPublish('none');
  put(10, 'sync');
  await disk.finish('write');
  expect(await disk.held()).toEqual(['sync']);
  expect(told).toEqual([]);
  await disk.finish('sync');
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2']);
});

test('where outcomes are synced, a message that does not care is synced with them', async () => {
  await beginAndPublish('sync');
  put(10, 'os');
  expect(await disk.held()).toEqual(['writeSynced']);
  expect(told).toEqual([]);
  await disk.finish('writeSynced');
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2']);
});

test('a message that was answered before its batch failed is written again, not refused', async () => {
  await beginAndPublish('os');
  put(10, 'none');
  put(10, 'os');
  put(10, 'sync');
  await disk.finish('write');
  expect(told.splice(0)).toEqual(['1 stored', '2 stored']);
  await disk.fail('sync');
  clock.advance(100);
  await disk.finishAll();
  expect(told).toEqual(['failed EIO', 'segment 2', '1 owed', '2 owed', '3 refused', 'batch 3']);
  expect((await segment(2)).batches[0]!.says).toEqual(['message 1', 'message 2']);
  expect(writer.pendingBytes).toBe(0);
});

test('messages written again keep to the cap of a batch', async () => {
  await beginAndPublish('none');
  put(90_000, 'none');
  await disk.held();
  put(90_000, 'none');
  await disk.fail('write');
  clock.advance(100);
  await disk.finishAll();
  expect((await segment(2)).batches.map(({ says }) => says)).toEqual([['message 1'], ['message 2']]);
});

test('without syncs no batch is written while another is: a sync would vouch for what is not there yet', async () => {
  await beginAndPublish('none');
  put(10, 'none');
  await disk.held();
  put(50_000, 'sync');
  expect(await disk.held()).toEqual(['write']);
  await disk.finishAll();
  const { batches } = await segment(1);
  expect(batches.map(({ header }) => header.syncedThrough)).toEqual([0, 1, 1]);
});

test('without syncs the first batch of a segment is synced all the same: the epoch must not come again', async () => {
  begin('none');
  await disk.finish('open', 'write');
  expect(await disk.held()).toEqual(['sync']);
  expect(told).toEqual(['segment 1']);
  await disk.finish('sync', 'syncFolder');
  expect(told).toEqual(['segment 1', 'batch 1']);
});

test('without syncs a full segment is synced before the next one says what of it counts', async () => {
  await beginAndPublish('none');
  put(520_000, 'none');
  await disk.finish('write');
  put(10, 'none');
  expect(await disk.held()).toEqual(['sync']);
  await disk.finish('sync');
  expect(await disk.held()).toEqual(['write', 'open']);
  await disk.finishAll();
  expect((await segment(2)).header.predecessor).toEqual({ segment: 1, lastBatch: 2, syncedThrough: 2 });
});

test('close publishes what waits, events before their time included, and closes every file', async () => {
  await beginAndPublish();
  put();
  await disk.held();
  putEvent();
  let isClosed = false;
  void writer.close().then(() => {
    isClosed = true;
  });
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finish('writeSynced');
  expect(await disk.held()).toEqual(['writeSynced']);
  expect(isClosed).toBe(false);
  await disk.finishAll();
  await drain();
  expect(isClosed).toBe(true);
  expect(told).toEqual(['1 stored', '1 owed', 'batch 2', 'batch 3']);
  expect(disk.openFiles).toBe(0);
  expect(clock.nextAlarmMs).toBe(Number.POSITIVE_INFINITY);
});

test('close goes through a failure: refusals leave, outcomes are written again', async () => {
  await beginAndPublish();
  putEvent(7);
  put();
  let isClosed = false;
  void writer.close().then(() => {
    isClosed = true;
  });
  await disk.fail('writeSynced');
  clock.advance(100);
  await disk.fail('open');
  expect(isClosed).toBe(false);
  clock.advance(200);
  await disk.finishAll();
  await drain();
  expect(isClosed).toBe(true);
  expect(told.slice(-2)).toEqual(['1 refused', 'batch 3']);
  expect((await segment(3)).batches[0]!.says).toEqual(['event 7']);
  expect(disk.openFiles).toBe(0);
});

test('without syncs close makes the last batches durable', async () => {
  await beginAndPublish('none');
  put(10, 'none');
  await disk.finish('write');
  void writer.close();
  expect(await disk.held()).toEqual(['sync']);
});

test('what an owner puts while it is told goes into a later batch', async () => {
  await beginAndPublish();
  sequence += 1;
  writer.putMessage(messageOf({ epoch: 4, sequence }), {
    answer: () => put(),
    owed: () => put(520_000),
  });
  await disk.finishAll();
  expect((await segment(1)).batches.map(({ says }) => says)).toEqual([
    [],
    ['message 1'],
    ['message 2'],
    ['message 3'],
  ]);
  expect(told).toEqual(['batch 2', '2 stored', '2 owed', 'batch 3', '3 stored', '3 owed', 'batch 4']);
});
