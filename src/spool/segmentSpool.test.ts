import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { Watermark } from '../message/batchPosition.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import type { OwedMail } from './copyForward.ts';
import { segmentName, spoolSizes } from './frame.ts';
import { HeldDisk } from './heldDisk.testing.ts';
import { OwedIndex } from './owedIndex.ts';
import type { Recovered } from './recovery.ts';
import { drain, eventOf, messageOf } from './samples.testing.ts';
import { SegmentSpool } from './segmentSpool.ts';
import type { NewMessage } from './spool.ts';

const digest = systemDigest();
/** Every message fills its segment. */
const sizes = { ...spoolSizes, segmentBytes: 12 * 1024 };
const nothingRecovered: Recovered = {
  kind: 'recovered',
  epoch: 1,
  lastSegment: 0,
  predecessor: undefined,
  segments: [],
  owed: new OwedIndex(),
  droppedBatches: 0,
  damages: [],
  isCutShort: false,
};
let disk: HeldDisk;
let clock: VirtualClock;
let spool: SegmentSpool;
let failures: string[];
let watermark: Watermark | undefined;

function begin(recovered = nothingRecovered): void {
  const ports = { disk, clock, random: new SeededRandom(1), digest };
  spool = new SegmentSpool(
    ports,
    '/s',
    recovered,
    { durability: 'sync', minFreeBytes: 0, sizes },
    {
      published: (mark) => {
        watermark = mark;
      },
      failed: (code, segment) => void failures.push(`${code} ${segment}`),
    },
  );
}

beforeEach(async () => {
  disk = new HeldDisk();
  clock = new VirtualClock();
  failures = [];
  begin();
  await disk.finishAll();
  disk.done.length = 0;
});

interface Stored {
  readonly message: NewMessage;
  readonly location: SpoolLocation;
}

async function store(recipients = 1, bodyBytes = 9000): Promise<Stored> {
  const message = messageOf(spool.nextId(), { recipients, bodyBytes });
  let location: SpoolLocation | undefined;
  spool.putMessage(message, {
    answer: () => undefined,
    owed: (place) => {
      location = place;
    },
  });
  await disk.finishAll();
  return { message, location: location! };
}

function put({ message, location }: Stored, kind: 'delivered' | 'failed' | 'deferred', index = 0): void {
  spool.putEvent(eventOf(message.envelope, index, kind, 1), location.segment);
}

async function publishEvents(): Promise<void> {
  clock.advance(100);
  await disk.finishAll();
}

/** The recorder has everything, and whatever follows from it is done. */
async function recordAll(): Promise<void> {
  spool.recorded(watermark!);
  await drain();
  await disk.finishAll();
}

const present = async (): Promise<readonly number[]> =>
  (await disk.list('/s')).map((name) => Number.parseInt(name, 10));

test('ids rise within the epoch and are never given twice', () => {
  const ids = Array.from({ length: 100 }, () => spool.nextId());
  expect(ids.map(({ epoch }) => epoch)).toEqual(ids.map(() => 1));
  expect(ids.every(({ sequence }, i) => i === 0 || sequence > ids[i - 1]!.sequence)).toBe(true);
});

test('a start is over when its first segment is durable', async () => {
  disk = new HeldDisk();
  begin();
  let isStarted = false;
  void spool.started.then(() => {
    isStarted = true;
  });
  await disk.finish('open', 'writeSynced');
  expect(isStarted).toBe(false);
  await disk.finish('syncFolder');
  expect(isStarted).toBe(true);
});

test('a message is read as it was put', async () => {
  const stored = await store(3, 5000);
  expect(await spool.read(stored.location)).toEqual({
    kind: 'stored',
    envelope: stored.message.envelope,
    content: stored.message.content,
  });
});

test('a message that is damaged on disk is told so, wherever a bit flipped', async () => {
  const { location } = await store(1, 500);
  const bytes = disk.files.get('/s/00000001.segment')!;
  const bodyAt = bytes.lastIndexOf(1);
  for (const at of [bodyAt, location.recordAt + 4, location.recordAt + 14, location.recordAt + 80]) {
    bytes[at]! ^= 4;
    expect(await spool.read(location), `byte ${at}`).toEqual({ kind: 'unreadable', code: 'damaged' });
    bytes[at]! ^= 4;
  }
  expect(await spool.read(location)).toMatchObject({ kind: 'stored' });
});

test('a segment that is gone or whose header is damaged is told by its code, and tried again', async () => {
  const { location } = await store();
  const path = '/s/00000001.segment';
  const bytes = disk.files.get(path)!;
  disk.files.delete(path);
  expect(await spool.read(location)).toEqual({ kind: 'unreadable', code: 'ENOENT' });
  disk.files.set(path, new Uint8Array(8192));
  expect(await spool.read(location)).toEqual({ kind: 'unreadable', code: 'damaged' });
  disk.files.set(path, bytes);
  expect(await spool.read(location)).toMatchObject({ kind: 'stored' });
});

test('at most 64 segments are open for reading, and a read under way is never cut off', async () => {
  const stored: Stored[] = [];
  for (let i = 0; i < 80; i++) stored.push(await store());
  const before = disk.openFiles;
  const reads = await Promise.all(stored.map(({ location }) => spool.read(location)));
  expect(reads.filter(({ kind }) => kind !== 'stored')).toEqual([]);
  await drain();
  expect(disk.openFiles - before).toBe(64);
  const closing = spool.close();
  await disk.finishAll();
  await closing;
  expect(disk.openFiles).toBe(0);
});

test('segments go oldest first, the folder synced after each before the next', async () => {
  const stored = [await store(), await store(), await store()];
  for (const one of stored.toReversed()) put(one, 'delivered');
  await publishEvents();
  disk.done.length = 0;
  spool.recorded(watermark!);
  await drain();
  for (const segment of [1, 2, 3]) {
    expect(await disk.held()).toEqual(['unlink']);
    await disk.finish('unlink');
    expect(disk.done.pop()).toBe(`unlink /s/${segmentName(segment)}`);
    expect(await disk.held()).toEqual(['syncFolder']);
    await disk.finish('syncFolder');
  }
  expect(await disk.held()).toEqual([]);
  expect(await present()).toEqual([4]);
  expect(spool.segments).toBe(1);
});

test('a segment stays while a younger one could go but an older one cannot', async () => {
  const [first, second] = [await store(), await store()];
  put(second, 'failed');
  await publishEvents();
  await recordAll();
  expect(await present()).toEqual([1, 2, 3]);
  put(first, 'failed');
  await publishEvents();
  await recordAll();
  expect(await present()).toEqual([3]);
});

test('a segment stays until each of its recipients has a synced terminal outcome', async () => {
  const stored = await store(2);
  put(stored, 'delivered', 0);
  put(stored, 'deferred', 1);
  await publishEvents();
  await recordAll();
  expect(await present()).toEqual([1, 2]);
  put(stored, 'failed', 1);
  await recordAll();
  expect(await present()).toEqual([1, 2]);
  await publishEvents();
  await recordAll();
  expect(await present()).toEqual([2]);
});

test('a segment stays until the cursors have passed its last batch', async () => {
  const stored = await store();
  const last = watermark!;
  put(stored, 'delivered');
  await publishEvents();
  spool.recorded({ epoch: 1, batch: last.batch - 1 });
  await drain();
  expect(await disk.held()).toEqual([]);
  spool.recorded(last);
  await drain();
  expect(await disk.held()).toEqual(['unlink']);
});

test('the newest segment stays, and none goes before the newest is durable', async () => {
  const stored = await store();
  await recordAll();
  put(stored, 'delivered');
  clock.advance(100);
  await disk.finish('open', 'writeSynced', 'syncFolder');
  await recordAll();
  expect(await present()).toEqual([2]);
  const next = await store();
  put(next, 'delivered');
  await publishEvents();
  expect(await present()).toEqual([2, 3]);
  await store();
  // 3 is full of finished mail; its successor is open, but not durable yet.
  const message = messageOf(spool.nextId());
  spool.putMessage(message, { answer: () => undefined, owed: () => undefined });
  await disk.finish('open');
  spool.recorded(watermark!);
  await drain();
  expect(await disk.held()).toEqual(['write', 'writeSynced']);
  await disk.finish('writeSynced', 'syncFolder');
  await recordAll();
  expect((await present())[0]).toBe(3);
});

test.each([
  ['go', {}, false],
  [
    'stay where records are damaged: one of them may have named it',
    { damages: [{ segment: 1, at: 1, sizeBytes: 1 }] },
    true,
  ],
  ['stay where the end is cut off', { isCutShort: true }, true],
] as const)('contents that nobody owes %s', async (_what, recovered, stays) => {
  disk = new HeldDisk();
  disk.files.set('/s/bodies/1.5', new Uint8Array(1));
  begin({ ...nothingRecovered, epoch: 2, ...recovered });
  await disk.finishAll();
  expect(disk.files.has('/s/bodies/1.5')).toBe(stays);
});

test('what recovery found stays until the first segment of this start is durable', async () => {
  disk = new HeldDisk();
  disk.files.set('/s/00000007.segment', new Uint8Array(0));
  disk.files.set('/s/00000008.segment', new Uint8Array(0));
  const segments = [7, 8].map((number) => ({ number, epoch: 3, lastBatch: number, sizeBytes: 0 }));
  begin({ ...nothingRecovered, epoch: 4, lastSegment: 8, segments });
  spool.recorded({ epoch: 3, batch: 8 });
  await disk.finish('open');
  spool.recorded({ epoch: 3, batch: 8 });
  await drain();
  expect(await disk.held()).toEqual(['writeSynced']);
  await disk.finish('writeSynced', 'syncFolder');
  await recordAll();
  expect(await present()).toEqual([9]);
});

test('a failing unlink or folder sync is told, and tried again before anything younger goes', async () => {
  const stored = [await store(), await store()];
  for (const one of stored) put(one, 'delivered');
  await publishEvents();
  spool.recorded(watermark!);
  await drain();
  await disk.fail('unlink');
  expect(failures).toEqual(['EIO 1']);
  spool.recorded(watermark!);
  await drain();
  await disk.finish('unlink');
  await disk.fail('syncFolder');
  // The same again is told once.
  expect(failures).toEqual(['EIO 1']);
  disk.done.length = 0;
  spool.recorded(watermark!);
  await drain();
  // It is gone already: the unlink fails with ENOENT, and only the folder is synced.
  await disk.finish('unlink', 'syncFolder', 'unlink', 'syncFolder');
  expect(disk.done).toEqual(['syncFolder /s', 'unlink /s/00000002.segment', 'syncFolder /s']);
  expect(await present()).toEqual([3]);
});

test('outcomes have stalled when one of them is not durable after 5 s', async () => {
  const stored = await store();
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(false);
  put(stored, 'delivered');
  clock.advance(100);
  clock.advance(4900);
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(false);
  clock.advance(1);
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(true);
  await disk.finishAll();
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(false);
});

test('outcomes have stalled when very many wait for a disk that does not keep up', async () => {
  const stored = await store(2000, 100);
  for (let index = 0; index < 1023; index++) put(stored, 'deferred', index);
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(false);
  put(stored, 'deferred', 1023);
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(true);
  await publishEvents();
  expect(spool.outcomesStalled(clock.monotonicMs())).toBe(false);
});

const mebibyte = 1024 * 1024;

test('a large content that is on its way into its file when the spool closes is published', async () => {
  const message = messageOf(spool.nextId(), { bodyBytes: mebibyte });
  const told: string[] = [];
  spool.putMessage(message, {
    answer: (isStored) => void told.push(`answer ${isStored}`),
    owed: () => void told.push('owed'),
  });
  const closing = spool.close().then(() => void told.push('closed'));
  await disk.finishAll();
  await closing;
  expect(told).toEqual(['answer true', 'owed', 'closed']);
  expect(disk.openFiles).toBe(0);
});

test('a large content that cannot be stored is refused, and leaves no file', async () => {
  const message = messageOf(spool.nextId(), { bodyBytes: mebibyte });
  const told: boolean[] = [];
  spool.putMessage(message, { answer: (isStored) => void told.push(isStored), owed: () => undefined });
  await disk.finish('syncFolder', 'open', 'write');
  await disk.fail('sync');
  await disk.finishAll();
  expect(told).toEqual([false]);
  expect(failures).toEqual(['EIO 0']);
  expect([...disk.files.keys()].filter((path) => path.includes('bodies'))).toEqual([]);
  expect(spool.pendingBytes).toBe(0);
});

test('the file of a refused message goes only when it cannot come back', async () => {
  const message = messageOf(spool.nextId(), { bodyBytes: mebibyte });
  const told: boolean[] = [];
  spool.putMessage(message, { answer: (isStored) => void told.push(isStored), owed: () => undefined });
  await disk.finish('syncFolder', 'open', 'write', 'sync', 'syncFolder');
  await disk.fail('writeSynced');
  const isThere = (): boolean => [...disk.files.keys()].some((path) => path.includes('bodies'));
  clock.advance(100);
  await disk.finish('open', 'writeSynced');
  expect([told, isThere()]).toEqual([[], true]);
  await disk.finish('syncFolder');
  await disk.finishAll();
  expect([told, isThere()]).toEqual([[false], false]);
});

/** Two messages with one content, put together; and what their owners are told. */
function putTogether(bodyBytes: number): { readonly told: string[]; readonly locations: SpoolLocation[] } {
  const { content } = messageOf(spool.nextId(), { bodyBytes });
  const told: string[] = [];
  const locations: SpoolLocation[] = [];
  spool.putMessages(
    [0, 1].map((i) => ({
      message: { ...messageOf(spool.nextId()), content },
      owner: {
        answer: (isStored) => void told.push(`${i} ${isStored}`),
        owed: (place) => void locations.push(place),
      },
    })),
  );
  return { told, locations };
}

test('messages put together are in one batch that holds their content once', async () => {
  const before = spool.sizeBytes;
  const { told, locations } = putTogether(9000);
  await disk.finishAll();
  expect(told).toEqual(['0 true', '1 true']);
  // One content of 9002 octets, two records, in blocks of 4096.
  expect(spool.sizeBytes - before).toBe(3 * 4096);
  const read = await Promise.all(locations.map((place) => spool.read(place)));
  const contents = read.map((one) => (one.kind === 'stored' ? one.content.sizeBytes : one.code));
  expect(contents).toEqual([9002, 9002]);
});

test('large contents put together have a file each, and are refused when one of them fails', async () => {
  const stored = putTogether(mebibyte);
  await disk.finishAll();
  expect(stored.told).toEqual(['0 true', '1 true']);
  const files = (): number => [...disk.files.keys()].filter((path) => path.includes('bodies/')).length;
  expect(files()).toBe(2);
  const refused = putTogether(mebibyte);
  await disk.finish('open', 'write', 'sync', 'syncFolder', 'open', 'write');
  await disk.fail('sync');
  await disk.finishAll();
  expect(refused.told).toEqual(['0 false', '1 false']);
  expect(files()).toBe(2);
});

test('what was put is counted until it is published', async () => {
  const message = messageOf(spool.nextId(), { bodyBytes: 300 });
  spool.putMessage(message, { answer: () => undefined, owed: () => undefined });
  expect(spool.pendingBytes).toBeGreaterThan(302);
  await disk.finishAll();
  expect(spool.pendingBytes).toBe(0);
});

/** One message is owed; its owner knows it by this. */
class OneOwed implements OwedMail {
  location: SpoolLocation;
  readonly stored: Stored;
  isDamaged = false;

  constructor(stored: Stored) {
    this.stored = stored;
    this.location = stored.location;
  }

  owedIn(segment: number): ReturnType<OwedMail['owedIn']> {
    const { location, isDamaged } = this;
    const { id } = this.stored.message.envelope;
    return location.segment === segment ? [{ id, location, isDamaged }] : [];
  }

  recipientsOf(messages: Parameters<OwedMail['recipientsOf']>[0]): ReturnType<OwedMail['recipientsOf']> {
    return messages.map(() => [{ index: 0, attempts: 1, nextTryMs: 0, heldFor: undefined }]);
  }

  moved(_message: unknown, to: SpoolLocation): void {
    this.location = to;
  }

  damaged(): void {
    this.isDamaged = true;
  }
}

/** The first of so many segments that its one owed message should be copied forward. */
async function mostlyGarbage(): Promise<OneOwed> {
  const mail = new OneOwed(await store());
  for (let segments = 0; segments < 6; segments++) put(await store(), 'delivered');
  await publishEvents();
  spool.ownedBy(mail);
  return mail;
}

/** Reclaiming is asked for again and again, as the engine does. */
async function reclaimAll(): Promise<void> {
  for (let times = 0; times < 10; times++) await recordAll();
}

test('a message that is copied forward is read there, and its old segment goes', async () => {
  const mail = await mostlyGarbage();
  await reclaimAll();
  expect(mail.location.segment).toBeGreaterThan(1);
  expect((await present())[0]).toBe(mail.location.segment);
  expect(await spool.read(mail.location)).toMatchObject({ content: mail.stored.message.content });
});

test('a message whose record cannot be read keeps no segment: its place is taken, and the bytes are kept aside', async () => {
  const mail = await mostlyGarbage();
  const bytes = disk.files.get('/s/00000001.segment')!;
  bytes[mail.location.recordAt + 60]! ^= 4;
  await reclaimAll();
  expect(mail.isDamaged).toBe(true);
  expect(mail.location.segment).toBeGreaterThan(1);
  expect((await present())[0]).toBe(mail.location.segment);
  expect(disk.files.get('/s/damaged/00000001.segment-0')).toEqual(bytes);
  // It is held, and whoever lets it go meets the damage again.
  expect(await spool.read(mail.location)).toEqual({ kind: 'unreadable', code: 'damaged' });
});

test('nothing is copied into a spool that closes, and nothing is freed of one that is closed', async () => {
  const mail = await mostlyGarbage();
  spool.recorded(watermark!);
  const closing = spool.close();
  await disk.finishAll();
  await closing;
  expect(disk.openFiles).toBe(0);
  disk.done.length = 0;
  spool.recorded(watermark!);
  spool.tick();
  await disk.finishAll();
  expect(disk.done).toEqual([]);
  expect(disk.openFiles).toBe(0);
  expect(mail.location.segment).toBe(1);
});

test('a copy that was put before the spool closes is published', async () => {
  const mail = await mostlyGarbage();
  spool.recorded(watermark!);
  while ((await disk.held()).length === 0);
  const closing = spool.close();
  await disk.finishAll();
  await closing;
  expect(mail.location.segment).toBeGreaterThan(1);
  expect(disk.openFiles).toBe(0);
});

test('a damaged content is as damaged where it was copied to', async () => {
  const mail = await mostlyGarbage();
  const bytes = disk.files.get('/s/00000001.segment')!;
  bytes[mail.location.recordAt + mail.location.recordBytes + 100]! ^= 4;
  await reclaimAll();
  expect(mail.isDamaged).toBe(true);
  expect(mail.location.segment).toBeGreaterThan(1);
  expect(await spool.read(mail.location)).toEqual({ kind: 'unreadable', code: 'damaged' });
});
