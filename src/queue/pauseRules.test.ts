import fc from 'fast-check';
import { expect, test } from 'vitest';
import { queueName } from '../message/names.ts';
import { type PauseRule, PauseRules } from './pauseRules.ts';
import { parseQueueSelector, type QueueSelector } from './queueSelector.ts';

const selector = (text: string): QueueSelector => parseQueueSelector(text)!;

const textsOf = ({ rules }: PauseRules): readonly string[] =>
  rules.map((rule) => (rule.isPaused ? '' : '!') + rule.selector.text);

test.each([
  ['gmail.com', 'gmail.com', 'v1', true],
  ['GMail.com/V1', 'gmail.com', 'v1', true],
  ['gmail.com/v2', 'gmail.com', 'v1', false],
  ['*/v1', 'gmail.com', 'v1', true],
  ['*.com/v*', 'gmail.com', 'v1', true],
  ['g*l.com', 'gmail.com', 'v1', true],
  ['*mail*', 'gmail.com', 'v1', true],
  ['a*a', 'a', 'v1', false],
  ['', 'gmail.com', 'v1', true],
])('"%s" and the queue %s/%s: %s', (text, domain, vmta, expected) => {
  expect(selector(text).matches(queueName(domain, vmta))).toBe(expected);
});

test.each(['/v1', 'a/', 'a/b/c', 'a b', `${'x'.repeat(600)}`])('"%s" selects nothing', (text) => {
  expect(parseQueueSelector(text)).toBeUndefined();
});

test.each([
  ['*', 'gmail.com/v1', true],
  ['*/v1', 'gmail.com/v1', true],
  ['*/v1', '*/v*', false],
  ['*.com', '*.example.com/*', true],
  ['gmail.com/v1', 'gmail.com', false],
])('%s covers %s: %s', (wide, narrow, expected) => {
  expect(selector(wide).covers(selector(narrow))).toBe(expected);
});

test('the last rule that matches decides, also for queues that come later', () => {
  const rules = new PauseRules();
  rules.set(selector('*/v1'), true);
  rules.set(selector('gmail.com/v1'), false);
  expect(rules.isPaused(queueName('new.test', 'v1'))).toBe(true);
  expect(rules.isPaused(queueName('gmail.com', 'v1'))).toBe(false);
  expect(textsOf(rules)).toEqual(['*/v1', '!gmail.com/v1']);
  rules.set(selector('*'), false);
  expect(rules.rules).toEqual([]);
});

test('rules that are covered go, and what is left decides as every command given would', () => {
  const names = fc
    .constantFrom('a.test', 'b.test', 'a.com', 'b.com')
    .chain((domain) => fc.constantFrom('v1', 'v2').map((vmta) => queueName(domain, vmta)));
  const selectors = fc
    .constantFrom('*', 'a.*', '*.test', '*/v1', 'a.test/v1', 'b.com', '*.com/v2', 'a.test')
    .map(selector);
  fc.assert(
    fc.property(fc.array(fc.tuple(selectors, fc.boolean()), { maxLength: 12 }), names, (commands, queue) => {
      const rules = new PauseRules();
      const remembered = new Map<string, PauseRule>();
      for (const [one, isPaused] of commands) {
        const { added, dropped } = rules.set(one, isPaused);
        for (const rule of dropped) remembered.delete(rule.selector.text);
        if (added !== undefined) remembered.set(added.selector.text, added);
      }
      const last = commands.findLast(([one]) => one.matches(queue));
      expect(rules.isPaused(queue)).toBe(last?.[1] ?? false);
      const again = new PauseRules();
      again.restore([...remembered.values()].reverse());
      expect(again.rules).toEqual(rules.rules);
      expect(rules.rules.length).toBeLessThanOrEqual(8);
    }),
  );
});
