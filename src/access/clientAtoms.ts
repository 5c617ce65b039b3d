/** Questions about all clients at once, answered exactly by asking about one client of each kind. */
import { formatIp } from '../base/ip.ts';
import { atomsOf, type IpSet, ipFamilies, ipSetContains } from '../base/ipRanges.ts';
import type { Config } from '../config/config.ts';
import { loopbackIps, rangesOf, reachOf } from './addressSpace.ts';

/**
 * Sorts every client a listener can have by the answer `classify` gives for it; clients with the
 * answer undefined are left out. The address space is cut at every edge a decision could depend on,
 * so one representative of each piece speaks for the whole piece.
 */
export function classifyClients<T>(
  config: Config,
  listenerIndex: number,
  classify: (clientAddress: string) => T | undefined,
): Map<T, IpSet> {
  const listener = config.listeners[listenerIndex]!;
  const reach = reachOf(listener.address);
  const sets = [reach, loopbackIps, ...sourceRanges(config), rangesOf(listener.allowedHosts?.value ?? [])];
  const edgesByAnswer = new Map<T, { 4: bigint[]; 6: bigint[] }>();
  for (const family of ipFamilies) {
    for (const [first, end] of atomsOf(sets, family)) {
      // Also because a mapped IPv6 address, written out, would be read as an IPv4 client.
      if (!ipSetContains(reach, { family, value: first })) continue;
      const answer = classify(formatIp({ family, value: first }));
      if (answer === undefined) continue;
      const byFamily = edgesByAnswer.get(answer) ?? { 4: [], 6: [] };
      edgesByAnswer.set(answer, byFamily);
      const edges = byFamily[family];
      if (edges.at(-1) === first) edges[edges.length - 1] = end;
      else edges.push(first, end);
    }
  }
  return edgesByAnswer;
}

/** The range of each `<source CIDR>` block. */
export function sourceRanges(config: Config): IpSet[] {
  return config.injectionSources.flatMap(({ over }) => (over.kind === 'cidr' ? [rangesOf([over.cidr])] : []));
}
