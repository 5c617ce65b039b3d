import { expect, test } from 'vitest';
import type { DiskSpace } from '../base/ports.ts';
import { HeldDisk } from './heldDisk.testing.ts';
import { SpaceWatch } from './spaceWatch.ts';

const mebibyte = 1024 * 1024;

async function watchOf(space: DiskSpace, minFreeBytes = 0): Promise<{ watch: SpaceWatch; disk: HeldDisk }> {
  const disk = new HeldDisk();
  disk.spaceOf = space;
  const watch = new SpaceWatch(disk, '/s', minFreeBytes);
  await watch.look();
  return { watch, disk };
}

test('before it has looked there is room', () => {
  expect(new SpaceWatch(new HeldDisk(), '/s', 0).isFull(0)).toBe(false);
});

test.each([
  ['64 MiB of a large disk', 1000 * 1024 * mebibyte, 0, 64],
  ['a twentieth of a small one', 40 * mebibyte, 0, 2],
  ['what the configuration asks for, where that is more', 40 * mebibyte, 10 * mebibyte, 10],
])('the reserve is %s', async (_, totalBytes, minFreeBytes, reserveMebibytes) => {
  const reserveBytes = reserveMebibytes * mebibyte;
  const above = await watchOf({ freeBytes: reserveBytes, totalBytes }, minFreeBytes);
  expect(above.watch.isFull(0)).toBe(false);
  expect(above.watch.isFull(1)).toBe(true);
});

test('what was written since the last look, and what is on its way, counts as gone', async () => {
  const { watch, disk } = await watchOf({ freeBytes: 3 * mebibyte, totalBytes: 40 * mebibyte });
  watch.wrote(mebibyte);
  expect(watch.isFull(0)).toBe(false);
  watch.wrote(1);
  expect(watch.isFull(0)).toBe(true);
  disk.spaceOf = { freeBytes: 4 * mebibyte, totalBytes: 40 * mebibyte };
  await watch.look();
  expect(watch.isFull(mebibyte)).toBe(false);
});

test('a full disk has room again only well above the reserve', async () => {
  const { watch, disk } = await watchOf({ freeBytes: mebibyte, totalBytes: 40 * mebibyte });
  expect(watch.isFull(0)).toBe(true);
  disk.spaceOf = { freeBytes: 2.4 * mebibyte, totalBytes: 40 * mebibyte };
  await watch.look();
  expect(watch.isFull(0)).toBe(true);
  disk.spaceOf = { freeBytes: 2.5 * mebibyte, totalBytes: 40 * mebibyte };
  await watch.look();
  expect(watch.isFull(0)).toBe(false);
});

test('a disk that does not say has room: a write will tell', async () => {
  const { watch, disk } = await watchOf({ freeBytes: 0, totalBytes: 40 * mebibyte });
  expect(watch.isFull(0)).toBe(true);
  disk.spaceOf = undefined;
  await watch.look();
  expect(watch.isFull(0)).toBe(false);
});
