import { cidrContains, type IpAddress, parseCidr, parseIp } from '../base/ip.ts';
import {
  type Config,
  type DomainBlock,
  type DomainPattern,
  type DomainSettings,
  domainDefaults,
  type Setting,
} from './config.ts';

/** Every domain setting of one queue, each with the line that decided it. */
export type EffectiveDomainSettings = {
  readonly [K in keyof DomainSettings]: Setting<DomainSettings[K]>;
};

/** The settings for a recipient domain (lower case A-labels, or `[192.0.2.1]`) sent by a virtual MTA. */
export type DomainSettingsLookup = (domain: string, vmta: string) => EffectiveDomainSettings;

const defaults = Object.fromEntries(
  Object.entries(domainDefaults).map(([key, value]) => [key, { value, origin: undefined }]),
) as unknown as EffectiveDomainSettings;

/**
 * The inheritance of powermta a.4, prepared for quick lookups: every block whose pattern matches, laid
 * over each other from general to specific; global, pool and virtual MTA within that. With
 * `domain-precedence scope` it is the other way round: scope first.
 */
export function compileDomainSettings(config: Config): DomainSettingsLookup {
  const layers = new Map<string, ScopeBlocks>();
  for (const block of config.domains) {
    const key = scopeKey(block.scope);
    const layer = layers.get(key) ?? { byPattern: new Map(), literals: [] };
    layers.set(key, layer);
    addBlock(layer, block);
  }
  for (const layer of layers.values()) layer.literals.sort((a, b) => a.specificity - b.specificity);
  const poolOf = new Map<string, string>();
  for (const pool of config.pools) {
    const key = scopeKey({ kind: 'pool', name: pool.name });
    if (layers.has(key)) for (const member of pool.members) poolOf.set(member.value, key);
  }
  const scopeFirst = config.domainPrecedence.value === 'scope';

  return (domain, vmta) => {
    const keys = [scopeKey({ kind: 'global' }), poolOf.get(vmta), scopeKey({ kind: 'vmta', name: vmta })];
    const matches: Match[] = [];
    for (const key of keys) {
      const layer = key === undefined ? undefined : layers.get(key);
      if (layer !== undefined) matches.push(...matchesIn(layer, domain));
    }
    // Stable: within one specificity, scopes and file order stay as they are.
    if (!scopeFirst) matches.sort((a, b) => a.specificity - b.specificity);
    return Object.assign({}, defaults, ...matches.map((match) => match.block.settings));
  };
}

/** For a single question. Who asks often compiles once. */
export function effectiveDomainSettings(
  config: Config,
  domain: string,
  vmta: string,
): EffectiveDomainSettings {
  return compileDomainSettings(config)(domain, vmta);
}

/**
 * How telling a pattern is: `*` below wildcards, those by the number of their labels, and an exact name
 * (or an address literal, by its prefix length) above all.
 */
export function specificityOf(pattern: DomainPattern): number {
  switch (pattern.kind) {
    case 'all':
      return 0;
    case 'exact':
      return exactSpecificity;
    case 'literal':
      return 1 + pattern.cidr.bits;
    default:
      return pattern.domain.split('.').length;
  }
}

const exactSpecificity = 1_000;

interface Match {
  readonly specificity: number;
  readonly block: DomainBlock;
}

interface ScopeBlocks {
  /** By `*`, `=domain` and `.domain`: one look per label of the domain asked for. */
  readonly byPattern: Map<string, Match[]>;
  readonly literals: (Match & { readonly contains: (ip: IpAddress) => boolean })[];
}

function scopeKey(scope: DomainBlock['scope']): string {
  return scope.kind === 'global' ? 'global' : `${scope.kind} ${scope.name}`;
}

function addBlock({ byPattern, literals }: ScopeBlocks, block: DomainBlock): void {
  const { pattern } = block;
  const match = { specificity: specificityOf(pattern), block };
  if (pattern.kind === 'literal') {
    const range = parseCidr(`${pattern.cidr.address}/${pattern.cidr.bits}`)!;
    literals.push({ ...match, contains: (ip) => cidrContains(range, ip) });
    return;
  }
  for (const key of patternKeys(pattern)) {
    const known = byPattern.get(key);
    if (known === undefined) byPattern.set(key, [match]);
    else known.push(match);
  }
}

function patternKeys(pattern: Exclude<DomainPattern, { kind: 'literal' }>): readonly string[] {
  switch (pattern.kind) {
    case 'all':
      return ['*'];
    case 'exact':
      return [`=${pattern.domain}`];
    case 'subdomains':
      return [`.${pattern.domain}`];
    case 'domainAndSubdomains':
      return [`~${pattern.domain}`, `.${pattern.domain}`];
  }
}

/** From general to specific. */
function matchesIn({ byPattern, literals }: ScopeBlocks, domain: string): readonly Match[] {
  const matches = [...(byPattern.get('*') ?? [])];
  const literal = /^\[(?:ipv6:)?(.+)\]$/i.exec(domain)?.[1];
  if (literal !== undefined) {
    const ip = parseIp(literal);
    if (ip !== undefined) matches.push(...literals.filter((candidate) => candidate.contains(ip)));
    return matches;
  }
  for (let dot = domain.lastIndexOf('.'); dot >= 0; dot = domain.lastIndexOf('.', dot - 1)) {
    const known = byPattern.get(domain.slice(dot));
    if (known !== undefined) matches.push(...known);
    if (dot === 0) break;
  }
  matches.push(...(byPattern.get(`~${domain}`) ?? []), ...(byPattern.get(`=${domain}`) ?? []));
  return matches;
}
