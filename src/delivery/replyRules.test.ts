import { expect, test } from 'vitest';
import type { Origin, ReplyActions } from '../config/config.ts';
import { compileReplyJudge, compileReplyJudges, remembering } from './replyRules.ts';

const origin: Origin = { file: 'test', line: 1, column: 1, text: '' };
const judge = (...rules: (readonly [string, ReplyActions])[]) =>
  compileReplyJudge({ rules: rules.map(([expression, actions]) => ({ expression, actions, origin })) });

test('a reply that no rule matches asks for nothing', () => {
  expect(judge(['too many', { mode: 'backoff' }])('550 5.1.1 no such user')).toBeUndefined();
});

test('every match contributes; of conflicting ones the first wins', () => {
  const judged = judge(
    ['421', { mode: 'backoff', backoffToNormalAfterMs: 60_000 }],
    ['busy', { mode: 'normal', skipMx: true }],
    ['try', { bounceQueue: true, deferQueue: true }],
    ['later', { disableSourceIp: true, reenableAfterMs: 5 }],
    ['later', { disableSourceIp: true, reenableAfterMs: 9 }],
    ['never', { bounceRcpt: true }],
  )('421 busy, try later');
  expect(judged?.actions).toEqual({
    mode: 'backoff',
    backoffToNormalAfterMs: 60_000,
    skipMx: true,
    deferQueue: true,
    disableSourceIp: true,
    reenableAfterMs: 5,
  });
  expect(judged?.rules.map(({ expression }) => expression)).toEqual(['421', 'busy', 'try', 'later', 'later']);
});

test("a rule's time goes with its own mode only", () => {
  const judged = judge(
    ['a', { mode: 'backoff' }],
    ['b', { mode: 'backoff', backoffToNormalAfterMs: 1 }],
  )('ab');
  expect(judged?.actions).toEqual({ mode: 'backoff' });
});

test('verdicts are remembered, and no more than a bounded number of them', () => {
  let asked = 0;
  const length = remembering((text) => {
    asked += 1;
    return text.length;
  });
  expect([length('ab'), length('ab'), asked]).toEqual([2, 2, 1]);
  for (let i = 0; i < 1000; i++) length(`x${i}`);
  expect([length('ab'), asked]).toEqual([2, 1002]);
});

test('a reply that takes a message can lead to mode normal only', () => {
  const { accepted } = compileReplyJudges({
    rules: [
      { expression: '', actions: { mode: 'backoff' }, origin },
      { expression: 'welcome back', actions: { mode: 'normal', bounceQueue: true }, origin },
      { expression: '', actions: { bounceQueue: true }, origin },
    ],
  });
  expect(accepted('250 ok')).toBeUndefined();
  expect(accepted('250 welcome back')?.actions).toEqual({ mode: 'normal' });
});
