import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import { beforeAll as beforeEverything, type Watermark } from '../message/batchPosition.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { BatchReader } from './batchReader.ts';
import {
  type BatchSample,
  eventOf,
  flipped,
  headerFlipped,
  layOut,
  messageOf,
  type SegmentSample,
  segmentOf,
  settled,
} from './samples.testing.ts';

const digest = systemDigest();
const folder = '/spool';
const clock = new VirtualClock();
let disk: SimulatedDisk;
let reader: BatchReader;

beforeEach(() => {
  disk = new SimulatedDisk(new SeededRandom(1));
  reader = new BatchReader(disk, digest, folder, beforeEverything);
});

function batches(first: number, last: number): BatchSample[] {
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const message = messageOf({ epoch: 1, sequence: first + i }, { bodyBytes: 5000 });
    const event = eventOf(message.envelope, 0, 'delivered', first + i);
    return {
      number: first + i,
      messages: [message],
      notes: [{ kind: 'event' as const, event, messageSegment: 1 }],
    };
  });
}

/** Batches 1 to 3, of which the second segment counts 2; 4 and 5; in a third of another epoch 6 and 7. */
const one = segmentOf({ number: 1 }, batches(1, 3), digest);
const two = segmentOf(
  { number: 2, firstBatch: 4, predecessor: { segment: 1, lastBatch: 2 } },
  batches(4, 5),
  digest,
);
const three = segmentOf(
  { number: 4, epoch: 2, firstBatch: 1, predecessor: { segment: 2, lastBatch: 5 } },
  batches(1, 2),
  digest,
);

const inTwo = (batch: number): Watermark => ({ segment: 2, epoch: 1, batch });

function settle<T>(promise: Promise<T>): Promise<T> {
  return settled({ disk, clock }, promise);
}

const lay = (...segments: readonly SegmentSample[]): Promise<void> => settle(layOut(disk, folder, segments));

/** Batch numbers of one call, or what was damaged. */
async function next(watermark: Watermark, max = 100): Promise<readonly number[] | string> {
  const read = await settle(reader.next(watermark, max));
  return 'kind' in read ? `${read.segment} ${read.at}` : read.map(({ position }) => position.batch);
}

test('it reads up to the watermark and no further, whatever lies behind', async () => {
  await lay(one, two);
  expect(await next({ segment: 1, epoch: 1, batch: 1 })).toEqual([1]);
  expect(await next({ segment: 1, epoch: 1, batch: 1 })).toEqual([]);
  expect(await next({ segment: 1, epoch: 1, batch: 2 })).toEqual([2]);
  expect(await next(inTwo(4))).toEqual([4]);
  expect(await next(inTwo(5))).toEqual([5]);
});

test('in a segment it stops where the successor says that it ends', async () => {
  await lay(one, two, three);
  const read = await settle(reader.next({ segment: 4, epoch: 2, batch: 2 }, 100));
  if ('kind' in read) throw new Error(read.kind);
  expect(read.map(({ position: { epoch, batch } }) => `${epoch}.${batch}`)).toEqual([
    ...['1.1', '1.2', '1.4', '1.5', '2.1', '2.2'],
  ]);
  expect(read.map(({ events }) => events.map((event) => 'attempts' in event && event.attempts))).toEqual([
    [1],
    [2],
    [4],
    [5],
    [1],
    [2],
  ]);
  expect(read.map(({ envelopes }) => envelopes.map(({ id }) => id.sequence))).toEqual([
    [1],
    [2],
    [4],
    [5],
    [1],
    [2],
  ]);
});

test('it gives no more than it is asked for, and goes on there', async () => {
  await lay(one, two);
  expect(await next(inTwo(5), 3)).toEqual([1, 2, 4]);
  expect(await next(inTwo(5), 3)).toEqual([5]);
});

test('nothing at or before its start is given', async () => {
  await lay(one, two, three);
  reader = new BatchReader(disk, digest, folder, { epoch: 1, batch: 4 });
  expect(await next({ segment: 4, epoch: 2, batch: 2 })).toEqual([5, 1, 2]);
});

test('envelopes are left out for who does not want them, and damage in them is still noticed', async () => {
  await lay(one);
  reader = new BatchReader(disk, digest, folder, beforeEverything, false);
  const read = await settle(reader.next({ segment: 1, epoch: 1, batch: 1 }, 9));
  expect(read).toMatchObject([{ envelopes: [], events: [{ attempts: 1 }] }]);
  disk = new SimulatedDisk(new SeededRandom(2));
  await lay(flipped(one, one.at.get(1)! + 100));
  reader = new BatchReader(disk, digest, folder, beforeEverything, false);
  const damaged = await settle(reader.next({ segment: 1, epoch: 1, batch: 1 }, 9));
  expect(damaged).toMatchObject([{ envelopes: [], events: [{ attempts: 1 }], damage: { at: 4096 } }]);
});

test('bodies are skipped, so their damage is none of its business', async () => {
  await lay(flipped(one, one.at.get(1)! + 3000), two);
  expect(await next(inTwo(5))).toEqual([1, 2, 4, 5]);
});

test('of a damaged batch what can be read is given, its damage is told, and the next one follows', async () => {
  await lay(one, flipped(two, two.at.get(4)! + 100), three);
  const read = await settle(reader.next({ segment: 4, epoch: 2, batch: 1 }, 9));
  if ('kind' in read) throw new Error(read.kind);
  expect(read.map(({ position, damage }) => [position.batch, damage?.at])).toEqual([
    [1, undefined],
    [2, undefined],
    [4, two.at.get(4)],
    [5, undefined],
    [1, undefined],
  ]);
  // The envelope is lost, the event behind it is whole.
  expect(read[2]).toMatchObject({ envelopes: [], events: [{ attempts: 4 }] });
});

test('a batch that is not there, although it was called synced, is damage', async () => {
  await lay(one, two);
  expect(await next(inTwo(6), 4)).toEqual([1, 2, 4, 5]);
  const read = await settle(reader.next(inTwo(6), 9));
  expect(read).toMatchObject([{ events: [], envelopes: [], damage: { at: two.bytes.length, sizeBytes: 0 } }]);
});

test('a broken header on the way to the watermark is damage, not an end', async () => {
  await lay(headerFlipped(one), two);
  expect(await next(inTwo(5))).toBe('00000001.segment 0');
});

test('it begins with the oldest segment that is there: those before it were passed and reclaimed', async () => {
  await lay(two, three);
  reader = new BatchReader(disk, digest, folder, { epoch: 1, batch: 4 });
  expect(await next({ segment: 4, epoch: 2, batch: 1 })).toEqual([5, 1]);
});

test('after any failing operation it goes on behind what it gave last', async () => {
  for (const fault of ['open', 'read', 'list'] as const) {
    disk = new SimulatedDisk(new SeededRandom(2));
    await lay(one, two);
    reader = new BatchReader(disk, digest, folder, beforeEverything);
    expect(await next({ segment: 1, epoch: 1, batch: 1 })).toEqual([1]);
    disk.fail(fault);
    await expect(next(inTwo(5)), fault).rejects.toMatchObject({ code: 'EIO' });
    expect(await next(inTwo(5)), fault).toEqual([2, 4, 5]);
  }
});

test('a failure does not send it back to a segment that was reclaimed meanwhile', async () => {
  await lay(one, two);
  expect(await next(inTwo(4))).toEqual([1, 2, 4]);
  await settle(disk.unlink(`${folder}/00000001.segment`));
  disk.fail('read');
  await expect(next(inTwo(5))).rejects.toMatchObject({ code: 'EIO' });
  expect(await next(inTwo(5))).toEqual([5]);
});
