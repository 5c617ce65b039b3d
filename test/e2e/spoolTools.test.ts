import { createHash } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SpoolExportReport, SpooledMessageReport } from '../../src/cli/spoolExport.ts';
import type { SpoolVerifyReport } from '../../src/cli/spoolVerify.ts';
import type { QuarantineListReport, QuarantineReleaseReport } from '../../src/control/reports.ts';
import { runPenstock, waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

/** What `--json` prints. */
async function told<T>(scene: Scene, code: number, ...args: string[]): Promise<T> {
  const result = await scene.penstock(...args, '--json');
  expect([result.code, result.stderr]).toEqual([code, expect.any(String)]);
  return JSON.parse(result.stdout) as T;
}

const engineFolder = (scene: Scene): string => join(scene.site.folder, 'spool', 'engine-1');

/** Every file of the spool, by its path, hashed. */
async function hashes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return found;
}

/** Flips a bit in the segment that holds these bytes. */
async function damage(scene: Scene, bytes: string): Promise<string> {
  for (const name of await readdir(engineFolder(scene))) {
    if (!name.endsWith('.segment')) continue;
    const path = join(engineFolder(scene), name);
    const at = (await readFile(path)).indexOf(bytes);
    if (at < 0) continue;
    const file = await open(path, 'r+');
    await file.write(Buffer.from([bytes.charCodeAt(0) ^ 1]), 0, 1, at);
    await file.close();
    return name;
  }
  throw new Error(`no segment holds ${bytes}`);
}

test('damaged mail is held and never sent; verify, list and export tell of it, release tries it again', async () => {
  const scene = await Scene.begin({
    domainLines: ['retry-recipients-after 1s'],
    keepsContents: true,
    judge: (stage) => (stage === 'rcpt' ? { reply: '450 4.2.1 later' } : undefined),
  });
  const letters = new Map([
    ['a@sink.test', 'Subject: a\r\n\r\n.a line with a dot\r\n..\r\n'],
    ['b@sink.test', 'Subject: b\r\n\r\nthe-damaged-one\r\n'],
    ['c@sink.test', 'Subject: c\r\n\r\nin chunks\r\n.\r\n'],
  ]);
  const ids = new Map<string, string>();
  for (const [recipient, text] of letters) {
    const { final } = await submit(scene.ledger.submissions, scene.port, {
      to: [recipient],
      content: Buffer.from(text),
      ...(recipient === 'c@sink.test' && { chunkBytes: 10 }),
    });
    ids.set(recipient, /id (\S+)$/.exec(final!)![1]!);
  }
  // Every message was attempted, and accounting has read so.
  const tried = async (): Promise<number> => new Set((await scene.rows()).map(({ rcpt }) => rcpt)).size;
  expect(await waitUntil(async () => (await tried()) === 3, 10_000)).toBe(true);
  const clean = await told<SpoolVerifyReport>(scene, 0, 'spool', 'verify');
  expect(clean.engines[0]).toMatchObject({ isRunning: true, messages: 3, recipients: 3, damages: [] });

  expect(await scene.daemon.stop()).toBe(0);
  const segment = await damage(scene, 'the-damaged-one');
  const before = await hashes(join(scene.site.folder, 'spool'));
  const id = ids.get('b@sink.test')!;
  const found = await told<SpoolVerifyReport>(scene, 2, 'spool', 'verify');
  expect(found).toMatchObject({
    damages: 1,
    engines: [{ isRunning: false, messages: 3, damages: [{ kind: 'content', id, isOwed: true }] }],
  });
  const text = (await scene.penstock('spool', 'verify')).stdout;
  expect(text).toContain(segment);
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);

  const target = join(scene.site.folder, 'out');
  const exported = await scene.penstock('spool', 'export', target, '--json');
  expect(exported.code).toBe(2);
  const [first] = exported.stdout.split('\n');
  expect(JSON.parse(first!) as SpoolExportReport).toMatchObject({ messages: 3, damaged: [id] });
  expect((await readdir(target)).sort()).toEqual(
    [...ids.values()].flatMap((one) => [`${one}.${one === id ? 'damaged' : 'eml'}`, `${one}.json`]).sort(),
  );
  for (const recipient of ['a@sink.test', 'c@sink.test']) {
    const eml = await readFile(join(target, `${ids.get(recipient)}.eml`), 'latin1');
    expect(eml).toMatch(/^Received: from /);
    expect(eml.endsWith(`\r\n${letters.get(recipient)!}`)).toBe(true);
    const told = JSON.parse(await readFile(join(target, `${ids.get(recipient)}.json`), 'utf8'));
    expect(told as SpooledMessageReport).toMatchObject({
      isWhole: true,
      envelope: { reversePath: 'sender@letter.test', recipients: 1 },
      owed: [{ index: 0, forwardPath: recipient, attempts: expect.any(Number) }],
    });
  }
  const again = await scene.penstock('spool', 'export', target);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('nothing is overwritten') });
  expect(await hashes(join(scene.site.folder, 'spool'))).toEqual(before);

  await scene.start();
  const held = async (): Promise<QuarantineListReport> => told(scene, 0, 'spool', 'quarantine', 'list');
  expect(await waitUntil(async () => (await held()).total === 1, 10_000)).toBe(true);
  expect(await held()).toMatchObject({
    isRunning: true,
    messages: [{ engine: 'engine-1', id, recipients: 1, heldFor: ['damaged'], domains: ['sink.test'] }],
  });
  expect((await scene.status()).spool).toMatchObject({ held: 1, messages: 2 });
  expect((await scene.penstock('status')).stdout).toContain(
    '1 messages: see "penstock spool quarantine list"',
  );

  const released = await told<QuarantineReleaseReport>(scene, 0, 'spool', 'quarantine', 'release', id);
  expect(released).toMatchObject({ messages: 1, recipients: 1 });
  const unreadable = async (): Promise<number> => (await scene.log('spool.unreadable')).length;
  expect(await waitUntil(async () => (await unreadable()) === 2, 10_000)).toBe(true);
  expect(await waitUntil(async () => (await held()).total === 1, 10_000)).toBe(true);
  expect((await scene.penstock('spool', 'quarantine', 'release', '1.fff')).code).toBe(2);

  // Over a restart, and without a daemon.
  expect(await scene.daemon.stop()).toBe(0);
  expect(await held()).toMatchObject({
    isRunning: false,
    total: 1,
    messages: [{ id, heldFor: ['damaged'] }],
  });
  expect((await scene.penstock('spool', 'quarantine', 'release', '--all')).code).toBe(4);
  const onlyHeld = join(scene.site.folder, 'held');
  expect((await scene.penstock('spool', 'export', onlyHeld, '--held')).code).toBe(2);
  expect(await readdir(onlyHeld)).toHaveLength(2);
  const only = join(scene.site.folder, 'only');
  const one = ids.get('a@sink.test')!;
  expect((await scene.penstock('spool', 'export', only, '--id', one)).code).toBe(0);
  expect((await readdir(only)).sort()).toEqual([`${one}.eml`, `${one}.json`]);
  await scene.start();
  expect(await waitUntil(async () => (await held()).total === 1, 10_000)).toBe(true);
  expect((await scene.log('spool.recovered')).at(-1)).toMatchObject({ held: 1, messages: 3 });
  // Nothing was ever taken by the receiver, least of all the damaged content.
  expect([...scene.contents.keys()]).toEqual([]);
});

test('records that are damaged are told at the start, by the byte, and whoever is in doubt is held', async () => {
  const scene = await Scene.begin({ sinkPort: 9 });
  for (const to of [['first@sink.test'], ['second@sink.test'], ['third@sink.test']]) {
    await submit(scene.ledger.submissions, scene.port, { to });
  }
  await scene.daemon.kill();
  const segment = await damage(scene, 'second@sink.test');
  await scene.start();
  const [line] = await scene.log('spool.damaged');
  expect(line).toMatchObject({ level: 'error', segment: Number.parseInt(segment, 10), sizeBytes: 4096 });
  const list = await told<QuarantineListReport>(scene, 0, 'spool', 'quarantine', 'list');
  expect(list).toMatchObject({ total: 1, messages: [{ heldFor: ['doubtful'], recipients: 1 }] });
  const released = await told<QuarantineReleaseReport>(scene, 0, 'spool', 'quarantine', 'release', '--all');
  expect(released).toMatchObject({ messages: 1, recipients: 1 });
  expect((await scene.status()).spool).toMatchObject({ held: 0, messages: 2 });
  // The spool remembers the release.
  await scene.daemon.stop();
  await scene.start();
  expect((await scene.status()).spool).toMatchObject({ held: 0, messages: 2 });
});

test('a folder that a start refuses can be exported whole', async () => {
  const scene = await Scene.begin({ sinkPort: 9 });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'] });
  await scene.daemon.stop();
  await scene.start();
  await submit(scene.ledger.submissions, scene.port, { to: ['b@sink.test'] });
  await scene.daemon.stop();
  const folder = engineFolder(scene);
  const [oldest] = (await readdir(folder)).filter((name) => name.endsWith('.segment')).sort();
  const bytes = await readFile(join(folder, oldest!));
  await writeFile(join(folder, oldest!), bytes.fill(0, 0, 4096));
  expect(await scene.launch().ended()).toBe(2);
  const target = join(scene.site.folder, 'out');
  const { code } = await scene.penstock('spool', 'export', target);
  expect(code).toBe(0);
  expect((await readdir(target)).filter((name) => name.endsWith('.eml'))).toHaveLength(2);
  // Also by the engine's own folder, wherever that was put.
  const { stdout, code: verified } = await runPenstock(['spool', 'verify', '--folder', folder], folder);
  expect(verified).toBe(2);
  expect(stdout).toContain(`${oldest}: its header; what is behind it can be read`);
});

test('beside a busy daemon verify and export find nothing damaged, while segments and content files come and go', async () => {
  const scene = await Scene.begin({ extra: 'total-max-smtp-in 100' });
  const small = scene.inject({ connections: 5, sizeBytes: 300_000 });
  const large = scene.inject({ connections: 1, sizeBytes: 1_100_000, mark: 'large' });
  const newest = new Set<number>();
  for (let round = 0; round < 2; round++) {
    const enough = 20 + 300 * round;
    expect(await waitUntil(() => scene.ledger.submissions.length > enough, 20_000)).toBe(true);
    const { engines } = await told<SpoolVerifyReport>(scene, 0, 'spool', 'verify');
    expect(engines[0]).toMatchObject({ isRunning: true, damages: [] });
    newest.add(engines[0]!.segments.at(-1)!.segment);
    const target = join(scene.site.folder, `out${round}`);
    expect(await told(scene, 0, 'spool', 'export', target)).toMatchObject({ damaged: [] });
  }
  await Promise.all([small.stop(), large.stop()]);
  expect(newest.size).toBeGreaterThan(1);
  // At rest, too: what was delivered last is not owed, though no later batch calls its outcome synced.
  expect(await scene.drained()).toBe(true);
  expect(await told<SpoolVerifyReport>(scene, 0, 'spool', 'verify')).toMatchObject({
    engines: [{ isRunning: true, messages: 0, contentFiles: { owed: 0 }, damages: [] }],
  });
  expect(await scene.settle()).toEqual([]);
  expect(await told<SpoolVerifyReport>(scene, 0, 'spool', 'verify')).toMatchObject({
    engines: [{ isRunning: false, messages: 0, contentFiles: { owed: 0 }, damages: [] }],
  });
}, 90_000);
