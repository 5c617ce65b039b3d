/**
 * The one decision function (architecture 7): who may connect, and to whom they may send. The daemon,
 * the proof and every explanation ask this and nothing else; each answer names the line that decides.
 */
import { assert } from '../base/assert.ts';
import { type IpAddress, parseIp } from '../base/ip.ts';
import { type IpSet, ipSetContains } from '../base/ipRanges.ts';
import type { Config, InjectionSourceConfig, ListenerConfig, Origin, Setting } from '../config/config.ts';
import type { Path } from '../protocol/path.ts';
import { notServed, replies } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { loopbackIps, rangesOf, reachOf } from './addressSpace.ts';
import { compileLocalDomains } from './localDomains.ts';
import { compileOverlay, type EffectiveSource, type Overlay } from './sourceOverlay.ts';

export interface ClientFacts {
  /** As `Connection.remote.address` has it. */
  readonly clientAddress: string;
  /** Index into `config.listeners`. */
  readonly listenerIndex: number;
}

/** What of a forward-path the decision needs: one parse result, never a string to be read again. */
export type JudgedPath = Pick<Path, 'domain' | 'localPart' | 'routedLocalPart'>;

export interface Access {
  /** Once per connection, before a byte is sent. */
  connect(facts: ClientFacts): ConnectVerdict;
  /** Once per RCPT: may this connection send to this path? */
  recipient(connection: ConnectAllowed, path: JudgedPath): RecipientVerdict;
}

export type ConnectVerdict = ConnectAllowed | ConnectReset | ConnectRefused;

/** Shared by all connections of this client to this listener. */
export interface ConnectAllowed {
  readonly kind: 'allowed';
  /** What holds for this client, with the line of each value; the listener's own pool included. */
  readonly effective: EffectiveSource;
  /** The `<source>` blocks behind it, from the general to the specific, the listener's source last. */
  readonly blocks: readonly InjectionSourceConfig[];
  /** undefined: mail to local domains only. */
  readonly relayGrant: RelayGrant | undefined;
}

/** Drop the connection with no byte sent. */
export interface ConnectReset {
  readonly kind: 'reset';
  /** `wrong-side`: a client this listener's address cannot have (see `reachOf`). */
  readonly reason: 'allowed-hosts' | 'wrong-side';
  readonly decidedBy: Origin | undefined;
}

/** Send the reply instead of a greeting, then close. */
export interface ConnectRefused {
  readonly kind: 'refused';
  readonly reason: 'smtp-service';
  readonly reply: Reply;
  readonly decidedBy: Origin | undefined;
}

/** Why a client may relay. */
export interface RelayGrant {
  readonly kind: 'always-allow-relaying' | 'allowed-hosts' | 'loopback-block' | 'relay-domain';
  /** No line says so in as many words; architecture 7 reads it from the shape of a listener block. */
  readonly implied: boolean;
  /** The deciding line. */
  readonly origin: Origin | undefined;
  /** The block that line stands in. */
  readonly block: Origin | undefined;
  /** A phrase for people. */
  readonly text: string;
}

export type RecipientVerdict =
  | { readonly kind: 'accepted'; readonly as: 'local'; readonly decidedBy: Origin | undefined }
  | { readonly kind: 'accepted'; readonly as: 'relay'; readonly grant: RelayGrant }
  | {
      readonly kind: 'refused';
      readonly reason: 'relaying-denied' | 'routed-local-part' | 'no-domain';
      readonly reply: Reply;
      readonly decidedBy: Origin | undefined;
    };

/** Connect verdicts remembered per listener; beyond it the memory is emptied (they are cheap to make again). */
const rememberedClients = 4096;

interface CompiledListener {
  readonly config: ListenerConfig;
  readonly reach: IpSet;
  readonly allowedHosts: { readonly range: IpSet; readonly origin: Origin | undefined } | undefined;
  readonly allowedHostsGrant: RelayGrant | undefined;
  readonly loopbackGrant: RelayGrant | undefined;
  readonly verdicts: Map<string, ConnectVerdict>;
}

/** The configuration must not change afterwards; a reload compiles anew. */
export function compileAccess(config: Config): Access {
  const overlayFor = compileOverlay(config);
  const localDomainFor = compileLocalDomains(config);
  const listeners = config.listeners.map(compileListener);
  const sourceGrants = new Map(config.injectionSources.flatMap(sourceGrant));
  const everyoneGrant = relayDomainGrant(config);
  const refusedService = notServed(config.hostNames.value[0]!);

  /** A written line beats what we infer: an explicit `always-allow-relaying no` ends the implied grants. */
  const relayGrant = (listener: CompiledListener, overlay: Overlay, client: IpAddress) => {
    const relaying = overlay.effective.alwaysAllowRelaying;
    if (relaying.value) return sourceGrants.get(relaying);
    if (relaying.origin !== undefined) return undefined;
    if (listener.allowedHostsGrant !== undefined) return listener.allowedHostsGrant;
    const covered = overlay.blocks.length > 0 || listener.config.source !== undefined;
    return covered || !ipSetContains(loopbackIps, client) ? undefined : listener.loopbackGrant;
  };

  const judge = (listener: CompiledListener, clientAddress: string): ConnectVerdict => {
    const client = parseIp(clientAddress);
    const { allowedHosts, reach } = listener;
    if (allowedHosts !== undefined && !(client && ipSetContains(allowedHosts.range, client))) {
      return { kind: 'reset', reason: 'allowed-hosts', decidedBy: allowedHosts.origin };
    }
    if (client === undefined || !ipSetContains(reach, client)) {
      return { kind: 'reset', reason: 'wrong-side', decidedBy: listener.config.origin };
    }
    const overlay = overlayFor(listener.config, client);
    const { smtpService } = overlay.effective;
    if (!smtpService.value) {
      return {
        kind: 'refused',
        reason: 'smtp-service',
        reply: refusedService,
        decidedBy: smtpService.origin,
      };
    }
    return { kind: 'allowed', ...overlay, relayGrant: relayGrant(listener, overlay, client) };
  };

  return {
    connect({ clientAddress, listenerIndex }) {
      const listener = listeners[listenerIndex];
      assert(listener !== undefined, 'a connection comes through a configured listener');
      const { verdicts } = listener;
      let verdict = verdicts.get(clientAddress);
      if (verdict === undefined) {
        verdict = judge(listener, clientAddress);
        if (verdicts.size >= rememberedClients) verdicts.clear();
        verdicts.set(clientAddress, verdict);
      }
      return verdict;
    },

    recipient(connection, path) {
      const { relayGrant: grant, effective } = connection;
      const decidedBy = effective.alwaysAllowRelaying.origin;
      if (path.domain === '') {
        // RFC 5321 4.5.1: <postmaster> alone is always ours; nothing else goes without a domain.
        return path.localPart.toLowerCase() === 'postmaster' && !path.routedLocalPart
          ? { kind: 'accepted', as: 'local', decidedBy: undefined }
          : {
              kind: 'refused',
              reason: 'no-domain',
              reply: replies.recipientNeedsDomain,
              decidedBy: undefined,
            };
      }
      const local = localDomainFor(path.domain);
      if (grant === undefined) {
        if (local === undefined && everyoneGrant === undefined) {
          return { kind: 'refused', reason: 'relaying-denied', reply: replies.relayingDenied, decidedBy };
        }
        // A next hop might obey `user%elsewhere@ours` (reliability A1): strangers may not ask for it.
        if (path.routedLocalPart) {
          return { kind: 'refused', reason: 'routed-local-part', reply: replies.routedLocalPart, decidedBy };
        }
      }
      return local === undefined
        ? { kind: 'accepted', as: 'relay', grant: (grant ?? everyoneGrant)! }
        : { kind: 'accepted', as: 'local', decidedBy: local.origin };
    },
  };
}

function compileListener(config: ListenerConfig): CompiledListener {
  const { allowedHosts, origin, blockForm } = config;
  const reach = reachOf(config.address);
  const isLoopback = ipSetContains(loopbackIps, parseIp(config.address)!);
  return {
    config,
    reach,
    allowedHosts: allowedHosts && {
      range: rangesOf(allowedHosts.value),
      origin: allowedHosts.origin,
    },
    allowedHostsGrant:
      blockForm && allowedHosts !== undefined
        ? {
            kind: 'allowed-hosts',
            implied: true,
            origin: allowedHosts.origin,
            block: origin,
            text: 'allowed-hosts without require-auth: these hosts may relay',
          }
        : undefined,
    loopbackGrant:
      blockForm && isLoopback
        ? {
            kind: 'loopback-block',
            implied: true,
            origin,
            block: origin,
            text: 'listener block on a loopback address: this machine may relay',
          }
        : undefined,
    verdicts: new Map(),
  };
}

function sourceGrant(block: InjectionSourceConfig): [Setting<boolean>, RelayGrant][] {
  const setting = block.settings.alwaysAllowRelaying;
  if (setting === undefined || !setting.value) return [];
  const { origin } = setting;
  const text = 'always-allow-relaying yes';
  return [[setting, { kind: 'always-allow-relaying', implied: false, origin, block: block.origin, text }]];
}

function relayDomainGrant(config: Config): RelayGrant | undefined {
  const setting = config.relayDomains.find(({ value }) => value.kind === 'all');
  return (
    setting && {
      kind: 'relay-domain',
      implied: false,
      origin: setting.origin,
      block: undefined,
      text: 'relay-domain * takes mail for every domain from everyone',
    }
  );
}
