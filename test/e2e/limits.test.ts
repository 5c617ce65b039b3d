import { expect, test } from 'vitest';
import { type Happening, mostInAnyWindow } from '../../src/base/anyWindow.ts';
import { waitUntil } from '../ledger/daemon.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

test('a client over max-message-size, max-rcpt-per-message or total-max-smtp-in is told so', async () => {
  const scene = await Scene.begin({
    sourceLines: ['max-message-size 10K', 'max-rcpt-per-message 2'],
    extra: 'total-max-smtp-in 3',
  });
  const { submissions } = scene.ledger;
  const line = `${'x'.repeat(62)}\r\n`;
  const big = Buffer.from(`Subject: big\r\n\r\n${line.repeat(200)}`);
  const tooBig = await submit(submissions, scene.port, { to: ['big@sink.test'], content: big });
  expect(tooBig.final).toMatch(/^552 5\.3\.4 /);
  const announced = await submit(submissions, scene.port, {
    to: ['big@sink.test'],
    parameters: 'SIZE=20000',
  });
  expect(announced.mail).toMatch(/^552 5\.3\.4 /);

  const to = ['one@sink.test', 'two@sink.test', 'three@sink.test'];
  const crowd = await submit(submissions, scene.port, { to });
  expect(crowd.recipients.map((reply) => reply!.slice(0, 9))).toEqual([
    '250 2.1.5',
    '250 2.1.5',
    '452 4.5.3',
  ]);
  expect(crowd.final).toMatch(/^250 /);

  const clients = Array.from({ length: 3 }, () => new SmtpConversation(scene.port));
  for (const client of clients) expect(await client.reply()).toMatch(/^220 /);
  const fourth = new SmtpConversation(scene.port);
  expect(await fourth.reply()).toMatch(/^421 4\.3\.2 /);
  expect(await fourth.closed()).toBeUndefined();
  clients[0]!.close();
  const isFree = await waitUntil(async () => {
    const fifth = await submit(submissions, scene.port, { to: ['fifth@sink.test'] });
    return fifth.final?.startsWith('250') === true;
  }, 5_000);
  expect(isFree).toBe(true);
  for (const client of clients) client.close();
  expect(await scene.settle()).toEqual([]);
});

test('a queue never has more than max-smtp-out connections, nor more than max-msg-per-connection on one', async () => {
  const scene = await Scene.begin({ domainLines: ['max-smtp-out 3', 'max-msg-per-connection 7'] });
  await scene.inject({ connections: 10, messages: 300 }).done;
  expect(await scene.settle()).toEqual([]);
  expect(scene.sink.peak).toBeGreaterThan(1);
  expect(scene.sink.peak).toBeLessThanOrEqual(3);
  expect(Math.max(...scene.sink.messages)).toBe(7);
});

test('no second sees more than max-msg-rate allows, wherever it begins, and the rate is used', async () => {
  const named: Happening[] = [];
  const judge = (stage: string): undefined => {
    if (stage === 'rcpt') named.push({ atMs: performance.now(), amount: 1 });
  };
  const scene = await Scene.begin({ domainLines: ['max-msg-rate 20/s'], judge });
  await scene.inject({ connections: 4, messages: 70 }).done;
  expect(await scene.settle()).toEqual([]);
  expect(named.length).toBeGreaterThanOrEqual(70);
  expect(mostInAnyWindow(named, 1000)).toBe(20);
});

test('all queues together never have more than total-max-smtp-out connections, and each gets its turn', async () => {
  const domains = Array.from({ length: 12 }, (_, i) => `d${i}.test`);
  const scene = await Scene.begin({ extra: 'total-max-smtp-out 4' });
  await scene.inject({ connections: 10, messages: 360, domains }).done;
  expect(await scene.settle()).toEqual([]);
  expect(scene.sink.peak).toBeLessThanOrEqual(4);
});
