import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSpoolLocked, lockSpool } from './spoolLock.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-lock-'));
});
afterAll(() => rm(folder, { recursive: true }));

const patient = { signal: new AbortController().signal, waits: () => undefined };

test('a folder that cannot be made is a value with the code and the path', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const failure = await lockSpool(join(file, 'engine-1'), patient);
  expect(failure).toMatchObject({ kind: 'notLocked', code: 'ENOTDIR' });
  expect(failure?.message).toContain(join(file, 'engine-1'));
});

test('the holder is in the file, a second one is told whom it waits for, and can give up', async () => {
  const spool = join(folder, 'engine-1');
  expect(await isSpoolLocked(spool)).toBe(false);
  expect(await lockSpool(spool, patient)).toBeUndefined();
  expect(await isSpoolLocked(spool)).toBe(true);
  expect(await readFile(join(spool, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
  const giveUp = new AbortController();
  const told: string[] = [];
  const failure = await lockSpool(spool, {
    signal: giveUp.signal,
    waits: (message) => {
      told.push(message);
      giveUp.abort();
    },
  });
  expect(told).toEqual([`waits for ${spool}/lock, held by pid ${process.pid}`]);
  expect(failure).toMatchObject({ kind: 'notLocked', code: 'ABORT_ERR' });
});

test('a lock file that nobody holds is no lock, and looking at it leaves none', async () => {
  const spool = join(folder, 'engine-2');
  await mkdir(spool);
  await writeFile(join(spool, 'lock'), '1\n');
  expect(await isSpoolLocked(spool)).toBe(false);
  expect(await readFile(join(spool, 'lock'), 'utf8')).toBe('1\n');
  expect(await lockSpool(spool, patient)).toBeUndefined();
});
