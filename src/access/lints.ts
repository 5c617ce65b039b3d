/** What the same algebra shows for certain besides the proof. */
import { atomsOf, type IpSet, intersectionOf, ipFamilies, noIps, unionOf } from '../base/ipRanges.ts';
import type { Config, InjectionSourceConfig, Setting } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';
import { compileAccess } from './access.ts';
import { isWide, publicIps, rangesOf } from './addressSpace.ts';
import { clientKinds, sourceRanges } from './clientAtoms.ts';
import { listenerName, place } from './proofText.ts';
import { compileOverlay, type OverlayFor } from './sourceOverlay.ts';

/** W-SHADOWED-SOURCE, W-V6-GAP, W-WIDE-RELAY-DOMAIN. */
export function lintAccess(config: Config): Finding[] {
  return [...shadowedSources(config), ...ipv6Gaps(config), ...wideRelayDomains(config)];
}

/** A `<source CIDR>` of which nothing comes into effect anywhere in its range, whatever the listener. */
function shadowedSources(config: Config): Finding[] {
  const overlayFor = compileOverlay(config);
  const inEffect = new Set<Setting<unknown>>();
  const ranges = sourceRanges(config);
  // Of a listener only these two count here.
  const overlaid = new Map(
    config.listeners.map((one) => [`${one.source?.value.toLowerCase()} ${!one.defaultVirtualMta}`, one]),
  );
  for (const family of ipFamilies) {
    for (const [first] of atomsOf(ranges, family)) {
      for (const listener of overlaid.values()) {
        const { effective } = overlayFor(listener, { family, value: first });
        for (const setting of Object.values(effective)) inEffect.add(setting);
      }
    }
  }
  return config.injectionSources.flatMap((block) => {
    const settings = Object.entries(block.settings);
    if (block.over.kind !== 'cidr' || settings.length === 0) return [];
    if (settings.some(([, setting]) => inEffect.has(setting))) return [];
    return [
      warning('W-SHADOWED-SOURCE', block.origin, {
        message: `nothing in ${block.origin.text.trim()} has an effect: ${overriddenBy(config, overlayFor, block)}`,
        fix: 'remove the block, or what overrides it',
      }),
    ];
  });
}

function overriddenBy(config: Config, overlayFor: OverlayFor, block: InjectionSourceConfig): string {
  const range = block.over.kind === 'cidr' ? rangesOf([block.over.cidr]) : noIps;
  const family = range[4].length > 0 ? 4 : 6;
  const { effective } = overlayFor(config.listeners[0]!, { family, value: range[family][0]! });
  const names = Object.keys(block.settings) as (keyof typeof effective)[];
  const origins = names.map((name) => effective[name].origin).filter((origin) => origin !== undefined);
  return `all it sets is set again over its whole range (${[...new Set(origins.map(place))].join(', ')})`;
}

/** The same port keeps IPv4 strangers out and lets IPv6 strangers connect. */
function ipv6Gaps(config: Config): Finding[] {
  const access = compileAccess(config);
  const kinds = clientKinds(config);
  const byClass = new Map<string, IpSet>();
  const strangers = config.listeners.map((_, listenerIndex): IpSet => {
    const listenerClass = kinds.classOf(listenerIndex);
    const known = byClass.get(listenerClass);
    if (known !== undefined) return known;
    const connects = kinds.classify(listenerIndex, (clientAddress) =>
      access.connect({ clientAddress, listenerIndex }).kind === 'allowed' ? true : undefined,
    );
    const found = intersectionOf(connects.get(true) ?? noIps, publicIps);
    byClass.set(listenerClass, found);
    return found;
  });
  return config.listeners.flatMap((listener, index) => {
    if (!isWide(strangers[index]!, 6)) return [];
    const onIpv4 = config.listeners.flatMap((other, i) =>
      other.port === listener.port && !other.address.includes(':') ? [i] : [],
    );
    if (onIpv4.length === 0 || isWide(unionOf(onIpv4.map((i) => strangers[i]!)), 4)) return [];
    return [
      warning('W-V6-GAP', listener.origin, {
        message:
          `port ${listener.port} is closed to IPv4 strangers on ${onIpv4.map((i) => listenerName(config, i)).join(', ')}, ` +
          `but IPv6 strangers may connect to ${listenerName(config, index)}`,
        fix: 'give the IPv6 listener the same allowed-hosts, or restrict ::/0 by a <source>',
      }),
    ];
  });
}

/** `relay-domain [*.]com` is not everything, yet nobody owns all of it. */
function wideRelayDomains(config: Config): Finding[] {
  const wide = config.relayDomains.flatMap(({ value, origin }) => {
    const isTopLevel =
      (value.kind === 'subdomains' || value.kind === 'domainAndSubdomains') &&
      !value.domain.includes('.') &&
      !privateTopLevels.has(value.domain);
    return isTopLevel ? [{ domain: value.domain, origin }] : [];
  });
  return wide.map(({ domain, origin }) =>
    warning('W-WIDE-RELAY-DOMAIN', origin, {
      message: `every client may send to every domain under .${domain}`,
      fix: 'name the domains that are yours',
    }),
  );
}

/** Top-level names for use inside one's own network (RFC 6761, RFC 6762 appendix G, ICANN's .internal). */
const privateTopLevels = new Set(
  'corp example home internal intranet invalid lan local localdomain localhost private test'.split(' '),
);

function warning(code: string, origin: Finding['origin'], say: { message: string; fix: string }): Finding {
  return { level: 'warning', code, ...say, origin, underline: 0, refusesRun: false };
}
