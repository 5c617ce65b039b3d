/** Who may relay without AUTH, exactly, over all listeners and all clients. */
import { assert } from '../base/assert.ts';
import { formatIp, type IpAddress, parseIp } from '../base/ip.ts';
import {
  type IpSet,
  intersectionOf,
  ipFamilies,
  ipSetContains,
  largestPrefix,
  unionOf,
} from '../base/ipRanges.ts';
import type { Config, Origin } from '../config/config.ts';
import { type Access, compileAccess, type JudgedPath, type RelayGrant } from './access.ts';
import { isWide, publicIps, rangesOf } from './addressSpace.ts';
import { type ClientKinds, clientKinds } from './clientAtoms.ts';
import { compileLocalDomains, foreignDomain } from './localDomains.ts';

export interface ProvenGrant {
  readonly listenerIndex: number;
  readonly grant: RelayGrant;
  readonly clients: IpSet;
  /** The part of `clients` that strangers on the Internet can be. */
  readonly publicClients: IpSet;
}

export interface OpenRelay {
  readonly listenerIndex: number;
  readonly family: 4 | 6;
  /** Those that let strangers relay; never empty. */
  readonly grants: readonly ProvenGrant[];
  /** All who may relay through this listener. */
  readonly clients: IpSet;
  readonly publicClients: IpSet;
  /** False: small by itself, too much together with the other listeners. */
  readonly wideAlone: boolean;
  /** A client for which `rcptTo` is answered 250. */
  readonly witnessAddress: string;
  /** `b@gmail.com` */
  readonly rcptTo: string;
}

export interface Relaying {
  readonly grants: readonly ProvenGrant[];
  readonly openRelays: readonly OpenRelay[];
}

/** Open relay: public clients that in union over the listeners are wide (see `isWide`). */
export function findRelaying(config: Config): Relaying {
  const access = compileAccess(config);
  const paths = foreignPaths(config);
  const kinds = clientKinds(config);
  const byClass = new Map<string, readonly GrantedClients[]>();
  const byListener = config.listeners.map((_, listenerIndex): readonly GrantedClients[] => {
    const listenerClass = kinds.classOf(listenerIndex);
    const alike = byClass.get(listenerClass);
    if (alike !== undefined) return withOwnGrants(alike, access, listenerIndex);
    const granted = grantsOf(kinds, access, listenerIndex, paths);
    byClass.set(listenerClass, granted);
    return granted;
  });
  const grants = byListener.flatMap(provenBy);
  const publicClients = unionOf([...byClass.values()].flat().map((granted) => granted.publicClients));
  const openRelays = ipFamilies
    .filter((family) => isWide(publicClients, family))
    .flatMap((family) => culprits(config, access, family, byListener, paths));
  return { grants, openRelays };
}

/** What a stranger would send to: a domain not ours, and an address literal where those are taken widely. */
function foreignPaths(config: Config): JudgedPath[] {
  const paths = [
    { domain: foreignDomain(compileLocalDomains(config)), localPart: 'b', routedLocalPart: false },
  ];
  const literals = rangesOf(
    config.relayDomains.flatMap(({ value }) => (value.kind === 'literal' ? [value.cidr] : [])),
  );
  for (const family of ipFamilies) {
    const strangers = intersectionOf(literals, publicIps);
    if (!isWide(strangers, family)) continue;
    const address = formatIp(exampleOf(strangers, family));
    const domain = family === 4 ? `[${address}]` : `[IPv6:${address}]`;
    paths.push({ domain, localPart: 'b', routedLocalPart: false });
  }
  return paths;
}

/** Shared by the listeners of one class, sets and all. */
type GrantedClients = Omit<ProvenGrant, 'listenerIndex'>;

/** An implied grant names the listener's own lines: the decision itself says which. */
function withOwnGrants(
  alike: readonly GrantedClients[],
  access: Access,
  listenerIndex: number,
): readonly GrantedClients[] {
  return alike.map((granted) => {
    if (!granted.grant.implied) return granted;
    const family = granted.clients[4].length > 0 ? 4 : 6;
    const clientAddress = formatIp({ family, value: granted.clients[family][0]! });
    const connection = access.connect({ clientAddress, listenerIndex });
    assert(connection.kind === 'allowed' && connection.relayGrant !== undefined, 'a class is alike');
    return { ...granted, grant: connection.relayGrant };
  });
}

function provenBy(granted: readonly GrantedClients[], listenerIndex: number): readonly ProvenGrant[] {
  return granted.map(({ grant, clients, publicClients }) => ({
    listenerIndex,
    grant,
    clients,
    publicClients,
  }));
}

function grantsOf(
  kinds: ClientKinds,
  access: Access,
  listenerIndex: number,
  paths: readonly JudgedPath[],
): readonly GrantedClients[] {
  const literalGrants = new Map<Origin | undefined, RelayGrant>();
  const classify = (clientAddress: string): RelayGrant | undefined => {
    for (const path of paths) {
      const accepted = acceptance(access, { clientAddress, listenerIndex }, path);
      if (accepted === undefined) continue;
      if (accepted.as === 'relay') return accepted.grant;
      const grant = literalGrants.get(accepted.decidedBy) ?? literalGrant(accepted.decidedBy);
      literalGrants.set(accepted.decidedBy, grant);
      return grant;
    }
    return undefined;
  };
  return [...kinds.classify(listenerIndex, classify)].map(([grant, clients]) => ({
    grant,
    clients,
    publicClients: intersectionOf(clients, publicIps),
  }));
}

function acceptance(
  access: Access,
  facts: { clientAddress: string; listenerIndex: number },
  path: JudgedPath,
) {
  const connection = access.connect(facts);
  if (connection.kind !== 'allowed') return undefined;
  const verdict = access.recipient(connection, path);
  return verdict.kind === 'accepted' ? verdict : undefined;
}

/** The listeners that are wide open by themselves; when none is, all that together are. */
function culprits(
  config: Config,
  access: Access,
  family: 4 | 6,
  byListener: readonly (readonly GrantedClients[])[],
  paths: readonly JudgedPath[],
): OpenRelay[] {
  // By the first of the sets that listeners of a class share.
  const byClass = new Map<IpSet, OpenRelay>();
  const all = config.listeners.flatMap((_, listenerIndex): OpenRelay[] => {
    const granted = byListener[listenerIndex]!;
    const own = granted.filter((one) => one.publicClients[family].length > 0);
    if (own.length === 0) return [];
    const grants = provenBy(own, listenerIndex);
    const alike = byClass.get(own[0]!.publicClients);
    if (alike !== undefined) return [{ ...alike, listenerIndex, grants }];
    const publicClients = unionOf(own.map((one) => one.publicClients));
    const witnessAddress = formatIp(exampleOf(publicClients, family));
    const path = paths.find(
      (candidate) =>
        acceptance(access, { clientAddress: witnessAddress, listenerIndex }, candidate) !== undefined,
    )!;
    const found: OpenRelay = {
      listenerIndex,
      family,
      grants,
      clients: unionOf(granted.map((one) => one.clients)),
      publicClients,
      wideAlone: isWide(publicClients, family),
      witnessAddress,
      rcptTo: `${path.localPart}@${path.domain}`,
    };
    byClass.set(own[0]!.publicClients, found);
    return [found];
  });
  const wide = all.filter((open) => open.wideAlone);
  return wide.length > 0 ? wide : all;
}

/** One address of a set that is not empty in that family; a public resolver's where it is in. */
function exampleOf(set: IpSet, family: 4 | 6): IpAddress {
  const wellKnown = parseIp(family === 4 ? '8.8.4.4' : '2001:4860:4860::8844')!;
  if (ipSetContains(set, wellKnown)) return wellKnown;
  const { first, bits } = largestPrefix(set, family)!;
  const isOne = bits === (family === 4 ? 32 : 128);
  return { family, value: isOne ? first : first + 1n };
}

function literalGrant(origin: Origin | undefined): RelayGrant {
  return {
    kind: 'relay-domain',
    implied: false,
    origin,
    block: undefined,
    text: 'relay-domain takes mail for address literals of strangers from everyone',
  };
}
