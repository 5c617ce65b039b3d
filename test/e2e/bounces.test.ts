import { expect, test } from 'vitest';
import { waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const refusing = (stage: string, recipient: string): { reply: string } | undefined =>
  stage === 'rcpt' && recipient.startsWith('never') ? { reply: '550 5.1.1 no such user' } : undefined;

test('the sender is told what was refused, and the report has a row of its own', async () => {
  const scene = await Scene.begin({ tellsSenders: true, keepsContents: true, judge: refusing });
  const { submissions } = scene.ledger;
  const content = Buffer.from('Subject: the news\r\n\r\nbody\r\n');
  await submit(submissions, scene.port, {
    from: 'app@origin.test',
    to: ['good@mixed.test', 'never-1@mixed.test', 'never-2@mixed.test'],
    content,
  });
  expect(await waitUntil(async () => (await scene.rowsOf('app@origin.test')).length > 0, 20_000)).toBe(true);
  expect(await scene.daemon.stop()).toBe(0);

  const [report, ...others] = scene.contents.get('app@origin.test')!;
  expect(others).toEqual([]);
  const text = report!.toString();
  expect(text).toMatch(/^From: Mail Delivery System <MAILER-DAEMON@penstock\.test>\r$/m);
  expect(text.match(/^Final-Recipient: .*/gm)).toEqual([
    'Final-Recipient: rfc822; never-1@mixed.test',
    'Final-Recipient: rfc822; never-2@mixed.test',
  ]);
  expect(text).toContain('Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n');
  expect(text).toContain('\r\nSubject: the news\r\n\r\n--');
  expect(text).not.toContain('body\r\n');
  const [row] = await scene.rowsOf('app@origin.test');
  expect([row!.type, row!.orig, row!.srcType, row!.srcMta, row!.queue, row!.vmta]).toEqual([
    'd',
    '',
    'api',
    '',
    'origin.test/{default}',
    '{default}',
  ]);
});

test('what expired tells the last obstacle, in its row and to the sender; nobody is told of the report itself', async () => {
  const scene = await Scene.begin({
    tellsSenders: true,
    keepsContents: true,
    domainLines: ['bounce-after 3s'],
    sourceLines: ['dsn-return-default full'],
    extra: 'custom-dsn-from-header "Bounces <bounces@penstock.test>"',
    judge: (stage, recipient) => {
      if (stage !== 'rcpt') return undefined;
      return recipient.startsWith('full') ? { reply: '452 4.2.2 mailbox full' } : refusing(stage, recipient);
    },
  });
  const { submissions } = scene.ledger;
  await submit(submissions, scene.port, { from: 'app@origin.test', to: ['full@slow.test'] });
  await submit(submissions, scene.port, { from: 'never@origin.test', to: ['never@mixed.test'] });
  const isOver = await waitUntil(
    async () =>
      (await scene.rowsOf('app@origin.test')).length > 0 &&
      (await scene.rowsOf('never@origin.test')).length > 0,
    20_000,
  );
  expect(isOver).toBe(true);
  expect(await scene.daemon.stop()).toBe(0);

  const last = (await scene.rowsOf('full@slow.test')).at(-1)!;
  expect([last.type, last.bounceCat, last.dsnDiag]).toEqual([
    'b',
    'message-expired',
    'smtp;452 4.2.2 mailbox full',
  ]);
  const [report] = scene.contents.get('app@origin.test')!;
  const text = report!.toString();
  expect(text).toMatch(/^From: Bounces <bounces@penstock\.test>\r$/m);
  expect(text).toContain('Status: 4.4.7\r\nDiagnostic-Code: smtp; 452 4.2.2 mailbox full\r\n');
  expect(text).toContain('\r\nSubject: to full@slow.test\r\n\r\nhello\r\n');
  // The report to never@origin.test bounced, and that is the end of it.
  const rows = await scene.rows();
  expect(rows.filter(({ type, orig }) => type === 'b' && orig === '').map(({ rcpt }) => rcpt)).toEqual([
    'never@origin.test',
  ]);
  expect([...scene.contents.keys()]).toEqual(['app@origin.test']);
});

test('mail for our postmaster goes to the operators', async () => {
  const scene = await Scene.begin({ extra: 'postmaster operator@elsewhere.test' });
  await submit(scene.ledger.submissions, scene.port, { to: ['PostMaster'] });
  expect(await waitUntil(async () => (await scene.rows()).length === 2, 10_000)).toBe(true);
  expect(await scene.daemon.stop()).toBe(0);
  const rows = await scene.rows();
  expect(rows.map(({ type, rcpt, orcpt }) => [type, rcpt, orcpt]).sort()).toEqual([
    ['d', 'operator@elsewhere.test', 'rfc822;postmaster@penstock.test'],
    ['d', 'postmaster@penstock.test', 'rfc822;postmaster@penstock.test'],
  ]);
});
