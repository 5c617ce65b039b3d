/** Domains whose mail is accepted from anyone who may connect: host-name and relay-domain. */
import { parseIp } from '../base/ip.ts';
import { type IpSet, ipSetContains } from '../base/ipRanges.ts';
import type { Config, DomainPattern, Setting } from '../config/config.ts';
import { rangesOf } from './addressSpace.ts';

/**
 * The pattern that makes a domain ours, the most specific first; undefined when none does.
 * `relay-domain *` is not among them: it makes no domain ours, it lets everyone relay.
 */
export type LocalDomainFor = (domain: string) => Setting<DomainPattern> | undefined;

/** One map look-up per label; `domain` is lower case A-labels or `[192.0.2.1]`, `[IPv6:2001:db8::1]`. */
export function compileLocalDomains(config: Config): LocalDomainFor {
  const exact = new Map<string, Setting<DomainPattern>>();
  const subdomains = new Map<string, Setting<DomainPattern>>();
  const literals: { readonly range: IpSet; readonly setting: Setting<DomainPattern> }[] = [];

  const hostNames = config.hostNames.value.map(
    (name): Setting<DomainPattern> => ({
      value: { kind: 'exact', domain: name.toLowerCase() },
      origin: config.hostNames.origin,
    }),
  );
  for (const setting of [...hostNames, ...config.relayDomains]) {
    const pattern = setting.value;
    switch (pattern.kind) {
      case 'exact':
        exact.set(pattern.domain, setting);
        break;
      case 'subdomains':
        subdomains.set(pattern.domain, setting);
        break;
      case 'domainAndSubdomains':
        exact.set(pattern.domain, setting);
        subdomains.set(pattern.domain, setting);
        break;
      case 'literal':
        literals.push({ range: rangesOf([pattern.cidr]), setting });
        break;
    }
  }

  const literal = (domain: string): Setting<DomainPattern> | undefined => {
    const ip = parseIp(domain.slice(1, -1).replace(/^ipv6:/i, ''));
    return ip && literals.find(({ range }) => ipSetContains(range, ip))?.setting;
  };

  return (domain) => {
    if (domain.startsWith('[')) return literal(domain);
    const whole = exact.get(domain);
    if (whole !== undefined) return whole;
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      const parent = subdomains.get(domain.slice(dot + 1));
      if (parent !== undefined) return parent;
    }
    return undefined;
  };
}

/** A domain that is not ours: what a stranger would send to. Well-known names read best. */
export function foreignDomain(localDomainFor: LocalDomainFor): string {
  for (const domain of ['gmail.com', 'outlook.com', 'yahoo.com']) {
    if (localDomainFor(domain) === undefined) return domain;
  }
  // Patterns are finite, so one of these top-level names is in none of them.
  let n = 0;
  while (localDomainFor(`mail.foreign${n}`) !== undefined) n++;
  return `mail.foreign${n}`;
}
