import type { DnsAnswer } from '../base/ports.ts';
import { type GuardedKind, guardedKindOf, permittedKinds } from './addressGuard.ts';
import type { NoRoute } from './mxSet.ts';
import type { OwnHosts } from './ownHosts.ts';

/** A host that was found for a domain, usable or not. */
export interface RouteHost {
  readonly host: string;
  readonly port: number;
  /** Of its MX record; undefined for one that was named. */
  readonly preference: number | undefined;
  /** IPv4 first. */
  readonly addresses: readonly RouteAddress[];
  /** Why it has no address; undefined when it has. */
  readonly trouble: HostTrouble | undefined;
  /** How long its addresses still hold; undefined where they were written. */
  readonly leftMs: number | undefined;
  /** It is this server, or of no better preference than this server. */
  readonly out: 'own' | 'behindOwn' | undefined;
}

export interface RouteAddress {
  readonly address: string;
  /** Why it is not tried. */
  readonly refused: Refusal | undefined;
}

/** `otherFamily`: the source host binds an address of the other family. */
export type Refusal = GuardedKind | 'otherFamily';

export type HostTrouble =
  | { readonly kind: 'noName' }
  | { readonly kind: 'noAddress' }
  | { readonly kind: 'failed'; readonly code: string };

/** What a host is judged by. */
export interface HostRules {
  /** It came by DNS, or from a recipient: loopback and private addresses need allow-loopback-mx. */
  readonly isGuarded: boolean;
  readonly allowLoopbackMx: boolean;
  /** Canonical; undefined: the system's choice, of either family. */
  readonly localAddress: string | undefined;
  readonly own: OwnHosts;
}

/** More addresses of one host help nobody. */
const addressesMax = 16;

/** What the two families' answers come to; one family's failure does not hide what the other found. */
export function hostAddresses(
  ipv4: DnsAnswer<string>,
  ipv6: DnsAnswer<string>,
): Pick<ResolvedName, 'addresses' | 'trouble'> {
  const addresses = [ipv4, ipv6].flatMap((answer) =>
    answer.kind === 'found' ? answer.records.slice(0, addressesMax) : [],
  );
  return {
    addresses: [...new Set(addresses)],
    trouble: addresses.length > 0 ? undefined : troubleOf(ipv4, ipv6),
  };
}

function troubleOf(...answers: readonly DnsAnswer<string>[]): HostTrouble {
  const failed = answers.find((answer) => answer.kind === 'failed');
  if (failed !== undefined) return failed;
  const isAbsent = answers.every((answer) => answer.kind === 'none' && !answer.exists);
  return { kind: isAbsent ? 'noName' : 'noAddress' };
}

/** A host and what DNS said of it. */
export interface ResolvedName extends Pick<RouteHost, 'host' | 'port' | 'preference' | 'trouble' | 'leftMs'> {
  readonly addresses: readonly string[];
}

export function judgedHost({ addresses, ...found }: ResolvedName, rules: HostRules): RouteHost {
  const { own, isGuarded } = rules;
  const isOwn =
    own.isOwnHost(found.host, found.port) ||
    addresses.some((address) => own.isOwnEndpoint(address, found.port));
  return {
    ...found,
    addresses: addresses.map((address) => ({ address, refused: refusalOf(address, rules) })),
    out: isGuarded && isOwn ? 'own' : undefined,
  };
}

function refusalOf(
  address: string,
  { isGuarded, allowLoopbackMx, localAddress }: HostRules,
): Refusal | undefined {
  const kind = isGuarded ? guardedKindOf(address) : undefined;
  if (kind !== undefined && !(allowLoopbackMx && permittedKinds.has(kind))) return kind;
  const isOther = localAddress !== undefined && localAddress.includes(':') !== address.includes(':');
  return isOther ? 'otherFamily' : undefined;
}

/** The addresses of a host that may be tried. */
export function usableAddresses({ addresses, out }: RouteHost): readonly string[] {
  if (out !== undefined) return [];
  return addresses.flatMap(({ address, refused }) => (refused === undefined ? [address] : []));
}

/**
 * RFC 5321 5.1: where this server is among the MX, it and all of equal or worse preference are out, so that
 * mail goes on towards its end.
 */
export function beforeOwn(hosts: readonly RouteHost[]): readonly RouteHost[] {
  const own = hosts.filter(({ out }) => out === 'own').map(({ preference }) => preference ?? 0);
  const limit = Math.min(Number.POSITIVE_INFINITY, ...own);
  return hosts.map((host) =>
    host.out === undefined && (host.preference ?? 0) >= limit ? { ...host, out: 'behindOwn' } : host,
  );
}

/** Hosts of one preference together; `hosts` are sorted by it. */
export function byPreference(hosts: readonly RouteHost[]): readonly (readonly RouteHost[])[] {
  const groups: RouteHost[][] = [];
  for (const host of hosts) {
    const last = groups.at(-1);
    if (last?.[0]?.preference === host.preference) last!.push(host);
    else groups.push([host]);
  }
  return groups;
}

export interface Unreachable {
  readonly domain: string;
  /** None of them can be tried. Empty where a lookup gave none. */
  readonly hosts: readonly RouteHost[];
  /** smtp-hosts names them: a mistake there must not bounce mail. */
  readonly areNamed: boolean;
  /** Why there are no hosts. */
  readonly lookups: readonly NoRoute[];
  /** The address mail leaves from. */
  readonly from: string | undefined;
}

/** Why nothing can be tried. A server that did not know comes before all: the others may change their minds with it. */
export function whyUnreachable(given: Unreachable): NoRoute {
  const { domain, hosts, lookups, areNamed } = given;
  const reasons = [...lookups, ...(hosts.length === 0 ? [] : [whyNoHost(given)])];
  const reason = reasons.find(({ means }) => means === 'dnsError') ??
    reasons[0] ?? { means: 'bounce', status: '5.1.2', diagnostic: `${domain} is no address` };
  if (!areNamed) return reason;
  const means = reason.means === 'bounce' ? 'wait' : reason.means;
  return { means, status: `4${reason.status.slice(1)}`, diagnostic: `smtp-hosts: ${reason.diagnostic}` };
}

function whyNoHost({ domain, hosts, areNamed, from }: Unreachable): NoRoute {
  const others = hosts.filter(({ out }) => out === undefined);
  if (others.length === 0) {
    const own = hosts.find(({ out }) => out === 'own');
    return cause('bounce', '5.4.6', `mail for ${domain} would loop: ${own?.host} is this server`);
  }
  for (const { host, trouble } of others) {
    if (trouble?.kind !== 'failed') continue;
    return cause('dnsError', '4.4.3', `looking up ${host} failed (${trouble.code})`);
  }
  for (const { host, addresses } of others) {
    const [first] = addresses;
    if (first?.refused === undefined) continue;
    return cause('wait', '4.4.4', refusalText(host, first.address, first.refused, from));
  }
  const names = others.map(({ host }) => host).join(', ');
  if (areNamed) return cause('wait', '4.4.4', `no address for ${names}`);
  if (others.some(({ host }) => host === domain)) {
    return cause('wait', '4.4.4', `${domain} has neither MX nor address`);
  }
  const areGone = others.every(({ trouble }) => trouble?.kind === 'noName');
  if (areGone) return cause('bounce', '5.4.4', `no MX of ${domain} exists: ${names}`);
  return cause('wait', '4.4.4', `no MX of ${domain} has an address: ${names}`);
}

function refusalText(host: string, address: string, refused: Refusal, from: string | undefined): string {
  const place = host === address ? address : `${host} is at ${address}, which`;
  return refused === 'otherFamily'
    ? `${place} cannot be reached from ${from}`
    : `${place} is ${refused}: see allow-loopback-mx`;
}

function cause(means: NoRoute['means'], status: string, diagnostic: string): NoRoute {
  return { means, status, diagnostic };
}
