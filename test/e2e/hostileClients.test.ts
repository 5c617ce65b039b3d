import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { waitUntil } from '../ledger/daemon.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';
import { Scene } from './scene.ts';

const envelope = (to: string): string =>
  `EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<${to}>\r\nDATA\r\nSubject: x\r\n\r\n`;

test('honest mail flows while clients idle, send noise, never read, vanish and crash', async () => {
  const scene = await Scene.begin({ extra: 'total-max-smtp-in 900' });
  const clients: SmtpConversation[] = [];
  const open = (): SmtpConversation => {
    const client = new SmtpConversation(scene.port);
    clients.push(client);
    return client;
  };
  onTestFinished(() => {
    for (const client of clients) client.close();
  });
  for (let i = 0; i < 500; i++) open();
  const honest = scene.inject({ connections: 10, messages: 500 });

  for (let i = 0; i < 20; i++) {
    open().write(randomBytes(50_000));
    open().write(`${'A'.repeat(100_000)}`);
    open().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    open().write('\0\r\n'.repeat(1000));

    // Ten thousand replies that nobody reads.
    const deaf = open();
    deaf.stopReading();
    deaf.write(`EHLO x\r\n${'NOOP\r\n'.repeat(10_000)}`);

    const vanishing = open();
    vanishing.write(`${envelope(`vanished${i}@sink.test`)}half a`);
    void vanishing.replies(5).then(() => vanishing.reset());

    const leaving = open();
    leaving.write(`${envelope(`left${i}@sink.test`)}half a`);
    void leaving.replies(5).then(() => leaving.end());
  }
  await honest.done;
  expect(await scene.drained()).toBe(true);
  const { listeners } = await scene.status();
  expect(listeners[0]!.acceptedTotal).toBeGreaterThan(600);
  for (const client of clients) client.close();
  const isForgotten = await waitUntil(
    async () => (await scene.status()).listeners[0]!.connections === 0,
    8_000,
  );
  expect(isForgotten).toBe(true);
  expect(await scene.enginePids()).toHaveLength(1);
  expect(await scene.settle()).toEqual([]);
});

test('a client that ends its side behind the dot still reads what became of its messages', async () => {
  const scene = await Scene.begin();
  const client = new SmtpConversation(scene.port);
  const second = 'MAIL FROM:<a@b.test>\r\nRCPT TO:<two@sink.test>\r\nDATA\r\nSubject: y\r\n\r\n.\r\n';
  client.write(`${envelope('one@sink.test')}.\r\n${second}`);
  client.end();
  const replies = (await client.replies(10))!;
  expect(replies.map((reply) => reply.slice(0, 3)).join(' ')).toBe('220 250 250 250 354 250 250 250 354 250');
  expect(await client.closed()).toBeUndefined();
  for (const recipient of ['one@sink.test', 'two@sink.test']) {
    const isThere = await waitUntil(async () => (await scene.rowsOf(recipient)).length === 1, 5_000);
    expect(isThere).toBe(true);
  }
  expect(await scene.daemon.stop()).toBe(0);
});

test('who is silent or slow for too long is told 421 and let go', async () => {
  const scene = await Scene.begin({ sourceLines: ['smtp-command-timeout 1s', 'smtp-data-timeout 1s'] });
  const idle = new SmtpConversation(scene.port);
  const dripping = new SmtpConversation(scene.port);
  const slow = new SmtpConversation(scene.port);
  const drip = setInterval(() => dripping.write('N'), 100);
  onTestFinished(() => clearInterval(drip));
  slow.write(envelope('slow@sink.test'));
  expect(await slow.replies(6)).toMatchObject({ 5: expect.stringMatching(/^421 4\.4\.2 /) });
  for (const client of [idle, dripping]) {
    expect(await client.replies(2)).toMatchObject({ 1: expect.stringMatching(/^421 4\.4\.2 /) });
  }
  for (const client of [idle, dripping, slow]) await client.closed();
  expect(await scene.settle()).toEqual([]);
});
