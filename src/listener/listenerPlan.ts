/** What a configuration means to bind, how many connections it takes, and how to say so. */
import { parseCidr, parseIp } from '../base/ip.ts';
import { ipSetContains, ipSetOf } from '../base/ipRanges.ts';
import type { Endpoint } from '../base/ports.ts';
import type { CidrText, Config, Durability, ListenerConfig, Origin, Setting } from '../config/config.ts';
import { defaultVirtualMta } from '../message/names.ts';
import { replies } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';

export interface ListenerPlan {
  /** In the order of `config.listeners`, so that an index means the same everywhere. */
  readonly endpoints: readonly PlannedListener[];
  /** total-max-smtp-in: sessions of all listeners together. */
  readonly maxConnections: number;
  /** Slots no other listener can take from one, so that a flooded port leaves the others usable. */
  readonly reservedConnections: number;
  /** Sockets beyond `maxConnections` that may be open only to be told 421. */
  readonly busyReplies: number;
  /** File descriptors all of this needs at once. */
  readonly descriptors: number;
}

export interface PlannedListener {
  readonly at: Endpoint;
  /** `::` must not take IPv4 too: that is a listener of its own (config.ts), or 0.0.0.0 could not be bound beside it. */
  readonly ipv6Only: boolean;
  /** 0.0.0.0 or ::, every local address of the family. */
  readonly isWildcard: boolean;
  readonly isLoopback: boolean;
  readonly durability: Setting<Durability>;
  /** Where its mail goes unless the client's own `<source>` says: undefined when nothing of the listener does. */
  readonly pool: Setting<string> | undefined;
  readonly origin: Origin | undefined;
}

/** Sockets held for a moment to answer 421; beyond them a connection is reset unread. */
const busyReplies = 32;

/** `reset`: no byte, no descriptor kept. */
export type Admission =
  | { readonly kind: 'serve' | 'reset' }
  | { readonly kind: 'busy'; readonly reply: Reply };

const busy: Admission = { kind: 'busy', reply: replies.tooManyConnections };
const serve: Admission = { kind: 'serve' };
const reset: Admission = { kind: 'reset' };

const loopback = ipSetOf([parseCidr('127.0.0.0/8')!, parseCidr('::1')!]);

export function planListeners(config: Config): ListenerPlan {
  const endpoints = config.listeners.map((listener): PlannedListener => {
    const ip = parseIp(listener.address)!;
    return {
      at: { address: listener.address, port: listener.port },
      ipv6Only: ip.family === 6,
      isWildcard: ip.value === 0n,
      isLoopback: ipSetContains(loopback, ip),
      durability: listener.durability ?? config.durability,
      pool: poolOf(config, listener),
      origin: listener.origin,
    };
  });
  const maxConnections = config.totalMaxSmtpIn.value;
  return {
    endpoints,
    maxConnections,
    // A tenth of the slots is shared out; with one listener there is nobody to keep them from.
    reservedConnections: endpoints.length > 1 ? Math.floor(maxConnections / (10 * endpoints.length)) : 0,
    busyReplies,
    descriptors: endpoints.length + maxConnections + busyReplies,
  };
}

/**
 * May one more connection be served on this listener? `sessions` counts open sessions by listener,
 * `beingRefused` the sockets that wait for their 421 to leave.
 */
export function admit(
  plan: ListenerPlan,
  listenerIndex: number,
  sessions: readonly number[],
  beingRefused: number,
): Admission {
  const { reservedConnections, maxConnections } = plan;
  let taken = 0;
  for (const open of sessions) taken += Math.max(open, reservedConnections);
  const inReserve = sessions[listenerIndex]! < reservedConnections;
  if (inReserve || taken < maxConnections) return serve;
  return beingRefused < plan.busyReplies ? busy : reset;
}

/** What listens where, for whom, into which pool, and what its 250 waits for; lines of at most 80 columns. */
export function describeListeners(config: Config): string[] {
  const plan = planListeners(config);
  return config.listeners.flatMap((listener, index) => {
    const planned = plan.endpoints[index]!;
    const facts: [string, string][] = [
      ['for', clientsText(listener, planned)],
      ['into', poolText(config, planned)],
      ['250', durabilityTexts[planned.durability.value]],
    ];
    return [
      fitted(`${endpointText(planned)}${listener.origin ? `  (${place(listener.origin)})` : '  (built in)'}`),
      ...facts.flatMap(([name, text]) => wrapped(`  ${name.padEnd(6)}`, text)),
    ];
  });
}

const columns = 80;

/** More allowed hosts than these are counted. */
const namedHosts = 12;

const durabilityTexts: Record<Durability, string> = {
  sync: 'when the message is on disk',
  os: 'when the system has the message: a power cut may lose it',
  none: 'when the message is in memory: a crash may lose it',
};

function endpointText({ at, isWildcard, ipv6Only }: PlannedListener): string {
  const text = ipv6Only ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
  return isWildcard ? `${text}  every IPv${ipv6Only ? 6 : 4} address of this machine` : text;
}

function clientsText(listener: ListenerConfig, { isLoopback, ipv6Only }: PlannedListener): string {
  const { allowedHosts } = listener;
  if (allowedHosts !== undefined) {
    const where = allowedHosts.origin === undefined ? '' : ` (${place(allowedHosts.origin)})`;
    const hosts = allowedHosts.value.slice(0, namedHosts).map(cidrText).join(', ');
    const more = allowedHosts.value.length - namedHosts;
    return `${hosts || 'nobody'}${more > 0 ? ` and ${more} more` : ''}; others are reset${where}`;
  }
  return isLoopback
    ? 'this machine'
    : `any IPv${ipv6Only ? 6 : 4} client, as <source> and relay-domain allow`;
}

/** A listener's own pool stands for a default-virtual-mta in its source (powermta b.2) and wins over it. */
function poolOf(config: Config, listener: ListenerConfig): Setting<string> | undefined {
  const name = listener.source?.value.toLowerCase();
  const ofSource = config.injectionSources.findLast(
    ({ over, settings }) =>
      over.kind === 'name' && over.name.toLowerCase() === name && settings.defaultVirtualMta !== undefined,
  );
  const pool = listener.defaultVirtualMta ?? ofSource?.settings.defaultVirtualMta;
  return pool?.value === '' ? undefined : pool;
}

function poolText(config: Config, { pool }: PlannedListener): string {
  if (pool !== undefined)
    return pool.origin === undefined ? pool.value : `${pool.value} (${place(pool.origin)})`;
  const bySource = config.injectionSources.some(
    ({ over, settings }) => over.kind === 'cidr' && settings.defaultVirtualMta !== undefined,
  );
  return bySource ? `the client's <source> default, else ${defaultVirtualMta}` : defaultVirtualMta;
}

function cidrText({ address, bits }: CidrText): string {
  return bits === (address.includes(':') ? 128 : 32) ? address : `${address}/${bits}`;
}

function place(origin: Origin): string {
  return `${origin.file}:${origin.line}`;
}

/** Broken at spaces, continued under its first word. */
function wrapped(head: string, text: string): string[] {
  const lines: string[] = [];
  let line = head;
  for (const word of text.split(' ')) {
    if (line.length > head.length && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = ' '.repeat(head.length);
    }
    line += line.length > head.length ? ` ${word}` : word;
  }
  return [...lines, line].map(fitted);
}

/** A file name may be longer than a line; then its middle goes. */
function fitted(line: string): string {
  return line.length <= columns ? line : `${line.slice(0, columns / 2 - 2)}...${line.slice(1 - columns / 2)}`;
}
