import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import {
  type AcctCursor,
  cursorPath,
  encodeCursor,
  ensureFolder,
  readThrough,
  storeCursor,
} from './acctCursor.ts';

const digest = systemDigest();
const folder = '/cursors';
let disk: SimulatedDisk;

async function done<T>(promise: Promise<T>): Promise<T> {
  let isDone = false;
  const finished = promise.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    disk.step();
    await Promise.resolve();
  }
  return finished;
}

function cursor(path: string, positions: readonly (readonly [string, number, number])[]): AcctCursor {
  const at = positions.map(([engine, epoch, batch]) => [engine, { epoch, batch }] as const);
  return { path, fileName: 'f', fileIdentity: 1, lengthBytes: 0, begunMs: 0, positions: new Map(at) };
}

beforeEach(() => {
  disk = new SimulatedDisk(new SeededRandom(1));
});

test('what any accounting file has read of an engine was on disk, and a broken cursor says nothing', async () => {
  expect(await done(readThrough(disk, folder, digest))).toEqual(new Map());
  await done(disk.makeFolder(folder));
  const cursors = [
    cursor('/a.csv', [
      ['engine-1', 2, 9],
      ['engine-2', 1, 1],
    ]),
    cursor('/b.csv', [['engine-1', 3, 1]]),
  ];
  for (const one of cursors) {
    await done(storeCursor(disk, cursorPath(folder, one.path, digest), encodeCursor(one, digest)));
  }
  const broken = encodeCursor(cursor('/c.csv', [['engine-1', 9, 9]]), digest);
  broken[3]! ^= 1;
  await done(storeCursor(disk, cursorPath(folder, '/c.csv', digest), broken));
  expect(await done(readThrough(disk, folder, digest))).toEqual(
    new Map([
      ['engine-1', { epoch: 3, batch: 1 }],
      ['engine-2', { epoch: 1, batch: 1 }],
    ]),
  );
});

test('a folder that a former process made, and did not live to sync, survives a power loss', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    disk = new SimulatedDisk(new SeededRandom(seed));
    await done(disk.makeFolder('/acct'));
    await done(ensureFolder(disk, '/acct'));
    disk.powerLoss();
    expect(await done(disk.list('/acct')), `seed ${seed}`).toEqual([]);
  }
});
