import { expect, test } from 'vitest';
import type { AcctFileConfig } from '../config/config.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import { cursorFileName, decodeCursor, encodeCursor } from './acctCursor.ts';
import { type AcctBatch, AcctFile } from './acctWriter.ts';
import { FaultyDisk } from './faultyDisk.testing.ts';
import { readRows } from './readRows.ts';
import { acctConfig, deliveryEvent, digest, envelope, TestClock } from './samples.testing.ts';

const noon = Date.UTC(2026, 1, 8, 12);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

interface World {
  readonly disk: FaultyDisk;
  readonly clock: TestClock;
}

function world(): World {
  return { disk: new FaultyDisk(), clock: new TestClock(noon) };
}

async function opened({ disk, clock }: World, config: AcctFileConfig = acctConfig()): Promise<AcctFile> {
  const file = await AcctFile.open(config, '/cursors', disk, clock, digest);
  if (!(file instanceof AcctFile)) throw new Error(file.message);
  return file;
}

function batch(
  number: number,
  events: readonly DeliveryEvent[] = [deliveryEvent({ rcpt: `r${number}@x` })],
): AcctBatch {
  return { engine: 'engine-0', position: { epoch: 1, batch: number }, events, receipts: [] };
}

function rcpts(disk: FaultyDisk, path: string): readonly string[] {
  return readRows(disk.text(path) ?? '').rows.map((row) => row.get('rcpt'));
}

async function committed(file: AcctFile, { clock }: World, ...batches: readonly AcctBatch[]): Promise<void> {
  for (const each of batches) file.append(each);
  expect(await file.commit(clock.nowMs)).toBeUndefined();
}

const first = '/acct/acct-2026-02-08-0000.csv';

test('A flush makes rows visible, a commit makes them count', async () => {
  const at = world();
  const file = await opened(at);
  file.append(batch(1));
  expect(file.uncommittedRows).toBe(1);
  expect(rcpts(at.disk, first)).toEqual([]);
  await file.flush(at.clock.nowMs);
  expect(rcpts(at.disk, first)).toEqual(['r1@x']);
  expect(file.durable.size).toBe(0);
  await file.commit(at.clock.nowMs);
  expect(file.durable.get('engine-0')).toEqual({ epoch: 1, batch: 1 });
  expect(file.uncommittedRows).toBe(0);
});

test('A batch given twice, or older than what the file has, adds nothing', async () => {
  const at = world();
  const file = await opened(at);
  await committed(file, at, batch(1), batch(2), batch(2), batch(1));
  const older = { ...batch(9), position: { epoch: 0, batch: 9 } };
  const restarted = await opened(at);
  await committed(restarted, at, batch(1), batch(2), older, batch(3));
  expect(rcpts(at.disk, first)).toEqual(['r1@x', 'r2@x', 'r3@x']);
});

test('A batch without a row for this file moves its cursor all the same', async () => {
  const at = world();
  const file = await opened(at, acctConfig({ records: ['b'] }));
  await committed(file, at, batch(4));
  expect(file.durable.get('engine-0')).toEqual({ epoch: 1, batch: 4 });
});

test('Mail of our own making has no receipt, and hides none', async () => {
  const at = world();
  const file = await opened(at, acctConfig({ records: ['r'] }));
  const { reception } = envelope();
  const own = envelope({ reception: { ...reception, type: 'local' } });
  await committed(file, at, { ...batch(1), receipts: [own, envelope()] });
  expect(rcpts(at.disk, first)).toEqual(envelope().recipients.map(({ forwardPath }) => forwardPath));
});

test('Receipts stand before the outcomes of their batch', async () => {
  const at = world();
  const file = await opened(at, acctConfig({ records: ['d', 'r'] }));
  await committed(file, at, { ...batch(1), receipts: [envelope()] });
  expect(rcpts(at.disk, first)).toEqual(['u4@dest.example', 'r1@x']);
});

test('A file that has reached max-size is followed by the next number', async () => {
  const at = world();
  const file = await opened(at, acctConfig({ maxSizeBytes: 600 }));
  for (let number = 1; number <= 5; number++) await committed(file, at, batch(number));
  const names = at.disk.names('/acct');
  expect(names).toEqual([0, 1, 2].map((number) => `acct-2026-02-08-000${number}.csv`));
  const rows = names.map((name) => rcpts(at.disk, `/acct/${name}`));
  expect(rows).toEqual([['r1@x', 'r2@x'], ['r3@x', 'r4@x'], ['r5@x']]);
  expect(at.disk.text(first)!.length).toBeGreaterThanOrEqual(600);
});

test('A new file with number 0000 begins at local midnight, not at UTC midnight', async () => {
  const disk = new FaultyDisk();
  const at = { disk, clock: new TestClock(noon, 330) };
  const file = await opened(at);
  await committed(file, at, batch(1));
  expect(file.nextDueMs(at.clock.nowMs)).toBe(6.5 * hourMs);
  at.clock.nowMs += 6.5 * hourMs - 1;
  await committed(file, at, batch(2));
  at.clock.nowMs += 1;
  await committed(file, at, batch(3));
  expect(rcpts(disk, first)).toEqual(['r1@x', 'r2@x']);
  expect(rcpts(disk, '/acct/acct-2026-02-09-0000.csv')).toEqual(['r3@x']);
});

test('A file without rows does not outlive its day', async () => {
  const at = world();
  const file = await opened(at);
  at.clock.nowMs += dayMs;
  await committed(file, at, batch(1));
  expect(at.disk.names('/acct')).toEqual(['acct-2026-02-09-0000.csv']);
});

test('With move-to a file is finished after move-interval and moved, an empty one stays', async () => {
  const at = world();
  const config = acctConfig({ moveTo: '/moved', moveIntervalMs: hourMs });
  const file = await opened(at, config);
  at.clock.nowMs += 2 * hourMs;
  await committed(file, at);
  expect(at.disk.names('/moved')).toEqual([]);
  await committed(file, at, batch(1));
  await committed(file, at);
  expect(at.disk.names('/moved')).toEqual(['acct-2026-02-08-0000.csv']);
  expect(file.nextDueMs(at.clock.nowMs)).toBeGreaterThan(hourMs);
  await committed(file, at, batch(2));
  expect(file.nextDueMs(at.clock.nowMs)).toBe(hourMs);
  at.clock.nowMs += hourMs;
  await committed(file, at);
  expect(at.disk.names('/moved')).toEqual(['acct-2026-02-08-0000.csv', 'acct-2026-02-08-0001.csv']);
  expect(rcpts(at.disk, '/moved/acct-2026-02-08-0001.csv')).toEqual(['r2@x']);
  expect(at.disk.names('/acct')).toEqual(['acct-2026-02-08-0002.csv']);
});

async function put({ disk }: World, path: string, text: string): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write([new TextEncoder().encode(text)], 0);
  await file.close();
}

test('A taken name in move-to is an alarm, and neither file is touched', async () => {
  const at = world();
  const config = acctConfig({ moveTo: '/moved', moveIntervalMs: hourMs });
  const file = await opened(at, config);
  await at.disk.makeFolder('/moved');
  await put(at, '/moved/acct-2026-02-08-0000.csv', 'somebody else');
  await committed(file, at, batch(1));
  at.clock.nowMs += hourMs;
  await committed(file, at);
  expect(file.takeAlarms().map((alarm) => alarm.systemCode)).toEqual(['EEXIST']);
  expect(at.disk.text('/moved/acct-2026-02-08-0000.csv')).toBe('somebody else');
  expect(rcpts(at.disk, first)).toEqual(['r1@x']);
});

test('delete-after takes finished files of this name by their day, and nothing else', async () => {
  const at = world();
  await at.disk.makeFolder('/acct');
  await put(at, '/acct/acct-2026-01-30-0000.csv', 'type\r\nd\r\n');
  await put(at, '/acct/acct-2026-02-01-0003.csv', 'type\r\nd\r\n');
  await put(at, '/acct/other-2026-01-01-0000.csv', 'type\r\nd\r\n');
  await put(at, '/acct/acct.csv', 'type\r\nd\r\n');
  const kept = ['acct-2026-02-01-0003.csv', 'acct.csv', 'other-2026-01-01-0000.csv'];
  const file = await opened(at, acctConfig({ deleteAfterMs: 8 * dayMs }));
  expect(at.disk.names('/acct')).toEqual([kept[0], 'acct-2026-02-08-0000.csv', ...kept.slice(1)]);
  // The last row of 1 February may be of its last moment: eight days later is the 10th.
  at.clock.nowMs = Date.UTC(2026, 1, 9, 23, 59);
  await committed(file, at, batch(1));
  expect(at.disk.names('/acct')).toContain(kept[0]);
  at.clock.nowMs = Date.UTC(2026, 1, 10);
  await committed(file, at);
  expect(at.disk.names('/acct')).not.toContain(kept[0]);
  expect(at.disk.names('/acct')).toEqual(expect.arrayContaining(kept.slice(1)));
});

test('Files another program left under today’s date are never written to or counted over', async () => {
  const at = world();
  await at.disk.makeFolder('/acct');
  await put(at, '/acct/acct-2026-02-08-0007.csv', 'type\r\nd\r\n');
  const file = await opened(at);
  expect(file.currentPath).toBe('/acct/acct-2026-02-08-0008.csv');
  expect(at.disk.text('/acct/acct-2026-02-08-0007.csv')).toBe('type\r\nd\r\n');
});

test('Other columns than the current file has begin a new file', async () => {
  const at = world();
  const before = await opened(at, acctConfig({ records: ['d'] }));
  await committed(before, at, batch(1));
  const after = await opened(at, acctConfig({ records: ['d', 'r'] }));
  await committed(after, at, batch(2));
  expect(rcpts(at.disk, first)).toEqual(['r1@x']);
  expect(rcpts(at.disk, '/acct/acct-2026-02-08-0001.csv')).toEqual(['r2@x']);
});

test.each([
  ['csv-gone', async (disk: FaultyDisk) => disk.unlink(first)],
  ['csv-short', async (disk: FaultyDisk) => (await disk.open(first, 'write')).truncate(20)],
  [
    'csv-replaced',
    async (disk: FaultyDisk) => {
      const text = disk.text(first)!;
      await disk.unlink(first);
      await put({ disk, clock: new TestClock(0) }, first, text);
    },
  ],
])('A CSV that does not reach its cursor is the alarm %s, and a new file goes on', async (code, harm) => {
  const at = world();
  await committed(await opened(at), at, batch(1));
  await harm(at.disk);
  const file = await opened(at);
  expect(file.takeAlarms().map((alarm) => alarm.code)).toEqual([code]);
  expect(file.currentPath).toBe('/acct/acct-2026-02-08-0001.csv');
  await committed(file, at, batch(1), batch(2));
  expect(rcpts(at.disk, file.currentPath)).toEqual(['r2@x']);
});

test('A cursor with any bit changed or its end missing is refused, never guessed', async () => {
  const at = world();
  await committed(await opened(at), at, batch(1));
  const path = `/cursors/${cursorFileName('/acct/acct.csv', digest)}`;
  const good = new TextEncoder().encode(at.disk.text(path)!);
  expect(typeof decodeCursor(good, digest)).toBe('object');
  for (let i = 0; i < good.length; i++) {
    const bad = good.slice();
    bad[i]! ^= 1 << (i % 8);
    expect(typeof decodeCursor(bad, digest)).toBe('string');
    expect(typeof decodeCursor(good.slice(0, i), digest)).toBe('string');
  }
  await (await at.disk.open(path, 'write')).truncate(10);
  const refused = await AcctFile.open(acctConfig(), '/cursors', at.disk, at.clock, digest);
  expect(refused).toMatchObject({ code: 'cursor-damaged', path });
  expect(at.disk.text(path)).toHaveLength(10);
});

test('Cursor names are plain whatever the path holds, and differ between paths', () => {
  const names = ['/a/acct.csv', '/b/acct.csv', '/a/../é t\n$(x).csv'].map((path) =>
    cursorFileName(path, digest),
  );
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]+\.cursor$/);
  expect(new Set(names).size).toBe(3);
});

test('Engine keys of any shape survive the cursor', () => {
  const positions = new Map(
    ['0', '__proto__', 'a/b "c"\n'].map((key, i) => [key, { epoch: i, batch: 2 ** 40 + i }]),
  );
  const cursor = {
    path: '/a',
    fileName: 'x',
    fileIdentity: 2 ** 52,
    lengthBytes: 1,
    begunMs: noon,
    positions,
  };
  expect(decodeCursor(encodeCursor(cursor, digest), digest)).toEqual(cursor);
});

test('A full disk is an error with its code; the rows wait and stand once when there is room', async () => {
  const at = world();
  const file = await opened(at);
  await committed(file, at, batch(1));
  at.disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
  file.append(batch(2));
  for (let tries = 0; tries < 3; tries++) {
    expect(await file.commit(at.clock.nowMs)).toMatchObject({ code: 'write-failed', systemCode: 'ENOSPC' });
    // No torn row is left for a reader.
    expect(rcpts(at.disk, first)).toEqual(['r1@x']);
    expect(at.disk.text(first)!.endsWith('\r\n')).toBe(true);
  }
  expect(file.durable.get('engine-0')).toEqual({ epoch: 1, batch: 1 });
  at.disk.fault = () => undefined;
  await committed(file, at, batch(3));
  expect(rcpts(at.disk, first)).toEqual(['r1@x', 'r2@x', 'r3@x']);
  expect(file.durable.get('engine-0')).toEqual({ epoch: 1, batch: 3 });
});

test('While the cursor cannot be stored nothing is reported and no further row is written', async () => {
  const at = world();
  const file = await opened(at);
  at.disk.fault = (operation, path) =>
    operation === 'syncFolder' && path === '/cursors' ? 'EIO' : undefined;
  file.append(batch(1));
  expect(await file.commit(at.clock.nowMs)).toMatchObject({ code: 'cursor-failed', systemCode: 'EIO' });
  file.append(batch(2));
  expect(await file.flush(at.clock.nowMs)).toMatchObject({ code: 'cursor-failed' });
  expect(rcpts(at.disk, first)).toEqual(['r1@x']);
  expect(file.durable.size).toBe(0);
  at.disk.fault = () => undefined;
  await committed(file, at);
  expect(rcpts(at.disk, first)).toEqual(['r1@x', 'r2@x']);
});

test('Rows whose sync failed are written again before the next sync, even when the first cut failed too', async () => {
  const at = world();
  const file = await opened(at);
  at.disk.fault = (operation) => (operation === 'sync' || operation === 'truncate' ? 'EIO' : undefined);
  file.append(batch(1));
  expect(await file.commit(at.clock.nowMs)).toMatchObject({ code: 'sync-failed', systemCode: 'EIO' });
  at.disk.fault = () => undefined;
  await committed(file, at, batch(2));
  at.disk.losePower(() => false);
  expect(rcpts(at.disk, first)).toEqual(['r1@x', 'r2@x']);
});
