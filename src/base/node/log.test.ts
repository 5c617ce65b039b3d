import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openLog, type SystemLog } from './log.ts';

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

async function logTo(file: string): Promise<SystemLog> {
  const log = await openLog({ file, level: 'info' });
  if ('kind' in log) throw new Error(log.message);
  return log;
}

/** Lines are written in the background. */
async function written(path: string, lines: number): Promise<Record<string, unknown>[]> {
  await expect.poll(async () => (await linesOf(path).catch(() => [])).length).toBe(lines);
  return linesOf(path);
}

test('a line is a JSON object with level, time, event and fields; lesser levels are left out', async () => {
  const file = join(folder, 'deep', 'a.log');
  const log = await logTo(file);
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
  const log = await logTo(file);
  log.write('info', 'session.authenticated', { user: 'u', password: 'hunter2', http: { token: 'hunter2' } });
  await written(file, 1);
  const text = await readFile(file, 'utf8');
  expect(text).toContain('"user":"u"');
  expect(text).not.toContain('hunter2');
});

test('after reopen lines go to a new file of the old name', async () => {
  const file = join(folder, 'c.log');
  const log = await logTo(file);
  log.write('info', 'first');
  await written(file, 1);
  await rename(file, `${file}.1`);
  await log.reopen();
  log.write('info', 'second');
  const [line] = await written(file, 1);
  expect(line).toMatchObject({ event: 'second' });
});

test('flush loses and doubles no line, and does no harm when there is nothing to write', async () => {
  const file = join(folder, 'd.log');
  const log = await logTo(file);
  log.flush();
  log.write('info', 'first');
  await written(file, 1);
  for (let i = 0; i < 100; i++) log.write('info', 'more');
  log.flush();
  await written(file, 101);
});

test('a log that cannot be opened is a value with its path and the code of the system', async () => {
  expect(await openLog({ file: folder, level: 'info' })).toMatchObject({
    kind: 'unwritable',
    path: folder,
    code: 'EISDIR',
  });
  // A pipe without a reader would be waited for.
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  expect(await openLog({ file: join(folder, 'pipe'), level: 'info' })).toMatchObject({ code: 'ENXIO' });
});

test('a full disk costs lines, is said once on standard error, and neither throws nor hangs', async () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const log = await logTo('/dev/full');
    log.write('info', 'first');
    await expect.poll(() => said.mock.calls.length).toBe(1);
    log.write('info', 'second');
    log.flush();
    log.write('info', 'third');
    log.flush();
    expect(said.mock.calls.map(([text]) => text)).toEqual([
      expect.stringMatching(/^penstock: cannot write the log \/dev\/full: ENOSPC/),
    ]);
  } finally {
    said.mockRestore();
  }
});

test('a log that cannot be opened anew goes on where it was', async () => {
  const file = join(folder, 'e.log');
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const log = await logTo(file);
    await rename(file, `${file}.1`);
    await mkdir(file);
    await log.reopen();
    expect(said.mock.calls).toHaveLength(1);
    log.write('info', 'still there');
    await written(`${file}.1`, 1);
  } finally {
    said.mockRestore();
  }
});
