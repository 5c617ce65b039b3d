import { expect, test } from 'vitest';
import { waitUntil } from '../ledger/daemon.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const window = 256 + 2 * 20;

test('an engine that is killed is started again within seconds, and nothing is lost', async () => {
  const scene = await Scene.begin();
  const injector = scene.inject({ connections: 10 });
  await waitUntil(() => scene.ledger.submissions.length > 200, 10_000);
  const [first] = await scene.enginePids();
  process.kill(first!, 'SIGKILL');
  const isBack = await waitUntil(async () => (await scene.enginePids()).length === 2, 8_000);
  expect(isBack).toBe(true);
  expect(scene.daemon.hasEnded).toBe(false);
  const before = scene.ledger.submissions.length;
  expect(await waitUntil(() => scene.ledger.submissions.length > before + 200, 10_000)).toBe(true);
  await injector.stop();
  expect(await scene.settle({ owed: 0, repeated: window })).toEqual([]);
});

test('an engine whose supervisor is killed ends within seconds, and a new start takes up its mail', async () => {
  const scene = await Scene.begin();
  const injector = scene.inject({ connections: 10 });
  await waitUntil(() => scene.ledger.submissions.length > 200, 10_000);
  const [engine] = await scene.enginePids();
  await scene.daemon.killSupervisor();
  expect(await waitUntil(() => !isAlive(engine!), 8_000)).toBe(true);
  await scene.start();
  await injector.stop();
  // It had the time to finish and to sync: no window.
  expect(await scene.settle()).toEqual([]);
});

test('a new start right behind a killed supervisor waits for its engine instead of failing', async () => {
  const scene = await Scene.begin();
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'] });
  await scene.daemon.killSupervisor();
  await scene.start();
  await submit(scene.ledger.submissions, scene.port, { to: ['b@sink.test'] });
  expect(await scene.settle({ owed: 0, repeated: 1 })).toEqual([]);
});

test('a second daemon on the same spool is refused, says so, and does the first no harm', async () => {
  const scene = await Scene.begin();
  const second = await scene.penstock('run');
  expect(second.code).toBe(2);
  expect(second.stderr).toContain(`already running, pid ${scene.daemon.pid}`);
  await submit(scene.ledger.submissions, scene.port, { to: ['still@sink.test'] });
  expect(await scene.settle()).toEqual([]);
});

test('penstock stop lets what is in flight finish, and the daemon ends with 0', async () => {
  let release = (): void => {};
  const scene = await Scene.begin({
    judge: (stage, recipient) => {
      if (stage === 'rcpt' && recipient.startsWith('inflight')) release();
      return undefined;
    },
  });
  const isInFlight = new Promise<void>((resolve) => {
    release = resolve;
  });
  const client = new SmtpConversation(scene.port);
  client.write('EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<late@sink.test>\r\nDATA\r\n');
  await client.replies(5);
  client.write('Subject: half');
  await submit(scene.ledger.submissions, scene.port, { to: ['inflight@sink.test'] });
  await isInFlight;

  const stopping = scene.penstock('stop', '--json');
  await waitUntil(async () => (await scene.log('supervisor.stopping')).length > 0, 5_000);
  client.write(' a line\r\n\r\n.\r\n');
  expect(await client.reply()).toMatch(/^250 /);
  expect(await client.reply()).toMatch(/^421 4\.3\.2 /);
  const { code, stdout } = await stopping;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ schema: 'penstock.stop/1', pid: scene.daemon.pid });
  expect(await scene.daemon.ended()).toBe(0);
  expect((await scene.rowsOf('inflight@sink.test')).map(({ type }) => type)).toEqual(['d']);

  await scene.start();
  expect(await waitUntil(async () => (await scene.rowsOf('late@sink.test')).length > 0, 5_000)).toBe(true);
});

test('rows of all that was delivered before a stop are in the file when the daemon has ended', async () => {
  const scene = await Scene.begin();
  await scene.inject({ connections: 10, messages: 300 }).done;
  await waitUntil(() => scene.ledger.receptions.length === 300, 10_000);
  expect(await scene.daemon.stop()).toBe(0);
  expect(await scene.rows()).toHaveLength(300);
});

test('SIGTERM ends the daemon with 0 from its first greeting on', async () => {
  const scene = await Scene.set();
  for (let i = 0; i < 3; i++) {
    await scene.start();
    expect(await scene.daemon.stop()).toBe(0);
  }
});

test('status and queue list tell what waits and why', async () => {
  const scene = await Scene.begin({
    judge: (stage) => (stage === 'rcpt' ? { reply: '450 4.2.1 later' } : undefined),
    domainLines: ['retry-recipients-after 1h'],
  });
  const to = ['one@a.test', 'two@a.test', 'three@b.test'];
  await submit(scene.ledger.submissions, scene.port, { to });
  await waitUntil(async () => (await scene.rows()).length === 3, 5_000);
  expect(await scene.status()).toMatchObject({
    schema: 'penstock.status/1',
    pid: scene.daemon.pid,
    configFile: scene.site.configFile,
    durability: 'sync',
    listeners: [{ address: '127.0.0.1', port: scene.port, messagesTotal: 1, refusedTotal: 0 }],
    spool: { messages: 1, recipients: 3 },
    queues: { queues: 2, recipients: 3, deliveredTotal: 0, failedTotal: 0, deferredTotal: 3 },
  });
  const list = JSON.parse((await scene.penstock('queue', 'list', '--json')).stdout);
  expect(list.schema).toBe('penstock.queueList/1');
  expect(list.queues).toMatchObject([
    { name: 'a.test/{default}', recipients: 2, inDelivery: 0, lastError: '450 4.2.1 later' },
    { name: 'b.test/{default}', recipients: 1, inDelivery: 0, lastError: '450 4.2.1 later' },
  ]);
});

test('with no daemon, status exits with 4 and names the socket', async () => {
  const scene = await Scene.set();
  const { code, stderr } = await scene.penstock('status');
  expect(code).toBe(4);
  expect(stderr).toContain('penstock.sock');
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
