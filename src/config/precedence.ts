import type { Config, DomainBlock, DomainPattern, DomainSettings } from './config.ts';
import { specificityOf } from './domainSettings.ts';
import type { Finding } from './finding.ts';
import { placeOf, sayNotice, writtenAt } from './say.ts';

/**
 * Where a broad `<domain>` of a virtual MTA or pool meets a more specific one of an outer scope that sets
 * the same thing otherwise: PowerMTA's guide leaves open which wins (powermta h.1), so a notice says what
 * we do. One for each inner block, naming the first such pair.
 */
export function precedenceFindings({ domains, pools, domainPrecedence }: Config): readonly Finding[] {
  const findings: Finding[] = [];
  const broad = domains.filter(({ pattern, scope }) => scope.kind !== 'global' && pattern.kind !== 'exact');
  const poolsOf = new Map<string, Set<string>>();
  for (const pool of pools) {
    for (const { value } of pool.members)
      poolsOf.set(value, (poolsOf.get(value) ?? new Set()).add(pool.name));
  }
  const specificFirst = domainPrecedence.value === 'specificity';
  for (const inner of broad) {
    for (const outer of domains) {
      const key = conflict(inner, outer, poolsOf);
      if (key === undefined) continue;
      const winning = (specificFirst ? outer : inner).settings[key]!.origin!;
      const loser = specificFirst ? 'this block' : `<domain> in ${placeOf(outer.origin, inner.origin)}`;
      const why = specificFirst ? 'the more specific pattern wins' : 'the nearer scope wins';
      const place = placeOf(winning, inner.origin);
      const message = `"${writtenAt(winning)}" in ${place} counts, not what ${loser} says: ${why}.`;
      const fix = `domain-precedence ${specificFirst ? 'scope' : 'specificity'} would turn it round`;
      const underline = writtenAt(inner.origin).length;
      findings.push(sayNotice('I-DOMAIN-PRECEDENCE', message, inner.origin, { underline, fix }));
      break;
    }
  }
  return findings;
}

/** The first setting on which two blocks disagree, where only the order of precedence decides. */
function conflict(
  inner: DomainBlock,
  outer: DomainBlock,
  poolsOf: ReadonlyMap<string, ReadonlySet<string>>,
): keyof DomainSettings | undefined {
  if (!encloses(outer.scope, inner.scope, poolsOf) || !covers(inner.pattern, outer.pattern)) return undefined;
  const keys = Object.keys(outer.settings) as (keyof DomainSettings)[];
  return keys.find((key) => {
    const mine = inner.settings[key]?.value;
    return mine !== undefined && JSON.stringify(mine) !== JSON.stringify(outer.settings[key]!.value);
  });
}

function encloses(
  outer: DomainBlock['scope'],
  inner: DomainBlock['scope'],
  poolsOf: ReadonlyMap<string, ReadonlySet<string>>,
): boolean {
  if (outer.kind === 'global') return inner.kind !== 'global';
  return outer.kind === 'pool' && inner.kind === 'vmta' && poolsOf.get(inner.name)?.has(outer.name) === true;
}

/** Whether everything the narrow pattern matches, the broad one matches less specifically. */
function covers(broad: DomainPattern, narrow: DomainPattern): boolean {
  if (specificityOf(broad) >= specificityOf(narrow)) return false;
  if (broad.kind === 'all') return true;
  if (broad.kind === 'literal' || broad.kind === 'exact') return false;
  if (narrow.kind === 'literal' || narrow.kind === 'all') return false;
  const itself = broad.kind === 'domainAndSubdomains' && narrow.domain === broad.domain;
  return itself || narrow.domain.endsWith(`.${broad.domain}`);
}
