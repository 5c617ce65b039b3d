import { parseCidr, parseIp } from '../base/ip.ts';
import { type IpSet, ipSetContains, ipSetOf } from '../base/ipRanges.ts';

/** Kinds of addresses behind which no public mail server can be. */
export type GuardedKind = 'loopback' | 'private' | 'link-local' | 'unspecified' | 'multicast' | 'reserved';

const guarded: readonly { readonly kind: GuardedKind; readonly ips: IpSet }[] = [
  { kind: 'loopback', ips: ranges('127.0.0.0/8', '::1') },
  // RFC 1918, RFC 6598 (behind a carrier's NAT), RFC 4193, RFC 3879.
  {
    kind: 'private',
    ips: ranges('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', 'fec0::/10'),
  },
  { kind: 'link-local', ips: ranges('169.254.0.0/16', 'fe80::/10') },
  // RFC 1122 3.2.1.3: "this host"; many systems connect to themselves. With the deprecated ::a.b.c.d.
  { kind: 'unspecified', ips: ranges('0.0.0.0/8', '::/96') },
  { kind: 'multicast', ips: ranges('224.0.0.0/4', 'ff00::/8') },
  { kind: 'reserved', ips: ranges('240.0.0.0/4') },
];

/** undefined: an address anybody may have. An IPv4 address in an IPv6 one is judged as IPv4. */
export function guardedKindOf(address: string): GuardedKind | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return 'reserved';
  return guarded.find(({ ips }) => ipSetContains(ips, ip))?.kind;
}

/** What allow-loopback-mx permits: tests and inner networks have mail servers there. */
export const permittedKinds: ReadonlySet<GuardedKind> = new Set(['loopback', 'private', 'link-local']);

function ranges(...texts: readonly string[]): IpSet {
  return ipSetOf(texts.map((text) => parseCidr(text)!));
}
