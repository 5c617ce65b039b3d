import { expect, test } from 'vitest';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { Sink } from '../ledger/sink.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

test('each recipient of a transaction has its own outcome: rows d, t then d, and b with a category', async () => {
  const scene = await Scene.begin({
    judge: (stage, recipient, nth) => {
      if (stage !== 'rcpt') return undefined;
      if (recipient.startsWith('later') && nth === 0) return { reply: '450 4.2.1 greylisted' };
      if (recipient.startsWith('never')) return { reply: '550 5.1.1 no such user' };
      return undefined;
    },
  });
  const addresses = ['good@mixed.test', 'later@mixed.test', 'never@mixed.test'];
  await submit(scene.ledger.submissions, scene.port, { to: addresses });
  expect(await scene.settle()).toEqual([]);

  const [good, later, never] = await Promise.all(addresses.map((address) => scene.rowsOf(address)));
  expect(good!.map(({ type, dsnAction }) => [type, dsnAction])).toEqual([['d', 'relayed']]);
  expect(later!.map(({ type, dsnAction }) => [type, dsnAction])).toEqual([
    ['t', 'delayed'],
    ['d', 'relayed'],
  ]);
  expect(later![0]!.dsnDiag).toBe('smtp;450 4.2.1 greylisted');
  const waitedMs = Date.parse(later![1]!.timeLogged!) - Date.parse(later![0]!.timeLogged!);
  expect(waitedMs).toBeGreaterThanOrEqual(1000);
  expect(never!.map(({ type, bounceCat, dsnStatus }) => [type, bounceCat, dsnStatus])).toEqual([
    ['b', 'bad-mailbox', '5.1.1 (bad destination mailbox address)'],
  ]);
});

test('a host that defers MAIL holds its whole queue: the rest of it is not tried until the clock says so', async () => {
  const mails: number[] = [];
  const scene = await Scene.begin({
    domainLines: ['max-smtp-out 1', 'retry-after 2s'],
    judge: (stage) => {
      if (stage !== 'mail') return undefined;
      mails.push(performance.now());
      return mails.length === 1 ? { reply: '451 4.3.2 not now' } : undefined;
    },
  });
  for (let nth = 0; nth < 5; nth++) {
    await submit(scene.ledger.submissions, scene.port, { to: [`u${nth}@busy.test`] });
  }
  expect(await scene.settle()).toEqual([]);
  expect(mails).toHaveLength(6);
  expect(mails[1]! - mails[0]!).toBeGreaterThanOrEqual(1900);
  expect((await scene.rowsOf('u0@busy.test')).map(({ type }) => type)).toEqual(['t', 'd']);
});

test('mail for a host that is not there waits by the clock of its queue, and is delivered when the host comes', async () => {
  const [port] = await freePorts(1);
  const scene = await Scene.begin({ sinkPort: port! });
  await submit(scene.ledger.submissions, scene.port, { to: ['patient@down.test'] });
  const isWaiting = await waitUntil(async () => {
    const [queue] = JSON.parse((await scene.penstock('queue', 'list', '--json')).stdout).queues;
    return queue?.lastError !== '' && queue?.nextTryMs !== undefined;
  }, 5_000);
  expect(isWaiting).toBe(true);

  const late = await Sink.start({ port: port!, receptions: scene.ledger.receptions });
  expect(await scene.drained()).toBe(true);
  expect(await scene.settle()).toEqual([]);
  await late.stop();
  // A connection that fails says nothing of a recipient: no t row.
  expect((await scene.rowsOf('patient@down.test')).map(({ type }) => type)).toEqual(['d']);
});

test('what is older than bounce-after bounces once, as expired', async () => {
  const [nobody] = await freePorts(1);
  const scene = await Scene.begin({
    domainLines: ['bounce-after 3s'],
    judge: (stage, recipient) =>
      stage === 'rcpt' && recipient.startsWith('full') ? { reply: '452 4.2.2 mailbox full' } : undefined,
    extra: `<domain gone.test>\n  smtp-hosts [127.0.0.1]:${nobody}\n</domain>`,
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['full@slow.test', 'lost@gone.test'] });
  expect(await scene.settle()).toEqual([]);
  for (const recipient of ['full@slow.test', 'lost@gone.test']) {
    const rows = await scene.rowsOf(recipient);
    const last = rows.at(-1)!;
    expect([last.type, last.dsnStatus, last.bounceCat]).toEqual([
      'b',
      '4.4.7 (delivery time expired)',
      'message-expired',
    ]);
    expect(rows.slice(0, -1).every(({ type }) => type === 't')).toBe(true);
  }
  expect((await scene.rowsOf('full@slow.test')).length).toBeGreaterThan(1);
});
