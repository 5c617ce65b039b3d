import { expect, test } from 'vitest';
import type { Disk, DiskFile } from '../base/ports.ts';
import type { AcctFileConfig } from '../config/config.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import { over } from '../simulation/overDisk.ts';
import { type AcctBatch, AcctFile } from './acctWriter.ts';
import { FaultyDisk } from './faultyDisk.testing.ts';
import { readRows } from './readRows.ts';
import { acctConfig, deliveryEvent, digest, TestClock } from './samples.testing.ts';

// A small spool (it forgets what was reported), an AcctFile, a disk that crashes. After every run the files
// must hold every row once and in order; otherwise the run names what it found.

type Chance = () => number;

/** mulberry32: a run is its seed. */
function chanceOf(seed: number): Chance {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function batchesOf(chance: Chance, count: number): readonly AcctBatch[] {
  const last = new Map<string, BatchPosition>();
  return Array.from({ length: count }, () => {
    const engine = chance() < 0.7 ? 'engine-0' : 'engine-1';
    const before = last.get(engine) ?? { epoch: 1, batch: 0 };
    const newEpoch = chance() < 0.1;
    const position = { epoch: before.epoch + (newEpoch ? 1 : 0), batch: newEpoch ? 1 : before.batch + 1 };
    last.set(engine, position);
    const rows = Math.floor(chance() * 4);
    const events = Array.from({ length: rows }, (_, row) =>
      deliveryEvent({ rcpt: `${engine}.${position.epoch}.${position.batch}.${row}@x.example` }),
    );
    return { engine, position, events, receipts: [] };
  });
}

interface Crash {
  readonly atOperation: number;
  readonly afterEffect: boolean;
  /** undefined: only the process dies. Otherwise whether an unsynced change happened to reach the disk. */
  readonly keeps: (() => boolean) | undefined;
}

/** A way to get one step wrong: what stands between AcctFile and the disk for one life of the process. */
type Mistake = (disk: FaultyDisk) => { readonly disk: Disk; opened(): void };

const noMistake: Mistake = (disk) => ({ disk, opened() {} });

interface Run {
  readonly seed: number;
  readonly config: AcctFileConfig;
  readonly crashes: readonly Crash[];
  readonly faultRate: number;
  readonly mistake: Mistake;
}

/** What went wrong, or undefined; and how many disk operations it took. */
async function run({ seed, config, crashes, faultRate, mistake }: Run): Promise<{
  readonly wrong: string | undefined;
  readonly operations: number;
}> {
  const batches = batchesOf(chanceOf(seed), 14);
  const faultChance = chanceOf(seed + 1);
  const disk = new FaultyDisk();
  const clock = new TestClock(Date.UTC(2026, 1, 8, 12));
  const reported = new Map<string, BatchPosition>();
  let tries = 0;
  disk.fault = (operation) => {
    if (disk.crashed || tries > 200 || faultChance() >= faultRate) return undefined;
    return operation === 'write' ? 'ENOSPC' : 'EIO';
  };

  const life = async (): Promise<string | undefined> => {
    const chance = chanceOf(seed + 2);
    const { disk: seen, opened } = mistake(disk);
    let file = await AcctFile.open(config, '/cursors', seen, clock, digest);
    while (!(file instanceof AcctFile)) {
      if (disk.crashed) return undefined;
      if (file.systemCode === '' || tries++ > 300) return file.message;
      file = await AcctFile.open(config, '/cursors', seen, clock, digest);
    }
    opened();
    const lost = file.takeAlarms().find((alarm) => alarm.code.startsWith('csv-'));
    if (lost !== undefined) return lost.message;
    const report = (from: AcctFile): void => {
      for (const [engine, at] of from.durable) {
        if (isAfter(at, reported.get(engine))) reported.set(engine, at);
      }
    };
    report(file);
    for (const batch of batches) {
      // The spool has let go of what was reported.
      if (!isAfter(batch.position, reported.get(batch.engine))) continue;
      file.append(batch);
      clock.nowMs += Math.floor(chance() * 5) * 3_600_000;
      const what = chance();
      if (what < 0.3) await file.flush(clock.nowMs);
      else if (what < 0.8) await file.commit(clock.nowMs);
      if (disk.crashed) return undefined;
      report(file);
    }
    while ((await file.commit(clock.nowMs)) !== undefined) {
      if (disk.crashed) return undefined;
      if (tries++ > 300) return 'it never gets through';
    }
    report(file);
    return undefined;
  };

  for (const crash of crashes) {
    disk.crashAt = disk.operations + crash.atOperation;
    disk.crashAfterEffect = crash.afterEffect;
    const wrong = await life();
    if (wrong !== undefined) return { wrong, operations: disk.operations };
    if (crash.keeps === undefined) disk.restart();
    else disk.losePower(crash.keeps);
  }
  const wrong = (await life()) ?? wrongRows(disk, batches);
  return { wrong, operations: disk.operations };
}

function wrongRows(disk: FaultyDisk, batches: readonly AcctBatch[]): string | undefined {
  const files = ['/acct', '/moved'].flatMap((folder) =>
    disk.names(folder).map((name) => ({ name, text: disk.text(`${folder}/${name}`)! })),
  );
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  const found: string[] = [];
  for (const { name, text } of files) {
    const read = readRows(text);
    if (read.restAt !== text.length || read.columns.length !== 23) return `${name} is torn`;
    found.push(...read.rows.map((row) => row.get('rcpt')));
  }
  for (const engine of ['engine-0', 'engine-1']) {
    const expected = batches
      .filter((batch) => batch.engine === engine)
      .flatMap((batch) => batch.events.map((event) => (event.kind === 'queueFailed' ? '' : event.rcpt)));
    const got = found.filter((rcpt) => rcpt.startsWith(engine));
    if (got.join() !== expected.join()) return `${engine}: ${got.join(' ')} instead of ${expected.join(' ')}`;
  }
  return undefined;
}

const configs: readonly AcctFileConfig[] = [
  acctConfig({ maxSizeBytes: 1200, deleteAfterMs: undefined }),
  acctConfig({ maxSizeBytes: 2000, moveTo: '/moved', moveIntervalMs: 7_200_000 }),
];

test.each(
  configs,
)('Every row stands once and in order, whichever disk operation the crash comes at', async (config) => {
  const base = { seed: 7, config, faultRate: 0, mistake: noMistake };
  const { operations, wrong } = await run({ ...base, crashes: [] });
  expect(wrong).toBeUndefined();
  expect(operations).toBeGreaterThan(100);
  for (let atOperation = 1; atOperation <= operations; atOperation++) {
    const chance = chanceOf(atOperation);
    for (const keeps of [undefined, () => false, () => true, () => chance() < 0.5]) {
      for (const afterEffect of [false, true]) {
        const result = await run({ ...base, crashes: [{ atOperation, afterEffect, keeps }] });
        expect(result.wrong, `crash at operation ${atOperation}`).toBeUndefined();
      }
    }
  }
});

/** Up to four crashes of any kind, some of them soon after the start, and failing writes and syncs. */
function randomRun(seed: number, mistake: Mistake): Run {
  const chance = chanceOf(seed * 31 + 5);
  const crashes = Array.from({ length: Math.floor(chance() * 5) }, (): Crash => {
    const atOperation = 1 + Math.floor(chance() * (chance() < 0.4 ? 25 : 150));
    const kept = chance();
    return {
      atOperation,
      afterEffect: chance() < 0.5,
      keeps: chance() < 0.5 ? undefined : () => chance() < kept,
    };
  });
  const faultRate = chance() < 0.5 ? 0 : 0.04;
  return { seed, config: configs[seed % configs.length]!, crashes, faultRate, mistake };
}

test('Every row stands once and in order through several crashes, failed writes and failed syncs', async () => {
  for (let seed = 1; seed <= 1500; seed++) {
    const { wrong } = await run(randomRun(seed, noMistake));
    expect(wrong, `seed ${seed}`).toBeUndefined();
  }
});

function overSync(
  disk: Disk,
  which: (path: string) => boolean,
  sync: (file: DiskFile) => Promise<void>,
): Disk {
  return over(disk, {
    async open(path, how, mode) {
      const file = await disk.open(path, how, mode);
      return which(path) ? { ...file, sync: () => sync(file) } : file;
    },
  });
}

const isCsv = (path: string): boolean => path.startsWith('/acct/');

const mistakes: Readonly<Record<string, Mistake>> = {
  'the cursor is stored before the CSV is synced': (disk) => {
    let late: DiskFile[] = [];
    const deferring = overSync(disk, isCsv, async (file) => {
      late.push(file);
    });
    const syncFolder = async (folder: string): Promise<void> => {
      await disk.syncFolder(folder);
      if (folder !== '/cursors') return;
      for (const file of late) await file.sync();
      late = [];
    };
    return { disk: over(deferring, { syncFolder }), opened() {} };
  },
  'the folder of the cursor is not synced at the start': (disk) => {
    let starting = disk.names('/cursors').some((name) => name.endsWith('.cursor'));
    const skips = (path: string): boolean => starting && path.startsWith('/cursors');
    const nothing: Partial<DiskFile> = { async write() {}, async sync() {}, async close() {} };
    return {
      disk: over(disk, {
        async open(path, how) {
          return skips(path) && how === 'create' ? (nothing as DiskFile) : disk.open(path, how);
        },
        rename: async (from, to) => (skips(to) ? undefined : disk.rename(from, to)),
        unlink: async (path) => (skips(path) ? undefined : disk.unlink(path)),
        syncFolder: async (folder) => (skips(folder) ? undefined : disk.syncFolder(folder)),
      }),
      opened() {
        starting = false;
      },
    };
  },
  'a failed CSV sync is repeated and believed': (disk) => ({
    disk: overSync(disk, isCsv, (file) => file.sync().catch(() => file.sync())),
    opened() {},
  }),
  'a rotation does not sync the folder': (disk) => ({
    disk: over(disk, {
      syncFolder: async (folder) => (folder === '/acct' ? undefined : disk.syncFolder(folder)),
    }),
    opened() {},
  }),
  'the cut at the start is not synced': (disk) => {
    let starting = true;
    return {
      disk: overSync(disk, isCsv, async (file) => (starting ? undefined : file.sync())),
      opened() {
        starting = false;
      },
    };
  },
  'the temporary file of the cursor is not synced': (disk) => ({
    disk: overSync(
      disk,
      (path) => path.endsWith('.tmp'),
      async () => {},
    ),
    opened() {},
  }),
  'the folder of the cursor is not synced after the rename': (disk) => ({
    disk: over(disk, {
      syncFolder: async (folder) => (folder === '/cursors' ? undefined : disk.syncFolder(folder)),
    }),
    opened() {},
  }),
};

test.each(Object.keys(mistakes))('The checker notices when %s', async (name) => {
  let found: string | undefined;
  let seed = 0;
  while (found === undefined && ++seed <= 1500) found = (await run(randomRun(seed, mistakes[name]!))).wrong;
  expect(found).toBeDefined();
});
