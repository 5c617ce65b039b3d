import { compileLinearPattern, isBadPattern } from '../base/linearPattern.ts';
import type { CategoryRule, ReplyActions, ReplyRule } from './config.ts';
import { regexEnd } from './patternValues.ts';
import { positiveInterval, type Reading, right, splitAt, type ValueReader, wrong } from './values.ts';

/** One action, or why it is none; `last` is what stands before it on the line. */
type ActionReader = (
  actions: ReplyActions,
  last: string,
  intervalMs: number | undefined,
) => ReplyActions | string;

const actionReaders: Readonly<Record<string, ActionReader>> = {
  'mode=backoff': (actions) => modeOf(actions, 'backoff'),
  'mode=normal': (actions) => modeOf(actions, 'normal'),
  'backoff-to-normal-after': (actions, last, afterMs) =>
    last === 'mode=backoff'
      ? { ...actions, backoffToNormalAfterMs: afterMs! }
      : 'It may stand behind mode=backoff only.',
  'skip-mx': (actions) => (actions.bounceQueue ? bothMx : { ...actions, skipMx: true }),
  'bounce-queue': (actions) => (actions.skipMx ? bothMx : { ...actions, bounceQueue: true }),
  'bounce-rcpt': (actions) => ({ ...actions, bounceRcpt: true }),
  'disable-source-ip': (actions) => ({ ...actions, disableSourceIp: true }),
  'reenable-after': (actions, last, afterMs) =>
    last === 'disable-source-ip'
      ? { ...actions, reenableAfterMs: afterMs! }
      : 'It may stand behind disable-source-ip only.',
  'defer-queue': (actions) => ({ ...actions, deferQueue: true }),
};

const bothMx = 'skip-mx and bounce-queue exclude each other.';
const expectedActions =
  'actions: mode=backoff, mode=normal, skip-mx, bounce-queue, bounce-rcpt, disable-source-ip, defer-queue';

function modeOf(actions: ReplyActions, mode: 'backoff' | 'normal'): ReplyActions | string {
  return actions.mode === undefined ? { ...actions, mode } : 'Only one mode may be set.';
}

function readActions(text: string): Reading<ReplyActions> {
  let actions: ReplyActions = {};
  let last = '';
  for (const part of splitAt(text, /,/)) {
    const mark = { at: part.at, length: part.text.length };
    const timed = /^([a-z-]+-after)=(\S+)$/i.exec(part.text);
    const key = (timed?.[1] ?? part.text).toLowerCase();
    const interval = timed === null ? undefined : positiveInterval.read(timed[2]!);
    const read = Object.hasOwn(actionReaders, key) ? actionReaders[key] : undefined;
    if (read === undefined || key.endsWith('-after') !== (interval?.kind === 'value')) {
      return wrong(`Expected ${expectedActions}.`, mark);
    }
    const next = read(actions, last, interval?.kind === 'value' ? interval.value : undefined);
    if (typeof next === 'string') return wrong(next, mark);
    actions = next;
    last = key;
  }
  return right(actions);
}

/** `/re/ action[,action]`, a line of a smtp-pattern-list. */
export const replyRule: ValueReader<Omit<ReplyRule, 'origin'>> = {
  type: '/REGEX/ ACTION,...',
  expected: 'a pattern and its actions',
  list: false,
  read: (text) =>
    patternThen(text, readActions, 'a pattern and its actions', (expression, actions) => ({
      expression,
      actions,
    })),
};

/** `/re/ category`, a line of bounce-category-patterns. */
export const categoryRule: ValueReader<Omit<CategoryRule, 'origin'>> = {
  type: '/REGEX/ CATEGORY',
  expected: 'a pattern and a category',
  list: false,
  read: (text) =>
    patternThen(text, readCategory, 'a pattern and a category', (expression, category) => ({
      expression,
      category,
    })),
};

function readCategory(text: string): Reading<string> {
  return /^[\w-]+$/.test(text)
    ? right(text)
    : wrong('Expected one category name, such as bad-mailbox.', { length: text.length });
}

function patternThen<Rest, Line>(
  text: string,
  readRest: (rest: string) => Reading<Rest>,
  expected: string,
  line: (expression: string, rest: Rest) => Line,
): Reading<Line> {
  const end = regexEnd(text);
  if (typeof end !== 'number') return end;
  // `/` is the only character that must be escaped here and may not be there.
  const expression = text.slice(1, end - 1);
  const compiled = compileLinearPattern(expression);
  if (isBadPattern(compiled)) {
    return wrong(compiled.message, { at: compiled.at + 1, length: compiled.length });
  }
  const rest = text.slice(end).trim();
  if (rest === '') return wrong(`Expected ${expected}.`);
  const reading = readRest(rest);
  if (reading.kind === 'value') return right(line(expression, reading.value));
  return reading.kind === 'wrong' ? { ...reading, at: reading.at + text.length - rest.length } : reading;
}
