import { expect, test } from 'vitest';
import type { BatchPosition } from '../message/batchPosition.ts';
import type { AcctError } from './acctError.ts';
import { type AcctBatch, AcctFile } from './acctWriter.ts';
import { FaultyDisk } from './faultyDisk.testing.ts';
import { readRows } from './readRows.ts';
import { type BatchSource, Recorder, type RecorderEvents } from './recorder.ts';
import { acctConfig, deliveryEvent, digest, TestClock } from './samples.testing.ts';

class Heard implements RecorderEvents {
  readonly positions: ReadonlyMap<string, BatchPosition>[] = [];
  readonly alarms: AcctError[] = [];
  recoveries = 0;

  recorded(positions: ReadonlyMap<string, BatchPosition>): void {
    this.positions.push(positions);
  }
  alarm(error: AcctError): void {
    this.alarms.push(error);
  }
  recovered(): void {
    this.recoveries++;
  }
}

class Published implements BatchSource {
  waiting: AcctBatch[] = [];
  fetched = 0;
  fails = false;

  publish(engine: string, batch: number, rows = 1): void {
    const events = Array.from({ length: rows }, (_, row) =>
      deliveryEvent({ rcpt: `${engine}.${batch}.${row}` }),
    );
    this.waiting.push({ engine, position: { epoch: 1, batch }, events, receipts: [] });
  }

  async next(maxBatches: number): Promise<readonly AcctBatch[]> {
    if (this.fails) throw Object.assign(new Error('cannot read'), { code: 'EIO' });
    const batches = this.waiting.splice(0, maxBatches);
    this.fetched += batches.length;
    return batches;
  }
}

async function world(paths: readonly string[]): Promise<{
  disk: FaultyDisk;
  clock: TestClock;
  batches: Published;
  heard: Heard;
  recorder: Recorder;
  rcpts: (path: string) => readonly string[];
}> {
  const disk = new FaultyDisk();
  const clock = new TestClock(Date.UTC(2026, 1, 8, 12));
  const files: AcctFile[] = [];
  for (const path of paths) {
    const file = await AcctFile.open(acctConfig({ path }), '/cursors', disk, clock, digest);
    if (file instanceof AcctFile) files.push(file);
  }
  const batches = new Published();
  const heard = new Heard();
  const recorder = new Recorder(files, batches, clock, heard);
  const rcpts = (path: string): readonly string[] =>
    readRows(disk.text(path.replace('.csv', '-2026-02-08-0000.csv')) ?? '').rows.map((row) =>
      row.get('rcpt'),
    );
  return { disk, clock, batches, heard, recorder, rcpts };
}

test('Rows are visible within 100 ms of a wake-up and reported within about a second', async () => {
  const { clock, batches, heard, recorder, rcpts } = await world(['/acct/a.csv']);
  batches.publish('e', 1);
  recorder.wake();
  await clock.advance(100);
  expect(rcpts('/acct/a.csv')).toEqual(['e.1.0']);
  expect(heard.positions).toEqual([]);
  await clock.advance(1_000);
  expect(heard.positions).toEqual([new Map([['e', { epoch: 1, batch: 1 }]])]);
});

test('10,000 rows are committed without waiting for the second', async () => {
  const { clock, batches, heard, recorder } = await world(['/acct/a.csv']);
  for (let batch = 1; batch <= 5; batch++) batches.publish('e', batch, 2_500);
  recorder.wake();
  await clock.advance(100);
  expect(heard.positions).toEqual([new Map([['e', { epoch: 1, batch: 4 }]])]);
});

test('A quiet recorder sleeps until midnight', async () => {
  const { clock, recorder, batches } = await world(['/acct/a.csv']);
  batches.publish('e', 1);
  recorder.wake();
  await clock.advance(2_000);
  expect(clock.nextDueMs()! - clock.nowMs).toBeGreaterThan(3_000_000);
});

test('What is reported is what every file holds, engine by engine', async () => {
  const { disk, clock, batches, heard, recorder, rcpts } = await world(['/acct/a.csv', '/other/b.csv']);
  disk.fault = (operation, path) => (operation === 'sync' && path.startsWith('/other/') ? 'EIO' : undefined);
  batches.publish('e', 1);
  batches.publish('f', 7);
  expect(await recorder.commitNow()).toMatchObject({ code: 'sync-failed' });
  expect(recorder.durable.size).toBe(0);
  disk.fault = () => undefined;
  await clock.advance(200);
  const both = new Map([
    ['e', { epoch: 1, batch: 1 }],
    ['f', { epoch: 1, batch: 7 }],
  ]);
  expect(recorder.durable).toEqual(both);
  expect(heard.positions).toEqual([both]);
  expect(rcpts('/acct/a.csv')).toEqual(['e.1.0', 'f.7.0']);
  expect(rcpts('/other/b.csv')).toEqual(['e.1.0', 'f.7.0']);
});

test('A disk that stands stops the fetching, is tried ever more rarely, and nothing is lost', async () => {
  const { disk, clock, batches, heard, recorder, rcpts } = await world(['/acct/a.csv']);
  disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
  for (let batch = 1; batch <= 20; batch++) batches.publish('e', batch);
  recorder.wake();
  await clock.advance(60_000);
  expect(batches.fetched).toBe(4);
  expect(heard.alarms.length).toBeGreaterThan(5);
  expect(heard.alarms.length).toBeLessThan(20);
  recorder.wake();
  await clock.advance(100);
  expect(heard.recoveries).toBe(0);
  disk.fault = () => undefined;
  await clock.advance(12_000);
  expect(heard.recoveries).toBe(1);
  expect(rcpts('/acct/a.csv')).toEqual(Array.from({ length: 20 }, (_, i) => `e.${i + 1}.0`));
  expect(recorder.durable.get('e')).toEqual({ epoch: 1, batch: 20 });
});

test('A spool that cannot be read is an alarm and is read again', async () => {
  const { clock, batches, heard, recorder, rcpts } = await world(['/acct/a.csv']);
  batches.publish('e', 1);
  batches.fails = true;
  recorder.wake();
  await clock.advance(100);
  expect(heard.alarms.map((alarm) => alarm.code)).toEqual(['batches-failed']);
  batches.fails = false;
  await clock.advance(1_000);
  expect(rcpts('/acct/a.csv')).toEqual(['e.1.0']);
});

test('Without an accounting file everything counts as recorded', async () => {
  const { clock, batches, heard, recorder } = await world([]);
  batches.publish('e', 3);
  recorder.wake();
  await clock.advance(100);
  expect(heard.positions).toEqual([new Map([['e', { epoch: 1, batch: 3 }]])]);
});

test('Closing commits what there is and leaves no timer', async () => {
  const { clock, batches, recorder, rcpts } = await world(['/acct/a.csv']);
  batches.publish('e', 1);
  recorder.wake();
  expect(await recorder.close()).toBeUndefined();
  expect(rcpts('/acct/a.csv')).toEqual(['e.1.0']);
  expect(recorder.durable.get('e')).toEqual({ epoch: 1, batch: 1 });
  expect(clock.nextDueMs()).toBeUndefined();
});

test('Commits asked for at the same time do not overlap', async () => {
  const { batches, recorder, rcpts } = await world(['/acct/a.csv']);
  for (let batch = 1; batch <= 9; batch++) batches.publish('e', batch);
  const answers = await Promise.all([recorder.commitNow(), recorder.commitNow(), recorder.commitNow()]);
  expect(answers).toEqual([undefined, undefined, undefined]);
  expect(rcpts('/acct/a.csv')).toHaveLength(9);
});
