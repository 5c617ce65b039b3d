import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { SmtpConversation } from '../../test/ledger/smtpConversation.ts';
import { systemClock } from '../base/node/clock.ts';
import { systemNet } from '../base/node/net.ts';
import { type BuiltInReceiver, openReceiver, startBuiltInReceiver } from './builtInReceiver.ts';
import { openPolicy, type ReceiverPolicy } from './receiverPolicy.ts';

let receiver: BuiltInReceiver;
let client: SmtpConversation;
beforeEach(async () => {
  receiver = await startBuiltInReceiver(systemNet(), systemClock(), { address: '127.0.0.1', port: 0 });
  client = new SmtpConversation(receiver.at.port);
});
afterEach(async () => {
  client.close();
  await receiver.close();
});

test('it greets and offers extensions like an ISP', async () => {
  client.write('EHLO mta.test\r\n');
  const [greeting, ehlo] = (await client.replies(2))!;
  expect(greeting).toMatch(/^220 mx\.penstock\.test /);
  for (const word of ['PIPELINING', 'SIZE 50000000', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES']) {
    expect(ehlo).toMatch(new RegExp(`^250[- ]${word}$`, 'm'));
  }
});

test('it takes mail for anyone, pipelined, counts it and says goodbye', async () => {
  const envelope = 'MAIL FROM:<a@b.test>\r\nRCPT TO:<c@gmail.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n';
  client.write(`EHLO mta.test\r\n${envelope}`);
  expect((await client.replies(6))?.at(-1)).toMatch(/^354/);
  client.write(`Subject: x\r\n\r\nhi\r\n.\r\n${envelope}`);
  expect((await client.replies(5))?.map((reply) => reply.slice(0, 3)).join()).toBe('250,250,250,250,354');
  client.write('\r\n.\r\nQUIT\r\n');
  expect((await client.replies(2))?.map((reply) => reply.slice(0, 3)).join()).toBe('250,221');
  expect(await client.reply()).toBeUndefined();
  expect(receiver.counts).toMatchObject({ messages: 2, recipients: 4 });
  expect(receiver.counts.bytes).toBeGreaterThan(16);
});

/** A receiver with a policy of its own, and a client that has said hello. */
async function guarded(policy: Partial<ReceiverPolicy>): Promise<SmtpConversation> {
  await receiver.close();
  const manner = { ...openReceiver, policy: { ...openPolicy, ...policy } };
  const at = { address: '127.0.0.1', port: 0 };
  receiver = await startBuiltInReceiver(systemNet(), systemClock(), at, manner);
  return greeted();
}

async function greeted(): Promise<SmtpConversation> {
  const other = new SmtpConversation(receiver.at.port);
  onTestFinished(() => other.close());
  other.write('EHLO mta.test\r\n');
  await other.replies(2);
  return other;
}

/** Codes of so many replies to what is written. */
async function codes(to: SmtpConversation, text: string, count: number): Promise<string | undefined> {
  to.write(text.replaceAll('|', '\r\n'));
  return (await to.replies(count))?.map((reply) => reply.slice(0, 3)).join();
}

const envelope = 'MAIL FROM:<a@b.test>|RCPT TO:<c@gmail.test>|DATA|';

test('one connection too many is told so instead of a greeting, and may come back', async () => {
  const first = await guarded({ maxConnections: 1 });
  const second = new SmtpConversation(receiver.at.port);
  expect(await second.reply()).toMatch(/^421 4\.7\.0 /);
  expect(await second.reply()).toBeUndefined();
  first.close();
  await expect.poll(async () => codes(await greeted(), 'NOOP|', 1)).toBe('250');
});

test('a connection ends after as many messages as it may carry', async () => {
  const sender = await guarded({ maxMessagesPerConnection: 1 });
  expect(await codes(sender, envelope, 3)).toBe('250,250,354');
  expect(await codes(sender, `x|.|${envelope}`, 2)).toBe('250,421');
  expect(await sender.reply()).toBeUndefined();
});

test('a message signed by a domain that is not trusted is refused at its end, and not counted', async () => {
  const sender = await guarded({ unauthenticated: ['deals.test'] });
  expect(await codes(sender, envelope, 3)).toBe('250,250,354');
  expect(await codes(sender, `DKIM-Signature: v=1;| d=deals.test||hi|.|${envelope}`, 4)).toBe(
    '550,250,250,354',
  );
  expect(await codes(sender, '.|', 1)).toBe('250');
  expect(receiver.counts.messages).toBe(1);
});

test('a recipient is judged by name', async () => {
  const sender = await guarded({ refuseRate: 1 });
  expect(await codes(sender, envelope, 3)).toBe('250,550,554');
});
