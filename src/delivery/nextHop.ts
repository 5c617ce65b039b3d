import { canonicalIp } from '../base/ip.ts';
import type { Endpoint } from '../base/ports.ts';
import type { DomainSettings } from '../config/config.ts';

/** Why a delivery could not be tried, in the words of RFC 3463. */
export interface LocalCause {
  readonly status: string;
  readonly diagnostic: string;
}

/** A host to connect to, or a domain whose MX are meant. */
export interface NextHop {
  /** A canonical IP, or a name. */
  readonly host: string;
  readonly kind: 'address' | 'name' | 'mxOf';
  readonly port: number;
}

/** Where to look for hosts. Those of one group share a preference; a later group comes after the earlier ones. */
export interface NextHops {
  /** `smtpHosts`: the configuration names them, so a mistake there must not bounce mail. */
  readonly by: 'smtpHosts' | 'literal' | 'mx';
  /** Empty for a literal that is no address. */
  readonly groups: readonly (readonly NextHop[])[];
}

export type NextHopSettings = Pick<DomainSettings, 'smtpHosts' | 'defaultSmtpPort'>;

/** smtp-hosts, else the address of `[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 4.1.3), else the MX. */
export function nextHops({ smtpHosts, defaultSmtpPort }: NextHopSettings, domain: string): NextHops {
  const written = smtpHosts.filter((group) => group.length > 0);
  if (written.length > 0) {
    const groups = written.map((group) =>
      group.map(
        ({ host, isAddress, lookupMx, port }): NextHop => ({
          host,
          kind: lookupMx ? 'mxOf' : isAddress ? 'address' : 'name',
          port: port === 0 ? defaultSmtpPort : port,
        }),
      ),
    );
    return { by: 'smtpHosts', groups };
  }
  const port = defaultSmtpPort;
  const literal = /^\[(?:ipv6:)?(.*)\]$/i.exec(domain)?.[1];
  if (literal === undefined) return { by: 'mx', groups: [[{ host: domain, kind: 'mxOf', port }]] };
  const host = canonicalIp(literal);
  return { by: 'literal', groups: host === undefined ? [] : [[{ host, kind: 'address', port }]] };
}

/** A next hop with the addresses that may be tried. */
export interface ResolvedHop {
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
}

export interface PlannedEndpoint extends Endpoint {
  /** The name it was found under, for dsnMta. */
  readonly host: string;
}

/**
 * The endpoints to try, in order: group by group, inside a group every host once before any host's next
 * address, and of a host IPv4 and IPv6 by turns (as RFC 8305 4 does). `turn` is a counter of the queue;
 * counting it up gives round robin over hosts and addresses. At most `attemptsMax` (mx-connection-attempts).
 */
export function connectionPlan(
  groups: readonly (readonly ResolvedHop[])[],
  turn: number,
  attemptsMax: number,
): readonly PlannedEndpoint[] {
  const plan = new Map<string, PlannedEndpoint>();
  for (const group of groups) {
    const hops = rotated(
      group.filter((hop) => hop.addresses.length > 0),
      turn,
    );
    const addressTurn = Math.floor(turn / Math.max(1, hops.length));
    const ranked = hops.map((hop) => ({ ...hop, addresses: byTurns(hop.addresses, addressTurn) }));
    const ranks = Math.max(0, ...ranked.map((hop) => hop.addresses.length));
    for (let rank = 0; rank < ranks; rank++) {
      for (const { host, port, addresses } of ranked) {
        const address = addresses[rank];
        if (address === undefined) continue;
        const key = `${address} ${port}`;
        if (!plan.has(key)) plan.set(key, { host, address, port });
      }
    }
  }
  return [...plan.values()].slice(0, attemptsMax);
}

/** Each family rotated by itself: then the first is always IPv4, where there is one. */
function byTurns(addresses: readonly string[], turn: number): readonly string[] {
  const ofFamily = (isIpv6: boolean): readonly string[] =>
    rotated(
      addresses.filter((address) => address.includes(':') === isIpv6),
      turn,
    );
  const [ipv4, ipv6] = [ofFamily(false), ofFamily(true)];
  const longest = Math.max(ipv4.length, ipv6.length);
  const pairs = Array.from({ length: longest }, (_, i) => [ipv4[i], ipv6[i]]);
  return pairs.flat().filter((address) => address !== undefined);
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const first = items.length === 0 ? 0 : by % items.length;
  return first === 0 ? items : [...items.slice(first), ...items.slice(0, first)];
}
