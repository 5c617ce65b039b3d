import { afterEach, expect, test } from 'vitest';
import { dotStuffed, dotUnstuffed, withoutTrace } from './content.ts';
import { Injector } from './injector.ts';
import { Ledger } from './ledger.ts';
import { Sink, type SinkOptions } from './sink.ts';
import { SmtpConversation } from './smtpConversation.ts';

let sink: Sink | undefined;
afterEach(() => sink?.stop());

async function injectedInto(
  judge: SinkOptions['judge'],
  options: { messages: number; recipientsPerMessage?: number },
): Promise<Ledger> {
  const ledger = new Ledger();
  sink = await Sink.start({ receptions: ledger.receptions, ...(judge === undefined ? {} : { judge }) });
  const injector = new Injector({
    submissions: ledger.submissions,
    port: sink.port,
    connections: 5,
    ...options,
  });
  await injector.done;
  return ledger;
}

test('what the injector sends straight to the sink arrives once, unchanged and acknowledged', async () => {
  const ledger = await injectedInto(undefined, { messages: 100, recipientsPerMessage: 3 });
  expect(ledger.submissions).toHaveLength(300);
  expect(ledger.submissions.every(({ told }) => told === 'stored')).toBe(true);
  ledger.accounting = ledger.submissions.map(({ recipient }) => ({ type: 'd', recipient }));
  expect(ledger.violations()).toEqual([]);
});

test('the injector tells refused from unanswered, and goes on after a hang-up', async () => {
  const ledger = await injectedInto(
    (stage, recipient) => {
      if (stage === 'rcpt') return undefined;
      if (recipient.startsWith('m3-')) return { reply: '451 4.3.0 no' };
      return recipient.startsWith('m5-') ? 'hangUp' : undefined;
    },
    { messages: 20 },
  );
  const told = new Map(ledger.submissions.map((submission) => [submission.recipient, submission.told]));
  expect(told.get('m3-0@sink.test')).toBe('refused');
  expect(told.get('m5-0@sink.test')).toBe('unanswered');
  expect([...told.values()].filter((one) => one === 'stored').length).toBeGreaterThanOrEqual(17);
});

test('a recipient refused at RCPT is no submission', async () => {
  const ledger = await injectedInto((stage) => (stage === 'rcpt' ? { reply: '550 5.1.1 no' } : undefined), {
    messages: 3,
  });
  expect(ledger.submissions).toEqual([]);
  expect(ledger.receptions).toEqual([]);
});

test('the sink judges the nth try apart', async () => {
  const judge: SinkOptions['judge'] = (stage, _, nth) =>
    stage !== 'mail' && nth === 0 ? { reply: '450 4.2.1 later' } : undefined;
  sink = await Sink.start({ receptions: [], judge });
  const conversation = new SmtpConversation(sink.port);
  conversation.write('EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n');
  const replies = await conversation.replies(5);
  expect(replies?.slice(-2)).toEqual(['450 4.2.1 later', '250 2.1.5 ok']);
  conversation.close();
});

test('an empty content and one of dots alone survive the way over the wire', async () => {
  const contents = new Map<string, Buffer[]>();
  sink = await Sink.start({ receptions: [], contents });
  const conversation = new SmtpConversation(sink.port);
  conversation.write('EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n');
  conversation.write('MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\n..\r\n...\r\n.\r\n');
  await conversation.replies(10);
  expect(contents.get('a@b')?.map(String)).toEqual(['']);
  expect(contents.get('c@d')?.map(String)).toEqual(['.\r\n..\r\n']);
  conversation.close();
});

test('dot-stuffing and its undoing are opposites', () => {
  const content = Buffer.from('.a\r\nb.\r\n..\r\n\r\n.\r\n');
  expect(String(dotUnstuffed(dotStuffed(content)))).toBe(String(content));
  expect(String(dotStuffed(content))).toBe('..a\r\nb.\r\n...\r\n\r\n..\r\n');
});

test('exactly one trace field is taken off, with its folded lines', () => {
  const content = 'Received: from a\r\n\tby b; now\r\nReceived: older\r\nSubject: x\r\n\r\n';
  expect(String(withoutTrace(Buffer.from(content)))).toBe('Received: older\r\nSubject: x\r\n\r\n');
  expect(String(withoutTrace(Buffer.from('Subject: x\r\n\r\n')))).toBe('Subject: x\r\n\r\n');
});
