import { expect, test } from 'vitest';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { Sink } from '../ledger/sink.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const list = (...rules: readonly string[]): string =>
  ['<smtp-pattern-list rules>', ...rules.map((rule) => `  reply ${rule}`), '</smtp-pattern-list>'].join('\n');

/** A domain with two hosts, one after the other. */
const twoHosts = (first: Sink, secondPort: number, ...lines: readonly string[]): string =>
  [
    '<domain two.test>',
    `  smtp-hosts [127.0.0.1]:${first.port};[127.0.0.1]:${secondPort}`,
    ...lines.map((line) => `  ${line}`),
    '</domain>',
  ].join('\n');

/** A receiver whose greeting is this. */
function greeting(text: string): Promise<Sink> {
  return Sink.start({
    receptions: [],
    takesOver: (socket) => {
      socket.on('error', () => undefined);
      socket.end(`${text}\r\n`);
      return true;
    },
  });
}

test('a reply leads to backoff mode, whose waits hold until a rule ends it', async () => {
  let mails = 0;
  const scene = await Scene.begin({
    domainLines: ['smtp-pattern-list rules', 'max-smtp-out 1', 'backoff-retry-after 1s', 'retry-after 1h'],
    extra: list('/too fast/ mode=backoff,defer-queue', '/^250/ mode=normal'),
    judge: (stage) => {
      if (stage !== 'mail') return undefined;
      mails += 1;
      return mails === 1 ? { reply: '451 4.7.1 too fast' } : undefined;
    },
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@limits.test'] });
  // With the wait of normal mode it would take an hour.
  expect(await scene.settle()).toEqual([]);
  const [entered, left] = await scene.log('delivery.judged');
  expect(entered).toMatchObject({
    queue: 'limits.test/{default}',
    reply: '451 4.7.1 too fast',
    actions: { mode: 'backoff', deferQueue: true },
  });
  expect((entered!.rules as string[])[0]).toMatch(/:\d+ \/too fast\/$/);
  expect(left).toMatchObject({ actions: { mode: 'normal' } });
});

test('who is to hear of backoff mode gets a mail', async () => {
  let mails = 0;
  const scene = await Scene.begin({
    keepsContents: true,
    domainLines: ['smtp-pattern-list rules', 'backoff-retry-after 1s', 'backoff-notify op@operator.test'],
    extra: list('/too fast/ mode=backoff'),
    judge: (stage, sender) => {
      if (stage !== 'mail' || sender === '') return undefined;
      mails += 1;
      return mails === 1 ? { reply: '451 4.7.1 too fast' } : undefined;
    },
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@limits.test'] });
  const isTold = async (): Promise<boolean> => scene.contents.has('op@operator.test');
  expect(await waitUntil(isTold, 10_000)).toBe(true);
  const [mail] = scene.contents.get('op@operator.test')!;
  expect(mail!.toString()).toMatch(/Subject: limits\.test\/\{default\} is in backoff mode\r\n/);
  expect(await scene.drained()).toBe(true);
});

test('backoff mode survives a restart', async () => {
  let mails = 0;
  const scene = await Scene.begin({
    domainLines: ['smtp-pattern-list rules', 'max-smtp-out 1', 'backoff-retry-after 2s', 'retry-after 1h'],
    extra: list('/too fast/ mode=backoff'),
    judge: (stage) => {
      if (stage !== 'mail') return undefined;
      mails += 1;
      // The second one says nothing of speed: only the mode from before the restart makes its wait short.
      return mails > 2 ? undefined : { reply: `451 4.7.1 ${mails === 1 ? 'too fast' : 'not now'}` };
    },
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@limits.test'] });
  expect(await waitUntil(async () => (await scene.log('queue.mode')).length === 1, 5_000)).toBe(true);
  expect(await scene.daemon.stop()).toBe(0);
  await scene.start();
  expect(await scene.settle()).toEqual([]);
  expect(mails).toBe(3);
});

test('skip-mx goes on to the next host, even after a 5yz, and nobody is worse off', async () => {
  const first = await Sink.start({
    receptions: [],
    judge: (stage) => (stage === 'rcpt' ? { reply: '550 5.7.1 elsewhere' } : undefined),
  });
  const second = await Sink.start({ receptions: [] });
  const domain = twoHosts(first, second.port, 'smtp-pattern-list rules', 'retry-after 1h');
  const scene = await Scene.begin({ extra: `${domain}\n${list('/elsewhere/ skip-mx')}` });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@two.test', 'b@two.test'] });
  expect(await scene.drained()).toBe(true);
  expect((await scene.rows()).map(({ type, dlvDestinationIp }) => [type, dlvDestinationIp])).toEqual([
    ['d', '127.0.0.1'],
    ['d', '127.0.0.1'],
  ]);
  expect([first.messages.length, second.messages]).toEqual([1, [1]]);
  await Promise.all([first.stop(), second.stop()]);
});

test('a host that greets with a 5yz bounces mail, unless the queue says otherwise or another host takes it', async () => {
  const closed = await greeting('554 5.7.1 nothing from here');
  const open = await Sink.start({ receptions: [] });
  const scene = await Scene.begin({
    sinkPort: closed.port,
    extra: [
      twoHosts(closed, open.port),
      `<domain patient.test>\n  smtp-hosts [127.0.0.1]:${closed.port}\n  bounce-upon-5xx-greeting no\n</domain>`,
    ].join('\n'),
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@closed.test', 'b@closed.test'] });
  await submit(scene.ledger.submissions, scene.port, { to: ['c@closed.test'] });
  await submit(scene.ledger.submissions, scene.port, { to: ['d@two.test'] });
  await submit([], scene.port, { to: ['e@patient.test'] });
  expect(await scene.drained()).toBe(true);
  const rows = await scene.rows();
  expect(rows.map(({ rcpt, type }) => `${rcpt} ${type}`).sort()).toEqual([
    'a@closed.test b',
    'b@closed.test b',
    'c@closed.test b',
    'd@two.test d',
  ]);
  expect(rows.find(({ rcpt }) => rcpt === 'a@closed.test')).toMatchObject({
    dsnStatus: '5.7.1 (delivery not authorized)',
    dsnDiag: 'smtp;554 5.7.1 nothing from here',
    dsnMta: '127.0.0.1 (127.0.0.1)',
    bounceCat: 'policy-related',
  });
  await Promise.all([closed.stop(), open.stop()]);
});

test('bounce-queue ends everything that waits in the queue, once, with the reply that led to it', async () => {
  const scene = await Scene.begin({
    domainLines: ['smtp-pattern-list rules', 'max-smtp-out 1', 'retry-recipients-after 1h'],
    extra: list('/closed for good/ bounce-queue'),
    judge: (stage, recipient) => {
      if (stage !== 'rcpt') return undefined;
      if (recipient.startsWith('waits')) return { reply: '450 4.2.1 later' };
      return recipient.startsWith('last') ? { reply: '450 4.7.1 closed for good' } : undefined;
    },
  });
  const others = ['waits1@shut.test', 'waits2@shut.test', 'other@open.test'];
  for (const to of others) await submit(scene.ledger.submissions, scene.port, { to: [to] });
  const isWaiting = async (): Promise<boolean> =>
    (await scene.rows()).filter(({ type }) => type === 't').length === 2;
  expect(await waitUntil(isWaiting, 5_000)).toBe(true);
  await submit(scene.ledger.submissions, scene.port, { to: ['last@shut.test'] });
  expect(await scene.settle()).toEqual([]);
  const failed = (await scene.rows()).filter(({ type }) => type === 'b');
  expect(failed.map(({ rcpt }) => rcpt).sort()).toEqual([
    'last@shut.test',
    'waits1@shut.test',
    'waits2@shut.test',
  ]);
  expect(new Set(failed.map(({ dsnStatus, dsnDiag }) => `${dsnStatus} ${dsnDiag}`))).toEqual(
    new Set(['5.7.1 (delivery not authorized) smtp;450 4.7.1 closed for good;x-pmta;bounce-queue']),
  );
});

test('a queue that cannot go on has one row of its own for each of its waits', async () => {
  const [nobody] = await freePorts(1);
  let mails = 0;
  const scene = await Scene.begin({
    domainLines: ['retry-after 1s'],
    acctLines: ['records d,b,t,tq'],
    extra: `<domain gone.test>\n  smtp-hosts [127.0.0.1]:${nobody}\n  bounce-after 5s\n</domain>`,
    judge: (stage) => {
      if (stage !== 'mail') return undefined;
      mails += 1;
      return mails === 1 ? { reply: '451 4.3.2 not now' } : undefined;
    },
  });
  await submit(scene.ledger.submissions, scene.port, { to: ['a@busy.test'] });
  await submit(scene.ledger.submissions, scene.port, { to: ['b@gone.test'] });
  expect(await scene.settle()).toEqual([]);
  const rows = (await scene.rows()).filter(({ type }) => type === 'tq');
  expect(rows.filter(({ queue }) => queue === 'busy.test/{default}')).toMatchObject([
    {
      dsnStatus: expect.stringMatching(/^4\.3\.2 /),
      dsnDiag: 'smtp;451 4.3.2 not now',
      dsnMta: '127.0.0.1 (127.0.0.1)',
      dlvDestinationIp: '127.0.0.1',
      vmta: '{default}',
      rcpt: '',
    },
  ]);
  const gone = rows.filter(({ queue }) => queue === 'gone.test/{default}');
  expect(gone.length).toBeGreaterThan(1);
  expect(gone[0]).toMatchObject({ dsnStatus: '4.4.1 (no answer from host)', dlvSourceIp: '0.0.0.0' });
});
