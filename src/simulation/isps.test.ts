import { expect, test } from 'vitest';
import { renderReply } from '../protocol/reply.ts';
import { isps } from './isps.ts';
import { ReceiverJudge } from './receiverJudge.ts';
import type { ReceiverPolicy } from './receiverPolicy.ts';
import type { ReceiverReplies } from './receiverReplies.ts';

const client = '192.0.2.66';
const all = Object.values(isps);
const said = all.flatMap(({ name, replies }) =>
  Object.entries(replies).map(([cause, reply]) => [name, cause, reply] as const),
);

test.each(said)('%s, %s: the codes agree, and only known blanks are left', (_, __, reply) => {
  if (reply.enhanced !== '') expect(reply.enhanced[0]).toBe(String(reply.code)[0]);
  expect(new TextDecoder().decode(renderReply(reply))).toMatch(/^(\d{3}[- ][ -~]+\r\n)+$/);
  const blanks = reply.lines.join().match(/\{\w+\}/g) ?? [];
  expect(['{client}', '{domain}', '{recipient}', '{ticket}']).toEqual(expect.arrayContaining(blanks));
});

test.each(said)('%s, %s: for good with 5yz, for now with 4yz', (_, cause, reply) => {
  const isForGood = ['unknown', 'refusedAtDot', 'blocked', 'unauthenticated'].includes(cause);
  expect(reply.code >= 500).toBe(isForGood);
});

/** What each ISP says at each occasion, by the word an operator would look for. */
const marks: readonly (readonly [keyof typeof isps, keyof ReceiverReplies, RegExp])[] = [
  ['gmail', 'tooFast', /^421-4\.7\.28 .*IP address \[192\.0\.2\.66\]/],
  ['gmail', 'distrusted', /^421-4\.7\.0 .*low reputation/],
  ['gmail', 'unknown', /^550-5\.1\.1 .*<a@gmail\.test>/],
  ['gmail', 'full', /^452-4\.2\.2 /],
  ['gmail', 'unauthenticated', /^550-5\.7\.26 [\s\S]*DKIM \[deals\.test\]/],
  ['microsoft', 'tooManyConnections', /^421 4\.3\.2 RP-002/],
  ['microsoft', 'tooFast', /^451 4\.7\.651 .*\(S3114\)/],
  ['microsoft', 'distrusted', /^451 4\.7\.650 .*\[192\.0\.2\.66\].*\(S775\)/],
  ['microsoft', 'blocked', /^550 5\.7\.1 .*\(S3140\)/],
  ['microsoft', 'greylisted', /^451 4\.7\.1 Greylisted/],
  ['microsoft', 'unauthenticated', /^550-5\.7\.515 .*deals\.test/],
  ['yahoo', 'tooFast', /^421 4\.7\.0 \[TSS05\]/],
  ['yahoo', 'distrusted', /^421 4\.7\.0 \[TSS04\] .*192\.0\.2\.66/],
  ['yahoo', 'unknown', /^554 delivery error: dd /],
];

test.each(marks)('%s says of %s what is known of it', (name, cause, mark) => {
  expect(heard(name, cause)).toMatch(mark);
});

/** The reply to a client that meets nothing but this. */
function heard(name: keyof typeof isps, cause: keyof ReceiverReplies): string {
  const { policy, replies, domain } = isps[name];
  const none = { refuseRate: 0, fullRate: 0, deferRate: 0, greylistMs: 0 };
  const judge = new ReceiverJudge({ ...policy, ...none, ...provoking[cause] }, replies, 1);
  const recipient = `a@${domain}`;
  for (let nowMs = 0; nowMs < 100; nowMs++) {
    const reply =
      judge.connection(client, nowMs) ??
      judge.mail(client, 0, nowMs) ??
      judge.rcpt(client, '', recipient, nowMs) ??
      judge.content(client, [recipient], ['deals.test']);
    if (typeof reply === 'object') return new TextDecoder().decode(renderReply(reply));
    judge.taken(client, nowMs);
    if (cause !== 'tooManyConnections') judge.closed(client);
  }
  return '';
}

const distrust = { clientAddress: client, deferRate: 0, blockRate: 0 };
const provoking: Partial<Record<keyof ReceiverReplies, Partial<ReceiverPolicy>>> = {
  distrusted: { distrusted: [{ ...distrust, deferRate: 1 }] },
  blocked: { distrusted: [{ ...distrust, blockRate: 1 }] },
  unknown: { refuseRate: 1 },
  full: { fullRate: 1 },
  greylisted: { greylistMs: 1 },
  unauthenticated: { unauthenticated: ['deals.test'] },
};

test('a client in good standing that keeps to the limits gets nearly all of its mail through', () => {
  for (const { policy, replies, domain } of all) {
    const judge = new ReceiverJudge(policy, replies, 1);
    const gapMs = Math.ceil(policy.rateWindowMs / policy.rateMessages);
    const refused = Array.from({ length: 500 }, (_, i) => {
      const nowMs = i * gapMs;
      const recipient = `r${i}@${domain}`;
      const reply = judge.mail(client, 0, nowMs) ?? judge.rcpt(client, '', recipient, nowMs);
      if (reply === undefined) judge.taken(client, nowMs);
      return reply;
    }).filter((reply) => reply !== undefined);
    expect(refused.length / 500).toBeLessThan(0.08);
  }
});
