/** Questions about all clients at once, answered exactly by asking about one client of each kind. */
import { assert } from '../base/assert.ts';
import { formatIp } from '../base/ip.ts';
import { atomsOf, type IpSet, intersectionOf, intervalsOf, ipFamilies } from '../base/ipRanges.ts';
import type { CidrText, Config, Setting } from '../config/config.ts';
import { loopbackIps, rangesOf, reachOf } from './addressSpace.ts';

/** What asking about every client of a listener needs of the configuration, made once for all listeners. */
export interface ClientKinds {
  /**
   * Sorts every client a listener can have by the answer `classify` gives for it; clients with the
   * answer undefined are left out, and `classify` must give undefined for whoever is not allowed to
   * connect. The address space is cut at every edge a decision could depend on, so one representative
   * of each piece speaks for the whole piece.
   */
  classify<T>(
    listenerIndex: number,
    classify: (clientAddress: string) => T | undefined,
  ): ReadonlyMap<T, IpSet>;
  /**
   * Listeners of one class treat every client alike, as far as connecting and relaying go: who has asked
   * about one need not ask about the others. Only an implied grant is each listener's own.
   */
  classOf(listenerIndex: number): string;
}

export function clientKinds(config: Config): ClientKinds {
  const cuts = [loopbackIps, ...sourceRanges(config)];
  // The same cuts for each listener: sorted once.
  const edges = { 4: edgesOf(cuts, 4), 6: edgesOf(cuts, 6) };
  const named = namedSettings(config);
  return {
    classify(listenerIndex, classify) {
      const answers = new Map<ReturnType<typeof classify> & {}, { 4: bigint[]; 6: bigint[] }>();
      const clients = possibleClients(config, listenerIndex);
      for (const family of ipFamilies) {
        for (const [from, to] of intervalsOf(clients, family)) {
          let at = firstAbove(edges[family], from);
          // Only within the reach: a mapped IPv6 address, written out, would be read as an IPv4 client.
          for (let first = from; first < to; at++) {
            const edge = edges[family][at];
            const end = edge === undefined || edge > to ? to : edge;
            const answer = classify(formatIp({ family, value: first }));
            if (answer !== undefined) append(answers, answer, family, first, end);
            first = end;
          }
        }
      }
      return answers;
    },

    classOf(listenerIndex) {
      const { address, source, blockForm, allowedHosts } = config.listeners[listenerIndex]!;
      const reach = reachOf(address);
      const ids = source === undefined ? 'none' : (named.get(source.value.toLowerCase()) ?? 'empty');
      // An empty list lets nobody in, none at all lets everybody in.
      const hosts = allowedHosts === undefined ? 'anyone' : `[${allowedHosts.value.map(cidrWord).join()}]`;
      return [blockForm, ids, hosts, reach[4].join(), reach[6].join()].join(' ');
    },
  };
}

/** The range of each `<source CIDR>` block. */
export function sourceRanges(config: Config): IpSet[] {
  return config.injectionSources.flatMap(({ over }) => (over.kind === 'cidr' ? [rangesOf([over.cidr])] : []));
}

function possibleClients(config: Config, listenerIndex: number): IpSet {
  const { address, allowedHosts } = config.listeners[listenerIndex]!;
  const reach = reachOf(address);
  return allowedHosts === undefined ? reach : intersectionOf(reach, rangesOf(allowedHosts.value));
}

/**
 * What the blocks of each name come to, for connecting and relaying: which line sets each of the two
 * settings they depend on. A name that sets neither is told from no name at all, since it covers clients.
 */
function namedSettings(config: Config): ReadonlyMap<string, string> {
  const idOf = new Map<Setting<boolean> | undefined, number>([[undefined, 0]]);
  const id = (setting: Setting<boolean> | undefined): number => {
    if (!idOf.has(setting)) idOf.set(setting, idOf.size);
    return idOf.get(setting)!;
  };
  const settings = new Map<string, { relaying?: Setting<boolean>; service?: Setting<boolean> }>();
  for (const block of config.injectionSources) {
    if (block.over.kind !== 'name') continue;
    const key = block.over.name.toLowerCase();
    const { alwaysAllowRelaying, smtpService } = block.settings;
    const before = settings.get(key) ?? {};
    settings.set(key, {
      ...before,
      ...(alwaysAllowRelaying && { relaying: alwaysAllowRelaying }),
      ...(smtpService && { service: smtpService }),
    });
  }
  return new Map(
    [...settings].map(([key, { relaying, service }]) => {
      const ids = id(relaying) + id(service) === 0 ? 'empty' : `${id(relaying)}/${id(service)}`;
      return [key, ids];
    }),
  );
}

function cidrWord({ address, bits }: CidrText): string {
  return `${address}/${bits}`;
}

function edgesOf(sets: readonly IpSet[], family: 4 | 6): readonly bigint[] {
  return atomsOf(sets, family).map(([first]) => first);
}

/** Index of the first edge above `value`. */
function firstAbove(edges: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function append<T>(
  answers: Map<T, { 4: bigint[]; 6: bigint[] }>,
  answer: T,
  family: 4 | 6,
  first: bigint,
  end: bigint,
): void {
  assert(first < end, 'a piece holds a client');
  let byFamily = answers.get(answer);
  if (byFamily === undefined) {
    byFamily = { 4: [], 6: [] };
    answers.set(answer, byFamily);
  }
  const edges = byFamily[family];
  if (edges.at(-1) === first) edges[edges.length - 1] = end;
  else edges.push(first, end);
}
