import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { accountingOf, waitUntil } from '../ledger/daemon.ts';
import { Scene } from './scene.ts';

/** Long, so that few rows fill a file of the least size. */
const domains = [`${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(60)}.test`];

test('files rotate by max-size under load, over restarts and deaths, and hold every row once', async () => {
  const scene = await Scene.begin({ acctLines: ['max-size 1M'] });
  const injector = scene.inject({
    connections: 10,
    recipientsPerMessage: 10,
    messages: 1200,
    sizeBytes: 300,
  });
  for (const end of ['stop', 'kill'] as const) {
    const before = scene.ledger.submissions.length;
    await waitUntil(() => scene.ledger.submissions.length > before + 1500, 10_000);
    await scene.daemon[end]();
    await scene.start();
  }
  await injector.done;
  expect(await scene.settle({ owed: 0, repeated: 256 + 2 * 20 })).toEqual([]);
  const names = await readdir(join(scene.site.folder, 'acct'));
  expect(names.length).toBeGreaterThan(1);
});

test('finished files are moved to move-to, whole, and none is lost on the way', async () => {
  const done = await mkdtemp(join(tmpdir(), 'penstock-moved-'));
  onTestFinished(() => rm(done, { recursive: true }));
  const scene = await Scene.begin({ acctLines: ['max-size 1M', `move-to ${done}`] });
  await scene.inject({ messages: 400, recipientsPerMessage: 10, domains }).done;
  expect(await waitUntil(() => scene.ledger.receptions.length === 4000, 10_000)).toBe(true);
  expect(await scene.daemon.stop()).toBe(0);
  const moved = await readdir(done);
  expect(moved.length).toBeGreaterThan(0);
  for (const name of moved) await rename(join(done, name), join(scene.site.folder, 'acct', name));
  scene.ledger.accounting = await accountingOf(scene.site);
  expect(scene.ledger.violations()).toEqual([]);
});
