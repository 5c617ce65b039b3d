import { expect, test } from 'vitest';
import type { QueueListReport, QueueShowReport } from '../../src/control/operatingReports.ts';
import { waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

async function queuesOf(scene: Scene, ...args: string[]): Promise<QueueListReport> {
  return JSON.parse((await scene.penstock('queue', 'list', ...args, '--json')).stdout);
}

test('what is paused waits, over restarts and for queues that come later, until it is resumed', async () => {
  const scene = await Scene.begin();
  const paused = await scene.penstock('queue', 'pause', '*.held.test');
  expect(paused.stdout).toContain('paused *.held.test/*: 0 queues with 0 recipients');
  await submit(scene.ledger.submissions, scene.port, { to: ['one@a.held.test', 'two@sink.test'] });
  expect(await waitUntil(async () => (await scene.rowsOf('two@sink.test')).length === 1, 5_000)).toBe(true);
  await scene.daemon.kill();
  await scene.start();
  expect(await queuesOf(scene)).toMatchObject({
    queues: [{ name: 'a.held.test/{default}', recipients: 1, isPaused: true, pausedBy: '*.held.test/*' }],
    pauseRules: ['*.held.test/*'],
  });
  expect((await scene.penstock('status')).stdout).toMatch(/^paused: +\*\.held\.test\/\*$/m);
  await submit(scene.ledger.submissions, scene.port, { to: ['three@b.held.test'] });
  expect(await queuesOf(scene, '--paused', 'B*')).toMatchObject({ total: 1, totalRecipients: 1 });
  expect(await scene.rowsOf('one@a.held.test')).toEqual([]);
  expect((await scene.penstock('queue', 'resume', '*')).code).toBe(0);
  expect(await scene.settle()).toEqual([]);
});

test('retry ends the waits that queue show tells of', async () => {
  const scene = await Scene.begin({
    domainLines: ['retry-recipients-after 1h'],
    judge: (stage, _, nth) => (stage === 'rcpt' && nth === 0 ? { reply: '450 4.2.1 later' } : undefined),
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['one@a.test'] });
  expect(await waitUntil(async () => (await scene.rows()).length === 1, 5_000)).toBe(true);
  const shown = await scene.penstock('queue', 'show', 'A.test/{default}', '--json');
  const { queues, settings } = JSON.parse(shown.stdout) as QueueShowReport;
  expect(queues).toMatchObject([{ recipients: 1, ready: 0, waiting: 1, lastError: '450 4.2.1 later' }]);
  const retryRecipients = settings.find(({ directive }) => directive === 'retry-recipients-after');
  expect(retryRecipients).toMatchObject({ value: '1h', where: expect.stringMatching(/:\d+$/) });
  const text = (await scene.penstock('queue', 'show', 'a.test/{default}')).stdout;
  expect(text).toContain('1: 0 ready, 1 waiting, 0 in delivery');
  const unknown = await scene.penstock('queue', 'show', 'a.tset/{default}');
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('a.test/{default} may be meant'),
  });
  expect((await scene.penstock('queue', 'retry', 'a.test')).stdout).toContain('1 deferred recipients');
  expect(await scene.settle()).toEqual([]);
});

test('deleted mail is not sent, and has its row once, though the daemon is killed at once', async () => {
  const scene = await Scene.begin();
  await scene.penstock('queue', 'pause', '*.held.test');
  const to = Array.from({ length: 300 }, (_, i) => `r${i}@${i % 3}.held.test`);
  for (let from = 0; from < to.length; from += 50)
    await submit(scene.ledger.submissions, scene.port, { to: to.slice(from, from + 50) });
  const unsaid = await scene.penstock('queue', 'delete', '*.held.test');
  expect(unsaid).toMatchObject({ code: 64, stderr: expect.stringContaining('3 queues and 300 recipients') });
  const deleted = await scene.penstock('queue', 'delete', '*.held.test', '--yes');
  expect(deleted.stdout).toContain('deleted 300 recipients');
  await scene.daemon.kill();
  await scene.start();
  expect(await waitUntil(async () => (await scene.rows()).length >= 300, 10_000)).toBe(true);
  await scene.penstock('queue', 'resume', '*');
  await scene.daemon.stop();
  const rows = await scene.rows();
  expect(rows.map(({ rcpt }) => rcpt).sort()).toEqual([...to].sort());
  expect(new Set(rows.map(({ type, dsnStatus, bounceCat }) => `${type} ${dsnStatus} ${bounceCat}`))).toEqual(
    new Set(['b 5.0.0 (undefined status) other']),
  );
  expect(rows[0]).toMatchObject({ queue: expect.stringMatching(/^\d\.held\.test\/{default}$/) });
  expect(scene.ledger.receptions).toEqual([]);
});

test('why tells what a queue and a message wait for, with the line that says so', async () => {
  const scene = await Scene.begin({ sinkPort: 9, domainLines: ['retry-after 1h'] });
  await submit(scene.ledger.submissions, scene.port, { to: ['one@a.test'] });
  const ofQueue = async () => JSON.parse((await scene.penstock('why', 'a.test/{default}', '--json')).stdout);
  expect(await waitUntil(async () => (await ofQueue()).queues?.[0]?.holds.length > 0, 5_000)).toBe(true);
  expect(await ofQueue()).toMatchObject({
    schema: 'penstock.whyQueue/1',
    queues: [
      { retryStep: 1, holds: [{ limit: 'retry-after', value: '1h', where: expect.stringMatching(/:\d+$/) }] },
    ],
  });
  await scene.penstock('queue', 'pause', 'a.test');
  const text = (await scene.penstock('why', 'a.test/{default}')).stdout;
  expect(text).toMatch(/^queue pause$/m);
  expect(text).toMatch(/^retry-after +1h +in (?:59m|1h) .*:\d+$/m);
  const message = await scene.penstock('why', '1.1');
  expect(message.stdout).toMatch(/^one@a\.test$/m);
  expect(message.stdout).toMatch(/^ {2}ready, 0 attempts, in a\.test\/\{default\}$/m);
  expect(await scene.penstock('why', '1.99')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nothing is owed of 1.99'),
  });
});

test('a trace shows a delivery as it happens', async () => {
  const scene = await Scene.begin({
    domainLines: ['retry-recipients-after 1h'],
    judge: (stage, _, nth) => (stage === 'rcpt' && nth === 0 ? { reply: '450 4.2.1 later' } : undefined),
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['one@a.test'] });
  expect(await waitUntil(async () => (await scene.rows()).length === 1, 5_000)).toBe(true);
  // A connection that is idle already is not watched: the next one is.
  await scene.daemon.stop();
  await scene.start();
  const { code, stdout } = await scene.penstock('trace', 'deliver', 'a.test/{default}', '--data');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^[\d:.]+ - connected host=.*127\.0\.0\.1/m);
  expect(stdout).toMatch(/^[\d:.]+ C: RCPT TO:<one@a\.test>$/m);
  expect(stdout).toMatch(/^[\d:.]+ S: 250 /m);
  expect(stdout).toMatch(/^[\d:.]+ C: Subject: to one@a\.test$/m);
  expect(await scene.log('delivery.commands')).toEqual([]);
  expect(await scene.penstock('trace', 'deliver', 'none.test/v')).toMatchObject({ code: 2 });
});
