import type { DnsAnswer, Endpoint } from '../base/ports.ts';
import type { DomainSettings } from '../config/config.ts';

/** A host to connect to: a name to resolve, or a canonical IP. */
export interface NextHop {
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
}

/** Hosts of one group share a preference; a later group is tried when the earlier ones failed. */
export type NextHops =
  | { readonly kind: 'hosts'; readonly groups: readonly (readonly NextHop[])[] }
  | ({ readonly kind: 'none' } & LocalCause);

/** Why a delivery could not be tried, in the words of RFC 3463. */
export interface LocalCause {
  readonly status: string;
  readonly diagnostic: string;
}

/** Where mail for `domain` goes. Address literals are no exception: only smtp-hosts routes in this release. */
export function nextHops(
  settings: Pick<DomainSettings, 'smtpHosts' | 'defaultSmtpPort'>,
  domain: string,
): NextHops {
  const groups = settings.smtpHosts.filter((group) => group.length > 0);
  if (groups.length === 0) {
    return {
      kind: 'none',
      status: '4.4.4',
      diagnostic: `no route to ${domain}: MX lookup is not part of this release`,
    };
  }
  const withPort = (port: number): number => (port === 0 ? settings.defaultSmtpPort : port);
  return {
    kind: 'hosts',
    groups: groups.map((group) => group.map((hop) => ({ ...hop, port: withPort(hop.port) }))),
  };
}

/** A next hop whose addresses are known; none when its name could not be resolved. */
export interface ResolvedHop {
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
}

export interface PlannedEndpoint extends Endpoint {
  /** The name it was found under, for dsnMta. */
  readonly host: string;
}

/** PowerMTA's mx-connection-attempts: no single delivery tries more endpoints than this. */
export const maxConnectionAttempts = 10;

/**
 * The endpoints to try, in order: group by group, inside a group every host once before any host's next
 * address. `turn` is a counter of the queue; counting it up gives round robin over hosts and addresses.
 */
export function connectionPlan(
  groups: readonly (readonly ResolvedHop[])[],
  turn: number,
): readonly PlannedEndpoint[] {
  const plan = new Map<string, PlannedEndpoint>();
  for (const group of groups) {
    const hops = rotated(
      group.filter((hop) => hop.addresses.length > 0),
      turn,
    );
    const addressTurn = Math.floor(turn / Math.max(1, hops.length));
    const ranked = hops.map((hop) => ({ ...hop, addresses: rotated(hop.addresses, addressTurn) }));
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
  return [...plan.values()].slice(0, maxConnectionAttempts);
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const first = items.length === 0 ? 0 : by % items.length;
  return first === 0 ? items : [...items.slice(first), ...items.slice(0, first)];
}

/** Why a name of smtp-hosts gave no address. Always temporary: a wrong line must not bounce mail. */
export function unresolvedHop(host: string, answer: Exclude<DnsAnswer, { kind: 'found' }>): LocalCause {
  return answer.kind === 'none'
    ? { status: '4.4.4', diagnostic: `${host} (smtp-hosts) has no address` }
    : { status: '4.4.3', diagnostic: `looking up ${host} failed (${answer.code})` };
}
