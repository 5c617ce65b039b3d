import { canonicalIp } from '../base/ip.ts';
import type { DnsAnswer, MxRecord, Random } from '../base/ports.ts';
import type { EffectiveDomainSettings } from '../config/domainSettings.ts';
import type { DnsCache } from '../delivery/dnsCache.ts';
import { type MxHost, mxSetOf, type NoRoute } from '../delivery/mxSet.ts';
import {
  connectionPlan,
  type NextHop,
  type NextHops,
  nextHops,
  type PlannedEndpoint,
} from '../delivery/nextHop.ts';
import type { OwnHosts } from '../delivery/ownHosts.ts';
import {
  beforeOwn,
  byPreference,
  type HostRules,
  hostAddresses,
  judgedHost,
  type ResolvedName,
  type RouteHost,
  usableAddresses,
  whyUnreachable,
} from '../delivery/routeHost.ts';

/** Where mail for a domain goes, and how that was found. */
export interface Route {
  readonly by: NextHops['by'];
  /** What DNS said of each domain whose MX were asked for. */
  readonly lookups: readonly MxLookup[];
  /** Every host found; those of one group share a preference. */
  readonly groups: readonly (readonly RouteHost[])[];
  /** Why there is nothing to try; undefined when there is. */
  readonly trouble: NoRoute | undefined;
  /** The recipient domain has no MX (RFC 5321 5.1). */
  readonly hasNoMx: boolean;
  /** Some of it was asked of name servers just now. */
  readonly isFresh: boolean;
}

export interface MxLookup {
  readonly domain: string;
  readonly answer: DnsAnswer<MxRecord>;
  /** How long it still holds. */
  readonly leftMs: number;
}

/** What decides a route. */
export type RouteSettings = Pick<
  EffectiveDomainSettings,
  'smtpHosts' | 'defaultSmtpPort' | 'bounceUponNoMx' | 'allowLoopbackMx'
>;

/** What one next hop came to: hosts by preference, or why there are none. */
interface Found {
  readonly levels: readonly (readonly RouteHost[])[];
  readonly lookup?: MxLookup;
  readonly cause?: NoRoute;
  readonly hasNoMx?: boolean;
  readonly isFresh: boolean;
}

export interface RouteParts {
  readonly cache: DnsCache;
  readonly own: OwnHosts;
  readonly random: Random;
}

/** Finds next hops: the rules of delivery/ over what the cache knows. */
export class Routes {
  readonly #parts: RouteParts;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  /** @param localAddress of the source host; undefined: the system's choice. Never rejects. */
  async find(domain: string, settings: RouteSettings, localAddress: string | undefined): Promise<Route> {
    const route = { smtpHosts: settings.smtpHosts.value, defaultSmtpPort: settings.defaultSmtpPort.value };
    const { by, groups } = nextHops(route, domain);
    const areNamed = by === 'smtpHosts';
    const rules: HostRules = {
      isGuarded: !areNamed,
      allowLoopbackMx: settings.allowLoopbackMx.value,
      localAddress,
      own: this.#parts.own,
    };
    const mustHaveMx = !areNamed && settings.bounceUponNoMx.value === true;
    const found = await Promise.all(
      groups.map((group) => Promise.all(group.map((hop) => this.#find(hop, rules, mustHaveMx)))),
    );
    const all = found.flat();
    const merged = found.flatMap(levelsOf);
    const hosts = merged.flat();
    const isReachable = hosts.some((host) => usableAddresses(host).length > 0);
    const lookups = all.flatMap(({ cause }) => (cause === undefined ? [] : [cause]));
    return {
      by,
      lookups: all.flatMap(({ lookup }) => (lookup === undefined ? [] : [lookup])),
      groups: merged,
      trouble: isReachable
        ? undefined
        : whyUnreachable({ domain, hosts, areNamed, lookups, from: localAddress }),
      hasNoMx: all.some(({ hasNoMx }) => hasNoMx === true),
      isFresh: all.some(({ isFresh }) => isFresh),
    };
  }

  async #find({ host, kind, port }: NextHop, rules: HostRules, mustHaveMx: boolean): Promise<Found> {
    if (kind === 'mxOf') return this.#findMx(host, port, { ...rules, isGuarded: true }, mustHaveMx);
    if (kind === 'address') {
      const written = { addresses: [host], trouble: undefined, leftMs: undefined };
      const judged = judgedHost({ host, port, preference: undefined, ...written }, rules);
      return { levels: [[judged]], isFresh: false };
    }
    const { resolved, isFresh } = await this.#addresses({ host, preference: undefined }, port);
    return { levels: [[judgedHost(resolved, rules)]], isFresh };
  }

  async #findMx(domain: string, port: number, rules: HostRules, mustHaveMx: boolean): Promise<Found> {
    const { answer, leftMs, isFresh } = await this.#parts.cache.lookup(domain, 'MX');
    const lookup = { domain, answer, leftMs };
    const set = mxSetOf(domain, answer, mustHaveMx);
    if (set.kind === 'none') return { levels: [], lookup, cause: set, isFresh };
    const all = await Promise.all(set.hosts.map((host) => this.#addresses(host, port)));
    const judged = all.map(({ resolved }) => judgedHost(resolved, rules));
    // RFC 5321 5.1: equal ones in random order, to spread the load.
    const levels = byPreference(beforeOwn(judged)).map((level) => shuffled(level, this.#parts.random));
    const isAnyFresh = isFresh || all.some((one) => one.isFresh);
    return { levels, lookup, hasNoMx: set.isImplicit, isFresh: isAnyFresh };
  }

  async #addresses(
    { host, preference }: Pick<MxHost, 'host'> & { readonly preference: number | undefined },
    port: number,
  ): Promise<{ readonly resolved: ResolvedName; readonly isFresh: boolean }> {
    // An MX names a host (RFC 1035 3.3.9); an address in its place is nobody's name.
    if (canonicalIp(host) !== undefined) {
      const trouble = { kind: 'noName' } as const;
      return {
        resolved: { host, port, preference, addresses: [], trouble, leftMs: undefined },
        isFresh: false,
      };
    }
    const { cache } = this.#parts;
    const [ipv4, ipv6] = await Promise.all([cache.lookup(host, 'A'), cache.lookup(host, 'AAAA')]);
    const leftMs = Math.min(ipv4.leftMs, ipv6.leftMs);
    const found = hostAddresses(ipv4.answer, ipv6.answer);
    return { resolved: { host, port, preference, ...found, leftMs }, isFresh: ipv4.isFresh || ipv6.isFresh };
  }
}

/** The endpoints of a route in the order in which they are tried. `turn` counts up for round robin. */
export function endpointsOf(route: Route, turn: number, attemptsMax: number): readonly PlannedEndpoint[] {
  const hops = route.groups.map((group) =>
    group.map((host) => ({ host: host.host, port: host.port, addresses: usableAddresses(host) })),
  );
  return connectionPlan(hops, turn, attemptsMax);
}

/** A route for the log. */
export function routeFields({ by, lookups, groups, trouble }: Route): Readonly<Record<string, unknown>> {
  return {
    by,
    mx: lookups.map(({ domain, answer }) => ({ domain, ...answer })),
    hosts: groups.flat().map(({ host, preference, addresses, trouble: reason, out }) => ({
      host,
      preference,
      addresses: addresses.map(({ address, refused }) =>
        refused === undefined ? address : `${address} (${refused})`,
      ),
      trouble: reason?.kind,
      out,
    })),
    trouble: trouble?.diagnostic,
  };
}

/** The best hosts of each hop of a group together, then the second best ones. */
function levelsOf(group: readonly Found[]): readonly (readonly RouteHost[])[] {
  const most = Math.max(0, ...group.map(({ levels }) => levels.length));
  return Array.from({ length: most }, (_, i) => group.flatMap(({ levels }) => levels[i] ?? []));
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.u32() % (i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}
