import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemLog } from './log.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-log-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function linesOf(path: string): Promise<Record<string, unknown>[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Lines are written in the background. */
async function written(path: string, lines: number): Promise<Record<string, unknown>[]> {
  await expect.poll(async () => (await linesOf(path).catch(() => [])).length).toBe(lines);
  return linesOf(path);
}

test('a line is a JSON object with level, time, event and fields; lesser levels are left out', async () => {
  const file = join(folder, 'deep', 'a.log');
  const log = systemLog({ file, level: 'info' });
  log.write('debug', 'listener.accepted');
  log.write('warn', 'listener.refused', { client: '192.0.2.1' });
  const [line] = await written(file, 1);
  expect(line).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    event: 'listener.refused',
    client: '192.0.2.1',
  });
});

test('secrets do not reach the file, at the top or one level down', async () => {
  const file = join(folder, 'b.log');
  const log = systemLog({ file, level: 'info' });
  log.write('info', 'session.authenticated', { user: 'u', password: 'hunter2', http: { token: 'hunter2' } });
  await written(file, 1);
  const text = await readFile(file, 'utf8');
  expect(text).toContain('"user":"u"');
  expect(text).not.toContain('hunter2');
});

test('after reopen lines go to a new file of the old name', async () => {
  const file = join(folder, 'c.log');
  const log = systemLog({ file, level: 'info' });
  log.write('info', 'first');
  await written(file, 1);
  await rename(file, `${file}.1`);
  log.reopen();
  log.write('info', 'second');
  const [line] = await written(file, 1);
  expect(line).toMatchObject({ event: 'second' });
});

test('flush loses and doubles no line, and does no harm before the file is open', async () => {
  const file = join(folder, 'd.log');
  const log = systemLog({ file, level: 'info' });
  log.flush();
  log.write('info', 'first');
  await written(file, 1);
  for (let i = 0; i < 100; i++) log.write('info', 'more');
  log.flush();
  await written(file, 101);
});
