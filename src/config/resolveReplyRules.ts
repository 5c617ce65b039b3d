import type { Config, ReplyRule, Setting, SmtpPatternList } from './config.ts';
import type { Finding } from './finding.ts';
import { NearestNames } from './nearest.ts';
import { argumentOf, sectionsNamed, settingsOf } from './nodes.ts';
import type { ConfigNode } from './parser.ts';
import { categoryRule, replyRule } from './replyRuleValues.ts';
import { sayError, writtenAt } from './say.ts';
import { name } from './values.ts';

/** Lists of one name are one list; names compare without case. */
export function resolveReplyRules(
  nodes: readonly ConfigNode[],
): Pick<Config, 'smtpPatternLists' | 'bounceCategoryRules'> {
  const lists = new Map<string, SmtpPatternList & { readonly rules: ReplyRule[] }>();
  for (const section of sectionsNamed(nodes, 'smtp-pattern-list')) {
    const listName = argumentOf(section, name);
    if (listName === undefined) continue;
    const key = listName.toLowerCase();
    const list = lists.get(key) ?? { name: listName, origin: section.origin, rules: [] };
    for (const rule of settingsOf(section.children, 'reply', replyRule)) {
      list.rules.push({ ...rule.value, origin: rule.origin! });
    }
    lists.set(key, list);
  }
  const categories = sectionsNamed(nodes, 'bounce-category-patterns').flatMap((section) =>
    settingsOf(section.children, '/', categoryRule).map((rule) => ({ ...rule.value, origin: rule.origin! })),
  );
  return { smtpPatternLists: [...lists.values()], bounceCategoryRules: categories };
}

/** A `smtp-pattern-list NAME` that names no list is an error. */
export function checkPatternListNames(
  config: Pick<Config, 'domains' | 'smtpPatternLists'>,
  findings: Finding[],
): void {
  const known = new Map(config.smtpPatternLists.map((list) => [list.name.toLowerCase(), list.name]));
  const nearest = new NearestNames();
  const told = new Set<Setting<string>>();
  for (const { settings } of config.domains) {
    const setting = settings.smtpPatternList;
    if (setting === undefined || setting.value === '' || told.has(setting)) continue;
    told.add(setting);
    if (known.has(setting.value.toLowerCase())) continue;
    const meant = known.get(nearest.find(setting.value.toLowerCase(), known.keys()) ?? '');
    findings.push(
      sayError('E-PATTERN-LIST', `There is no <smtp-pattern-list ${setting.value}>.`, setting.origin, {
        underline: writtenAt(setting.origin!).length,
        fix: meant === undefined ? '' : `did you mean ${meant}?`,
      }),
    );
  }
}
