import { expect, test } from 'vitest';
import type { Reply } from '../protocol/reply.ts';
import { ReceiverJudge } from './receiverJudge.ts';
import { openPolicy, type ReceiverPolicy } from './receiverPolicy.ts';
import { filledReply, plainReplies } from './receiverReplies.ts';

const bad = '192.0.2.66';
const good = '192.0.2.1';

function judge(policy: Partial<ReceiverPolicy>, seed = 1): ReceiverJudge {
  return new ReceiverJudge({ ...openPolicy, ...policy }, plainReplies, seed);
}

/** How many of so many verdicts are of each code; 0 is a yes. */
function tally(count: number, ask: (i: number) => Reply | 'reset' | undefined): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let i = 0; i < count; i++) {
    const verdict = ask(i);
    const code = typeof verdict === 'object' ? verdict.code : 0;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

test('an open policy takes everything and remembers nobody', () => {
  const open = judge({});
  expect(open.connection(good, 0)).toBeUndefined();
  expect(open.mail(good, 1_000_000, 0)).toBeUndefined();
  expect(open.rcpt(good, '', 'a@x.test', 0)).toBeUndefined();
  expect(open.content(good, ['a@x.test'], ['x.test'])).toBeUndefined();
});

test('connections are counted by client address until they are closed', () => {
  const two = judge({ maxConnections: 2 });
  const said = [good, good, good, bad].map((client) => two.connection(client, 0));
  expect(said.map((reply) => typeof reply === 'object' && reply.code)).toEqual([false, false, 421, false]);
  two.closed(good);
  expect(two.connection(good, 0)).toMatchObject({ code: 421 });
  two.closed(good);
  two.closed(good);
  expect(two.connection(good, 0)).toBeUndefined();
});

test('a client address that is not trusted is deferred and blocked far more often than its neighbours', () => {
  const distrusted = [{ clientAddress: bad, deferRate: 0.5, blockRate: 0.1 }];
  for (const distrustAt of ['mail', 'rcpt', 'dot'] as const) {
    const one = judge({ distrusted, distrustAt });
    const ask = (client: string) =>
      tally(1000, () => {
        const atMail = one.mail(client, 0, 0);
        const atRcpt = one.rcpt(client, 's@a.test', 'a@x.test', 0);
        return atMail ?? atRcpt ?? one.content(client, ['a@x.test'], []);
      });
    expect(ask(good)).toEqual({ 0: 1000 });
    const { 451: deferred = 0, 554: blocked = 0 } = ask(bad);
    expect(deferred / 1000).toBeCloseTo(0.45, 1);
    expect(blocked / 1000).toBeCloseTo(0.1, 1);
  }
});

test('what a client that is not trusted hears depends on the seed alone, not on who came between', () => {
  const policy = { distrusted: [{ clientAddress: bad, deferRate: 0.5, blockRate: 0 }] };
  const heard = (seed: number, between: number): string => {
    const one = judge(policy, seed);
    return Array.from({ length: 40 }, () => {
      for (let i = 0; i < between; i++) one.mail(good, 0, 0);
      return one.mail(bad, 0, 0) === undefined ? '.' : 'x';
    }).join('');
  };
  expect(heard(7, 3)).toBe(heard(7, 0));
  expect(heard(8, 0)).not.toBe(heard(7, 0));
});

test('a share of mailboxes is full, for everyone and every time', () => {
  const one = judge({ fullRate: 0.25 });
  const full = Array.from({ length: 400 }, (_, i) => `r${i}@x.test`).filter(
    (recipient) => one.rcpt(good, '', recipient, 0)?.code === 452,
  );
  expect(full.length / 400).toBeCloseTo(0.25, 1);
  expect(tally(5, () => one.rcpt(bad, '', full[0]!, 0))).toEqual({ 452: 5 });
});

test('greylisting by client ends for all its recipients at once', () => {
  const one = judge({ greylistMs: 1000, greylistBy: 'client' });
  expect(one.rcpt(good, '', 'a@x.test', 0)).toMatchObject({ code: 450 });
  expect(one.rcpt(good, '', 'b@x.test', 999)).toMatchObject({ code: 450 });
  expect(one.rcpt(good, '', 'c@x.test', 1000)).toBeUndefined();
  expect(one.rcpt(bad, '', 'c@x.test', 1000)).toMatchObject({ code: 450 });
});

test('a signature of an unauthenticated domain is refused by name, whoever brings it', () => {
  const one = judge({ unauthenticated: ['deals.test'] });
  expect(one.content(good, ['a@x.test'], ['shop.test'])).toBeUndefined();
  const refusal = one.content(good, ['a@x.test'], ['shop.test', 'deals.test']);
  expect(refusal).toMatchObject({ code: 550, enhanced: '5.7.26' });
  expect(refusal!.lines.join()).toContain('deals.test');
});

test('only messages that were taken count for the rate, in a window that moves', () => {
  const one = judge({ rateMessages: 2, rateWindowMs: 1000 });
  for (const atMs of [0, 600]) {
    expect(one.mail(good, 0, atMs)).toBeUndefined();
    one.taken(good, atMs);
  }
  expect(one.mail(good, 0, 999)).toMatchObject({ code: 451 });
  expect(one.mail(bad, 0, 999)).toBeUndefined();
  expect(one.mail(good, 0, 1000)).toBeUndefined();
});

test('blanks are filled in, and one nobody fills stays visible', () => {
  const reply = { code: 421, enhanced: '4.7.0', lines: ['[{client}] no', 'see {page}'] };
  expect(filledReply(reply, { client: good }).lines).toEqual(['[192.0.2.1] no', 'see {page}']);
});
