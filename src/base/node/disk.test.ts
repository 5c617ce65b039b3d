import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { afterBytes, systemDisk } from './disk.ts';

const disk = systemDisk();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-disk-'));
});
afterAll(() => rm(folder, { recursive: true }));

const concat = (chunks: readonly Uint8Array[]): number[] => chunks.flatMap((chunk) => [...chunk]);

test('2500 chunks arrive one behind the other at their position', async () => {
  const file = await disk.open(join(folder, 'many'), 'create');
  const chunks = Array.from({ length: 2500 }, (_, i) => Uint8Array.of(i & 255, i >> 8, 7).subarray(0, i % 4));
  await file.write(chunks, 5);
  await file.sync();
  const all = concat(chunks);
  expect(await file.sizeBytes()).toBe(5 + all.length);
  expect([...(await file.read(5, all.length))]).toEqual(all);
  await file.close();
});

test('what a short write left over is exactly the bytes behind it', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5 })), fc.nat(30), (chunks, written) => {
      expect(concat(afterBytes(chunks, written))).toEqual(concat(chunks).slice(written));
    }),
  );
});

test('a read is shorter only at the end of the file', async () => {
  const file = await disk.open(join(folder, 'short'), 'create');
  await file.write([Uint8Array.of(1, 2, 3)], 0);
  expect([...(await file.read(1, 10))]).toEqual([2, 3]);
  expect([...(await file.read(3, 10))]).toEqual([]);
  await file.truncate(1);
  expect(await file.sizeBytes()).toBe(1);
  await file.close();
});

test('reads give plain byte arrays, whose slice copies', async () => {
  const file = await disk.open(join(folder, 'plain'), 'create');
  await file.write([Uint8Array.of(1)], 0);
  const bytes = await file.read(0, 1);
  expect(bytes.constructor).toBe(Uint8Array);
  await file.close();
});

test('create wants a new file, write and read an existing one', async () => {
  const path = join(folder, 'modes');
  await expect(disk.open(path, 'write')).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(disk.open(path, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
  await (await disk.open(path, 'create')).close();
  await expect(disk.open(path, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
  await (await disk.open(path, 'write')).close();
});

test('a new file under an old name has another identity while the old one is open', async () => {
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const old = await disk.open(to, 'create');
  const young = await disk.open(from, 'create');
  await disk.rename(from, to);
  await disk.syncFolder(folder);
  expect(await young.identity()).not.toBe(await old.identity());
  await disk.unlink(to);
  await expect(disk.open(to, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
  await old.close();
  await young.close();
});

test('folders are made with their parents, listed by name, and missing ones are ENOENT', async () => {
  const deep = join(folder, 'a', 'b');
  await disk.makeFolder(deep);
  await disk.makeFolder(deep);
  await (await disk.open(join(deep, 'x'), 'create')).close();
  expect(await disk.list(deep)).toEqual(['x']);
  await expect(disk.list(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(disk.syncFolder(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('folders are made under a relative path, too', async () => {
  const deep = relative('.', join(folder, 'c', 'd'));
  await disk.makeFolder(deep);
  expect(await disk.list(deep)).toEqual([]);
});

test('writeSynced writes like write, beside another of its kind and in many pieces', async () => {
  const file = await disk.open(join(folder, 'synced'), 'create');
  const pieces = Array.from({ length: 1500 }, (_, i) => new Uint8Array([i % 251, 7]));
  await Promise.all([
    file.writeSynced([new Uint8Array([1, 2]), new Uint8Array([3])], 0),
    file.writeSynced(pieces, 4),
  ]);
  await file.write([new Uint8Array([9])], 3);
  expect([...(await file.read(0, 8))]).toEqual([1, 2, 3, 9, 0, 7, 1, 7]);
  expect(await file.sizeBytes()).toBe(4 + 3000);
  await file.close();
});

test('it says how much room there is', async () => {
  const { freeBytes, totalBytes } = await disk.space(folder);
  expect(freeBytes).toBeGreaterThan(0);
  expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  await expect(disk.space(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
});
