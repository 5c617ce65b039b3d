import { afterEach, beforeEach, expect, test } from 'vitest';
import { SmtpConversation } from '../../test/ledger/smtpConversation.ts';
import { systemClock } from '../base/node/clock.ts';
import { systemNet } from '../base/node/net.ts';
import { type BuiltInReceiver, startBuiltInReceiver } from './builtInReceiver.ts';

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
