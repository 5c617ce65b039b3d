import { beforeEach, expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import { BodyFiles } from './bodyFiles.ts';
import { HeldDisk } from './heldDisk.testing.ts';
import type { BodyPlace } from './record.ts';
import { drain, messageOf } from './samples.testing.ts';

const digest = systemDigest();
const id = { epoch: 2, sequence: 26 };
const path = '/s/bodies/2.1a';
const { content } = messageOf(id, { bodyBytes: 5000 });
let disk: HeldDisk;
let files: BodyFiles;

beforeEach(() => {
  disk = new HeldDisk();
  files = new BodyFiles(disk, digest, '/s');
});

async function stored(of = id): Promise<BodyPlace> {
  const place = files.store(of, content);
  await disk.finishAll();
  return place;
}

test('a content is whole, synced and findable before anything may name it', async () => {
  let isStored = false;
  const place = files.store(id, content).then((at) => {
    isStored = true;
    return at;
  });
  for (const kind of ['syncFolder', 'open', 'write', 'sync', 'syncFolder'] as const) {
    expect(await disk.held()).toEqual([kind]);
    expect(isStored).toBe(false);
    await disk.finish(kind);
  }
  expect(await place).toMatchObject({ inFile: true, prefixBytes: 2, sizeBytes: 5002, isDamaged: false });
  const order = ['syncFolder /s', `open ${path}`, `write ${path}`, `sync ${path}`, 'syncFolder /s/bodies'];
  expect(disk.done).toEqual(order);
});

test('the folder is made once, and again when that failed', async () => {
  const failing = files.store(id, content);
  const failure = expect(failing).rejects.toMatchObject({ code: 'EIO' });
  await disk.fail('syncFolder');
  await failure;
  await stored();
  disk.done.length = 0;
  await stored({ epoch: 2, sequence: 27 });
  expect(disk.done.filter((one) => one === 'syncFolder /s')).toEqual([]);
});

test.each([
  'open',
  'write',
  'sync',
  'syncFolder',
] as const)('a content whose %s fails is told so, and no file stays open', async (kind) => {
  await stored({ epoch: 2, sequence: 1 });
  const failure = expect(files.store(id, content)).rejects.toMatchObject({ code: 'EIO' });
  while ((await disk.held())[0] !== kind) await disk.finish((await disk.held())[0]!);
  await disk.fail(kind);
  await failure;
  expect(disk.openFiles).toBe(0);
  expect(files.bytesUnderWay).toBe(0);
});

test('it reads as it was stored, and neither a flipped bit, nor a missing end, nor another file passes', async () => {
  const place = await stored();
  const bytes = disk.files.get(path)!;
  expect(await files.read(id, place)).toEqual(bytes);
  disk.files.set(
    path,
    bytes.map((byte, at) => (at === 999 ? byte ^ 1 : byte)),
  );
  expect(await files.read(id, place)).toBeUndefined();
  disk.files.set(path, bytes.slice(0, -1));
  expect(await files.read(id, place)).toBeUndefined();
  disk.files.set('/s/bodies/2.1b', bytes);
  expect(await files.read({ epoch: 2, sequence: 27 }, place)).toBeUndefined();
  expect(disk.openFiles).toBe(0);
});

test('a content whose file is gone is damaged: it will not come back', async () => {
  const place = await stored();
  disk.files.delete(path);
  expect(await files.read(id, place)).toBeUndefined();
});

test('a file goes with the last recipient, and not before', async () => {
  await stored();
  files.owe(id, 2);
  files.settle({ epoch: 2, sequence: 27 });
  files.settle(id);
  expect(await disk.held()).toEqual([]);
  files.settle(id);
  await disk.finishAll();
  expect(disk.files.has(path)).toBe(false);
});

test('what an earlier life left behind and nobody owes goes, and nothing else', async () => {
  for (const name of ['1.5', '1.6', '2.1', 'README']) disk.files.set(`/s/bodies/${name}`, new Uint8Array(1));
  files.owe({ epoch: 1, sequence: 6 }, 1);
  const dropped = files.dropOrphans(2);
  await disk.finishAll();
  await dropped;
  const left = [...disk.files.keys()].map((name) => name.slice('/s/bodies/'.length));
  expect(left.sort()).toEqual(['1.6', '2.1', 'README']);
});

test('whoever closes can wait for what is under way, failures included', async () => {
  const failing = files.store(id, content).catch(() => undefined);
  let isSettled = false;
  const settled = files.settled().then(() => {
    isSettled = true;
  });
  await drain();
  expect(files.bytesUnderWay).toBe(5002);
  expect(isSettled).toBe(false);
  await disk.fail('syncFolder');
  await settled;
  await failing;
  expect(files.bytesUnderWay).toBe(0);
});
