import { compileLinearPattern, isBadPattern, type LinearPattern } from '../base/linearPattern.ts';
import type { ReplyActions, ReplyRule, SmtpPatternList } from '../config/config.ts';

/** What the rules of a `<smtp-pattern-list>` ask for upon a reply. */
export interface Judgement {
  readonly actions: ReplyActions;
  /** Those that contributed, in order. */
  readonly rules: readonly ReplyRule[];
}

/** @param reply the whole reply on one line, code first; or what the system said of a connection. */
export type ReplyJudge = (reply: string) => Judgement | undefined;

/** Verdicts remembered for replies that come again and again. */
const rememberedMax = 1000;

/** The rules of one `<smtp-pattern-list>`, compiled. */
export interface ReplyJudges {
  /** What refuses or defers, and what went wrong without a reply. */
  readonly refused: ReplyJudge;
  /** The reply that takes a message: `mode=normal` is all it can lead to. */
  readonly accepted: ReplyJudge;
}

/** Of a queue without a list. */
export const noReplyRules: ReplyJudges = { refused: () => undefined, accepted: () => undefined };

export function compileReplyJudges({ rules }: Pick<SmtpPatternList, 'rules'>): ReplyJudges {
  const toNormal = rules
    .filter(({ actions }) => actions.mode === 'normal')
    .map((rule): ReplyRule => ({ ...rule, actions: { mode: 'normal' } }));
  return {
    refused: compileReplyJudge({ rules }),
    accepted: toNormal.length === 0 ? noReplyRules.accepted : compileReplyJudge({ rules: toNormal }),
  };
}

/**
 * Every rule that matches contributes what does not conflict with an earlier one (powermta b.9: the first
 * conflicting match wins). Expressions were checked when the configuration was read.
 */
export function compileReplyJudge({ rules }: Pick<SmtpPatternList, 'rules'>): ReplyJudge {
  const compiled = rules.map((rule) => ({ rule, pattern: checkedPattern(rule.expression) }));
  return remembering((reply) => {
    const lowerCase = reply.toLowerCase();
    const matching = compiled
      .filter(({ pattern }) => pattern.matches(reply, lowerCase))
      .map(({ rule }) => rule);
    if (matching.length === 0) return undefined;
    const actions = matching.reduce<ReplyActions>((all, rule) => joined(all, rule.actions), {});
    return { actions, rules: matching };
  });
}

/** The expression of a rule that reading the configuration has accepted. */
export function checkedPattern(expression: string): LinearPattern {
  const pattern = compileLinearPattern(expression);
  // Refused when the file was read: what cannot be compiled matches nothing.
  return isBadPattern(pattern) ? { expression, matches: () => false } : pattern;
}

/** A bounded memory in front of a pure function of one text; the oldest verdicts go first. */
export function remembering<T>(judge: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined || known.has(text)) return found as T;
    const verdict = judge(text);
    if (known.size >= rememberedMax) known.delete(known.keys().next().value!);
    known.set(text, verdict);
    return verdict;
  };
}

function joined(first: ReplyActions, second: ReplyActions): ReplyActions {
  const { mode, backoffToNormalAfterMs, skipMx, bounceQueue, disableSourceIp, reenableAfterMs, ...rest } =
    second;
  return {
    ...rest,
    ...(first.mode === undefined && mode !== undefined && { mode, backoffToNormalAfterMs }),
    ...(!first.bounceQueue && skipMx && { skipMx }),
    ...(!first.skipMx && bounceQueue && { bounceQueue }),
    ...(!first.disableSourceIp && disableSourceIp && { disableSourceIp, reenableAfterMs }),
    ...first,
  };
}
