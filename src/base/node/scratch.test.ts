import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratchFile } from './scratch.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-scratch-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('the last note stands in the file, whatever stood there before', async () => {
  const path = join(folder, 'a');
  const scratch = scratchFile(path);
  for (const text of ['a long note', 'short', '']) {
    scratch.note(text);
    expect((await readFile(path, 'utf8')).trim()).toBe(text);
  }
});

test('a place that cannot be written stops nothing', () => {
  expect(() => scratchFile(join(folder, 'none', 'a')).note('x')).not.toThrow();
});
