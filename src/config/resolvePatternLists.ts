import type { PatternListConfig, PatternResult, PatternRule, PatternSubject, Setting } from './config.ts';
import type { Finding } from './finding.ts';
import { argumentOf, directivesNamed, sectionsNamed, settingsOf } from './nodes.ts';
import type { ConfigNode, DirectiveNode, SectionNode } from './parser.ts';
import type { ListLine } from './patternValues.ts';
import { checkedName, groupedByName, missing, type SendingNames } from './resolveVirtualMtas.ts';
import { placeOf, sayError, sayWarning, writtenAt } from './say.ts';
import { name } from './values.ts';

const subjects: Readonly<Record<string, (line: ListLine) => PatternSubject>> = {
  'mail-from': ({ expression }) => ({ kind: 'mailFrom', expression }),
  'rcpt-to': ({ expression }) => ({ kind: 'rcptTo', expression }),
  header: ({ header, expression }) => ({ kind: 'header', header, expression }),
  '*': () => ({ kind: 'everything' }),
};

/** Every `<pattern-list NAME>`; what they name exists, and none leads back to itself. */
export function resolvePatternLists(
  nodes: readonly ConfigNode[],
  names: SendingNames,
  findings: Finding[],
): readonly PatternListConfig[] {
  const sections = sectionsNamed(nodes, 'pattern-list');
  for (const section of sections) {
    if (section.argument !== undefined) continue;
    const { origin, underline } = section;
    findings.push(sayError('E-MISSING-VALUE', '<pattern-list> needs a name here.', origin, { underline }));
  }
  const lists = groupedByName(sections).map(
    (group): PatternListConfig => ({
      name: group.name,
      origin: group.origin,
      rules: rulesOf(group.children, names, findings),
    }),
  );
  const byName = new Map(lists.map((list) => [list.name.toLowerCase(), list]));
  for (const call of lists.flatMap(({ rules }) => callsOf(rules))) {
    if (!byName.has(call.value.toLowerCase())) findings.push(noSuchList(call, lists, names));
  }
  findLoops(lists, byName, findings);
  checkSources(nodes, lists, names, findings);
  return lists;
}

function rulesOf(
  nodes: readonly ConfigNode[],
  names: SendingNames,
  findings: Finding[],
): readonly PatternRule[] {
  const rules: PatternRule[] = [];
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[at]!;
    if (node.kind === 'section') {
      const message = 'This list belongs to no pattern.';
      const fix = 'a list without a name stands right behind a pattern that has no result';
      findings.push(sayError('E-PATTERN-RESULT', message, node.origin, { underline: node.underline, fix }));
      continue;
    }
    if (node.reading.kind !== 'value') continue;
    const line = node.reading.value as ListLine;
    const next = nodes[at + 1];
    const nested = line.result === undefined && next?.kind === 'section' ? next : undefined;
    if (nested !== undefined) at++;
    const result = resultOf(node, line, nested, names, findings);
    if (result === undefined) continue;
    rules.push({ origin: node.origin, matches: subjects[node.definition.name]!(line), result });
  }
  return rules;
}

function resultOf(
  { origin, underline }: DirectiveNode,
  { result }: ListLine,
  nested: SectionNode | undefined,
  names: SendingNames,
  findings: Finding[],
): PatternResult | undefined {
  if (nested !== undefined) return { kind: 'rules', rules: rulesOf(nested.children, names, findings) };
  if (result === undefined) {
    const fix = 'write virtual-mta=NAME behind it, or a <pattern-list> on the next line';
    const message = 'This pattern has no result.';
    findings.push(sayError('E-PATTERN-RESULT', message, origin, { underline, fix }));
    return undefined;
  }
  if (result.kind === 'call') return { kind: 'call', list: result.list };
  if (result.recipientPriority !== undefined) {
    const message = 'recipient-priority is read but has no effect yet.';
    findings.push(sayWarning('W-NOT-YET', message, origin, { underline }));
  }
  const known = checkedName({ value: result.virtualMta, origin }, names, findings);
  return { kind: 'virtualMta', name: known.value };
}

function callsOf(rules: readonly PatternRule[]): readonly Setting<string>[] {
  return rules.flatMap(({ origin, result }) => {
    if (result.kind === 'rules') return callsOf(result.rules);
    return result.kind === 'call' ? [{ value: result.list, origin }] : [];
  });
}

/** Of calls, one list from the next: what is deeper is a mistake, and is not followed. */
const deepestCalls = 50;

/** Lists that are left are not entered again: each call is looked at once. */
function findLoops(
  lists: readonly PatternListConfig[],
  byName: ReadonlyMap<string, PatternListConfig>,
  findings: Finding[],
): void {
  const depths = new Map<PatternListConfig, number>();
  const entered: PatternListConfig[] = [];
  const depthOf = (list: PatternListConfig): number => {
    const known = depths.get(list);
    if (known !== undefined) return known;
    entered.push(list);
    let depth = 0;
    for (const call of callsOf(list.rules)) {
      const called = byName.get(call.value.toLowerCase());
      const at = called === undefined ? -1 : entered.indexOf(called);
      if (called === undefined) continue;
      if (at >= 0) findings.push(loop(call, [...entered.slice(at), called]));
      else if (entered.length + (depths.get(called) ?? 0) > deepestCalls) findings.push(tooDeep(call));
      else depth = Math.max(depth, depthOf(called));
    }
    entered.pop();
    depths.set(list, depth + 1);
    return depth + 1;
  };
  for (const list of lists) depthOf(list);
}

function loop(call: Setting<string>, lists: readonly PatternListConfig[]): Finding {
  const chain = lists.map(({ name: one }) => one).join(' calls ');
  const underline = writtenAt(call.origin!).length;
  return sayError('E-PATTERN-LIST-LOOP', `This call goes in a circle: ${chain}.`, call.origin, { underline });
}

function tooDeep(call: Setting<string>): Finding {
  const underline = writtenAt(call.origin!).length;
  const message = `Calls go deeper than ${deepestCalls} lists.`;
  return sayError('E-PATTERN-LIST-LOOP', message, call.origin, { underline });
}

/**
 * By the guide a list must precede the `<source>` that names it (powermta a.1). Configurations in use have it
 * behind, and what they mean is plain.
 */
function checkSources(
  nodes: readonly ConfigNode[],
  lists: readonly PatternListConfig[],
  names: SendingNames,
  findings: Finding[],
): void {
  const all = new Map(lists.map((list) => [list.name.toLowerCase(), list]));
  const declared = new Set<string>();
  for (const node of nodes) {
    if (node.kind !== 'section') continue;
    if (node.definition.name === 'pattern-list') declared.add((argumentOf(node, name) ?? '').toLowerCase());
    if (node.definition.name !== 'source' || directivesNamed(node.children, 'pattern-list').length === 0)
      continue;
    for (const setting of settingsOf(node.children, 'pattern-list', name)) {
      const key = setting.value.toLowerCase();
      const list = all.get(key);
      if (list === undefined) findings.push(noSuchList(setting, lists, names));
      else if (!declared.has(key)) {
        const message = `<pattern-list ${list.name}> stands behind this source, in ${placeOf(list.origin, setting.origin)}.`;
        const underline = writtenAt(setting.origin!).length;
        const fix = 'it counts all the same; for PowerMTA move it above the <source>';
        findings.push(sayWarning('W-PATTERN-LIST-LATE', message, setting.origin, { underline, fix }));
      }
    }
  }
}

function noSuchList(
  setting: Setting<string>,
  lists: readonly PatternListConfig[],
  { nearest }: SendingNames,
): Finding {
  const known = lists.map((list) => list.name);
  const message = `There is no <pattern-list ${setting.value}>.`;
  return missing('E-PATTERN-LIST-MISSING', message, setting, nearest.find(setting.value, known));
}
