import { expect, test } from 'vitest';
import { waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

/** Outcomes that may wait for their sync, and deliveries whose reply was on its way (promise 2). */
const window = 256 + 2 * 20;

test.each(['stop', 'kill'] as const)('a deferral and its next try survive a %s', async (end) => {
  const scene = await Scene.begin({
    domainLines: ['retry-recipients-after 6s'],
    judge: (stage, _, nth) => (stage === 'rcpt' && nth === 0 ? { reply: '450 4.2.1 later' } : undefined),
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['waiting@sink.test'] });
  const types = async () => (await scene.rowsOf('waiting@sink.test')).map(({ type }) => type);
  expect(await waitUntil(async () => (await types()).length === 1, 5_000)).toBe(true);
  await scene.daemon[end]();
  await scene.start();
  expect((await scene.status()).spool.recipients).toBe(1);
  expect(await scene.settle()).toEqual([]);
  expect(await types()).toEqual(['t', 'd']);
  const [deferred, delivered] = await scene.rowsOf('waiting@sink.test');
  const waitedMs = Date.parse(delivered!.timeLogged!) - Date.parse(deferred!.timeLogged!);
  expect(waitedMs).toBeGreaterThanOrEqual(6000);
});

test('kill -9 under load loses nothing that was answered 250, and doubles only what was in the window', async () => {
  const scene = await Scene.begin({
    judge: (stage, recipient, nth) =>
      stage === 'dot' && nth === 0 && /^m\d*7-/.test(recipient) ? { reply: '451 4.7.1 later' } : undefined,
  });
  const injector = scene.inject({ connections: 20, recipientsPerMessage: 2 });
  for (let life = 0; life < 2; life++) {
    const before = scene.ledger.submissions.length;
    await waitUntil(() => scene.ledger.submissions.length > before + 400, 10_000);
    await scene.daemon.kill();
    await scene.start();
  }
  await injector.stop();
  expect(scene.ledger.submissions.filter(({ told }) => told === 'stored').length).toBeGreaterThan(700);
  expect(await scene.settle({ owed: 0, repeated: 2 * window })).toEqual([]);
});

test('an orderly stop under load doubles nothing', async () => {
  const scene = await Scene.begin();
  const injector = scene.inject({ connections: 20 });
  await waitUntil(() => scene.ledger.submissions.length > 300, 10_000);
  expect(await scene.daemon.stop()).toBe(0);
  await scene.start();
  await injector.stop();
  expect(await scene.settle()).toEqual([]);
});

test('all that grew older than bounce-after while the daemon was down bounces once, at the start', async () => {
  const scene = await Scene.begin({ sinkPort: 9, domainLines: ['bounce-after 2s'] });
  const { done } = scene.inject({ connections: 10, messages: 200, recipientsPerMessage: 3 });
  await done;
  await scene.daemon.kill();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await scene.start();
  expect(await scene.settle()).toEqual([]);
  const rows = await scene.rows();
  expect(new Set(rows.map(({ type, bounceCat }) => `${type} ${bounceCat}`))).toEqual(
    new Set(['b message-expired']),
  );
  expect(rows).toHaveLength(600);
});

test('an id is never given twice, however the daemon ended', async () => {
  const scene = await Scene.begin({ sinkPort: 9 });
  const ids: string[] = [];
  for (const end of ['stop', 'kill', 'kill', 'stop'] as const) {
    for (let i = 0; i < 3; i++) {
      const to = [`${ids.length}@sink.test`];
      const { final } = await submit(scene.ledger.submissions, scene.port, { to });
      ids.push(/id (\S+)$/.exec(final!)![1]!);
    }
    await scene.daemon[end]();
    await scene.start();
  }
  expect(new Set(ids).size).toBe(12);
  expect((await scene.status()).spool.messages).toBe(12);
});
