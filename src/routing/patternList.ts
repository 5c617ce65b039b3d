/** `<pattern-list>`: which virtual MTA the envelope and the header of a message ask for (powermta b.9). */
import { assert } from '../base/assert.ts';
import { compileLinearPattern, isBadPattern } from '../base/linearPattern.ts';
import type { PatternListConfig, PatternRule } from '../config/config.ts';
import type { EnvelopeRecipient } from '../message/envelope.ts';
import type { HeaderField } from '../protocol/headerFields.ts';

/** What a pattern list looks at. */
export interface PatternSubjects {
  /** Without brackets; '' for the null reverse-path. */
  readonly reversePath: string;
  /** At least those of `headers`. */
  readonly fields: readonly HeaderField[];
}

export interface PatternList {
  /** Fields it looks at, in lower case. */
  readonly headers: ReadonlySet<string>;
  /** Recipients of one message may get different answers. */
  readonly dependsOnRecipient: boolean;
  /** For the recipients of one message, each in turn. */
  begin(subjects: PatternSubjects): (recipient: EnvelopeRecipient) => string;
}

/** Answers of rules that do not depend on the recipient, within one message. */
type Answers = Map<CompiledRule, boolean>;
type Subject = PatternSubjects & { readonly recipient: EnvelopeRecipient; readonly answers: Answers };

interface CompiledRule {
  readonly matches: (subject: Subject) => boolean;
  readonly isOfMessage: boolean;
  /** A name, or the rules that say it. */
  readonly result: string | (() => readonly CompiledRule[]);
}

/**
 * The lists by name in lower case. The first rule that matches decides: '' where none does, or where the one
 * that does names no virtual MTA. A list that is called or written in place and says nothing gives back to
 * the rule behind it.
 */
export function compilePatternLists(lists: readonly PatternListConfig[]): ReadonlyMap<string, PatternList> {
  const rulesByName = new Map<string, readonly CompiledRule[]>();
  const ofList = (name: string): readonly CompiledRule[] => rulesByName.get(name.toLowerCase())!;
  for (const { name, rules } of lists) {
    rulesByName.set(
      name.toLowerCase(),
      rules.map((rule) => compileRule(rule, ofList)),
    );
  }
  const configs = new Map(lists.map((list) => [list.name.toLowerCase(), list.rules]));
  return new Map(
    lists.map(({ name }) => {
      const subjects = subjectsOf(configs.get(name.toLowerCase())!, configs, new Set([name.toLowerCase()]));
      const rules = ofList(name);
      const list: PatternList = {
        headers: new Set(subjects.flatMap((one) => (one.kind === 'header' ? [one.header] : []))),
        dependsOnRecipient: subjects.some(({ kind }) => kind === 'rcptTo'),
        begin(about) {
          const answers: Answers = new Map();
          return (recipient) => decide(rules, { ...about, recipient, answers }, new Set()) ?? '';
        },
      };
      return [name.toLowerCase(), list];
    }),
  );
}

/** undefined: no rule matches. `tried`: lists that said nothing for this recipient, and would not again. */
function decide(
  rules: readonly CompiledRule[],
  subject: Subject,
  tried: Set<readonly CompiledRule[]>,
): string | undefined {
  tried.add(rules);
  for (const rule of rules) {
    if (!matches(rule, subject)) continue;
    if (typeof rule.result === 'string') return rule.result;
    const called = rule.result();
    const said = tried.has(called) ? undefined : decide(called, subject, tried);
    if (said !== undefined) return said;
  }
  return undefined;
}

function matches(rule: CompiledRule, subject: Subject): boolean {
  if (!rule.isOfMessage) return rule.matches(subject);
  const { answers } = subject;
  const known = answers.get(rule) ?? rule.matches(subject);
  answers.set(rule, known);
  return known;
}

function compileRule(
  { matches: subject, result }: PatternRule,
  ofList: (name: string) => readonly CompiledRule[],
): CompiledRule {
  const nested = result.kind === 'rules' ? result.rules.map((rule) => compileRule(rule, ofList)) : [];
  return {
    ...compileSubject(subject),
    result:
      result.kind === 'virtualMta'
        ? result.name
        : result.kind === 'call'
          ? () => ofList(result.list)
          : () => nested,
  };
}

function compileSubject(subject: PatternRule['matches']): Pick<CompiledRule, 'matches' | 'isOfMessage'> {
  if (subject.kind === 'everything') return { isOfMessage: false, matches: () => true };
  const pattern = compileLinearPattern(subject.expression);
  assert(!isBadPattern(pattern), 'a pattern of the configuration can be compiled');
  const matcher = (text: string): boolean => pattern.matches(text, text.toLowerCase());
  switch (subject.kind) {
    case 'mailFrom':
      return { isOfMessage: true, matches: ({ reversePath }) => matcher(reversePath) };
    case 'rcptTo':
      return { isOfMessage: false, matches: ({ recipient }) => matcher(recipient.forwardPath) };
    case 'header':
      return {
        isOfMessage: true,
        matches: ({ fields }) => {
          const field = fields.find(({ name }) => name === subject.header);
          return field !== undefined && matcher(field.value);
        },
      };
  }
}

/** Everything a list may come to look at. */
function subjectsOf(
  rules: readonly PatternRule[],
  lists: ReadonlyMap<string, readonly PatternRule[]>,
  entered: Set<string>,
): readonly PatternRule['matches'][] {
  return rules.flatMap(({ matches: subject, result }) => {
    if (result.kind === 'rules') return [subject, ...subjectsOf(result.rules, lists, entered)];
    if (result.kind === 'virtualMta' || entered.has(result.list.toLowerCase())) return [subject];
    entered.add(result.list.toLowerCase());
    return [subject, ...subjectsOf(lists.get(result.list.toLowerCase())!, lists, entered)];
  });
}
