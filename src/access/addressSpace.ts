/** What kinds of addresses there are, and which clients a listener can have at all. */
import { assert } from '../base/assert.ts';
import { parseCidr, parseIp } from '../base/ip.ts';
import {
  addressCount,
  allIps,
  differenceOf,
  type IpSet,
  intersectionOf,
  ipSetContains,
  ipSetOf,
  ofFamily,
  unionOf,
} from '../base/ipRanges.ts';
import type { CidrText } from '../config/config.ts';

/** RFC 1122 3.2.1.3, RFC 4291 2.5.3. */
export const loopbackIps = prefixes('127.0.0.0/8', '::1');

/** ::ffff:0:0/96 is how a socket shows an IPv4 client (RFC 4291 2.5.5.2); `parseIp` reads it as IPv4. */
const clientIps: IpSet = { 4: allIps[4], 6: [0n, 0xffff_0000_0000n, 0x1_0000_0000_0000n, 1n << 128n] };

/** IANA's special-purpose registry (RFC 6890), as far as it is not globally reachable. */
const specialIpv4 = prefixes(
  '0.0.0.0/8', // this network, RFC 791
  '10.0.0.0/8', // private, RFC 1918
  '100.64.0.0/10', // carrier-grade NAT, RFC 6598
  '127.0.0.0/8', // loopback, RFC 1122
  '169.254.0.0/16', // link-local, RFC 3927
  '172.16.0.0/12', // private, RFC 1918
  '192.0.0.0/24', // protocol assignments, RFC 6890
  '192.0.2.0/24', // documentation, RFC 5737
  '192.168.0.0/16', // private, RFC 1918
  '198.18.0.0/15', // benchmarking, RFC 2544
  '198.51.100.0/24', // documentation, RFC 5737
  '203.0.113.0/24', // documentation, RFC 5737
  '224.0.0.0/4', // multicast, RFC 5771
  '240.0.0.0/4', // reserved, RFC 1112; broadcast, RFC 919
);

/**
 * All else of IPv6 is loopback, unspecified, discard (RFC 6666), unique local (RFC 4193), link-local
 * and multicast (RFC 4291), segment routing (RFC 9602), or not assigned to anybody.
 */
const globalUnicastIpv6 = prefixes(
  '2000::/3', // RFC 3587
  '64:ff9b::/96', // IPv4 behind a translator, RFC 6052
);

const specialIpv6 = prefixes(
  '2001:2::/48', // benchmarking, RFC 5180
  '2001:10::/28', // ORCHID, returned, RFC 4843
  '2001:db8::/32', // documentation, RFC 3849
  '3fff::/20', // documentation, RFC 9637
);

/** Addresses a stranger on the Internet can have. What the registry leaves open counts as public. */
export const publicIps: IpSet = unionOf([
  differenceOf(ofFamily(allIps, 4), specialIpv4),
  differenceOf(globalUnicastIpv6, specialIpv6),
]);

/** More public addresses than one site's own: above a /24, for IPv6 above a /48 (architecture 7). */
export function isWide(publicClients: IpSet, family: 4 | 6): boolean {
  return addressCount(publicClients, family) > (family === 4 ? 1n << 8n : 1n << 80n);
}

/** `0/0` means everything, IPv6 too (powermta a.2); `::/0` is IPv6 only. */
export function meansEveryone(cidr: CidrText): boolean {
  return cidr.bits === 0 && cidr.address === '0.0.0.0';
}

export function rangesOf(cidrs: readonly CidrText[]): IpSet {
  if (cidrs.some(meansEveryone)) return allIps;
  return prefixes(...cidrs.map((cidr) => `${cidr.address}/${cidr.bits}`));
}

/**
 * The clients a listener takes: those of its address's family, and on a loopback address loopback
 * clients only. Access enforces it, so the proof depends neither on a socket option (a `::` socket
 * may take IPv4) nor on a kernel setting (route_localnet lets strangers reach 127.0.0.1).
 */
export function reachOf(listenerAddress: string): IpSet {
  const ip = parseIp(listenerAddress);
  assert(ip !== undefined, 'a listener has a canonical address');
  const reach = ipSetContains(loopbackIps, ip) ? loopbackIps : clientIps;
  return intersectionOf(reach, ofFamily(allIps, ip.family));
}

function prefixes(...texts: readonly string[]): IpSet {
  return ipSetOf(
    texts.map((text) => {
      const cidr = parseCidr(text);
      assert(cidr !== undefined, `${text} is a prefix`);
      return cidr;
    }),
  );
}
