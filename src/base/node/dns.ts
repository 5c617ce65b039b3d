import { readFile } from 'node:fs/promises';
import { aliasesMax, type DnsFinding, isDnsName, readReply } from '../dnsReply.ts';
import { nameServersOf } from '../nameServers.ts';
import type { Dns, DnsAnswer, DnsData, DnsType, Endpoint, Random } from '../ports.ts';
import { type Exchanged, exchange } from './dnsExchange.ts';
import { systemRandom } from './random.ts';

export interface SystemDnsOptions {
  /** Asked in turn. undefined: those of /etc/resolv.conf, the first first. */
  readonly servers?: readonly Endpoint[] | undefined;
  /** The largest answer by UDP we ask for. The default passes every path unfragmented (DNS flag day 2020). */
  readonly ednsUdpBytes?: number | undefined;
  /** For one server, by UDP or TCP. */
  readonly timeoutMs?: number;
}

export const dnsPort = 53;
export const defaultEdnsUdpBytes = 1232;
const defaultTimeoutMs = 4_000;
/** How often a question is put, to one server after the other. */
const attemptsMax = 6;
/** Put to the same server. */
const attemptsPerServer = 2;
const inFlightMax = 256;
/** One that did not answer in time is asked last for so long. */
const penaltyMs = 30_000;
/** resolv.conf may change under us: it is read again when a question comes after so long. */
const rereadMs = 5_000;

/**
 * Asks name servers directly; never `dns.lookup`, which would take a thread of the pool that syncs use.
 * Bounded: at most 256 questions are under way, the others wait.
 */
export function systemDns(options: SystemDnsOptions = {}): Dns {
  return new SystemDns(options);
}

class SystemDns implements Dns {
  readonly #options: SystemDnsOptions;
  readonly #random: Random = systemRandom();
  readonly #waiting: (() => void)[] = [];
  /** Servers that did not answer, by `endpointKey`: until when others are asked before. */
  readonly #silentUntilMs = new Map<string, number>();
  #inFlight = 0;
  #turn = 0;
  #found: { readonly servers: readonly Endpoint[]; readonly atMs: number } | undefined;

  constructor(options: SystemDnsOptions) {
    this.#options = options;
  }

  async query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<DnsData[T]>> {
    const own = localhost(name, type);
    if (own !== undefined) return own;
    if (this.#inFlight < inFlightMax) this.#inFlight += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#follow(name, type);
    } finally {
      const next = this.#waiting.shift();
      // Who waits takes this place over.
      if (next === undefined) this.#inFlight -= 1;
      else next();
    }
  }

  /** Where a server leaves an alias to us, the next question is for its target. */
  async #follow<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<DnsData[T]>> {
    let asked = name;
    let ttlMs = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases <= aliasesMax; aliases++) {
      // A name that cannot be put as a question does not exist either.
      if (!isDnsName(asked)) return { kind: 'none', exists: false, ttlMs: 0 };
      const found = await this.#ask(asked, type);
      if (found.kind === 'failed') return found;
      ttlMs = Math.min(ttlMs, found.ttlMs);
      if (found.kind !== 'alias') return { ...found, ttlMs };
      asked = found.target;
    }
    return { kind: 'failed', code: 'ALIASES' };
  }

  /** One server after the other until one knows; those that only time out are asked again. */
  async #ask<T extends DnsType>(name: string, type: T): Promise<DnsFinding<DnsData[T]>> {
    let servers = await this.#servers();
    let failure: DnsFinding<DnsData[T]> = { kind: 'failed', code: 'NOSERVER' };
    const attempts = Math.min(attemptsMax, servers.length * attemptsPerServer);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const [server, ...others] = servers;
      if (server === undefined) break;
      const exchanged = await this.#exchange(server, name, type);
      const found = exchanged.kind === 'failed' ? exchanged : readReply(exchanged.reply, name, type);
      if (found.kind !== 'failed') return found;
      failure = found;
      const isSilent = found.code === 'TIMEOUT';
      if (isSilent) this.#silentUntilMs.set(endpointKey(server), performance.now() + penaltyMs);
      servers = isSilent ? [...others, server] : others;
    }
    return failure;
  }

  async #exchange(server: Endpoint, name: string, type: DnsType): Promise<Exchanged> {
    const { ednsUdpBytes = defaultEdnsUdpBytes, timeoutMs = defaultTimeoutMs } = this.#options;
    const question = { id: this.#random.u32() & 0xffff, name, type };
    const exchanged = await exchange(server, question, { ednsUdpBytes, timeoutMs });
    const isPlain = exchanged.kind === 'failed' || !withoutEdns.has(exchanged.reply.rcode);
    if (isPlain || ednsUdpBytes === 0) return exchanged;
    const again = { ...question, id: this.#random.u32() & 0xffff };
    return exchange(server, again, { ednsUdpBytes: 0, timeoutMs });
  }

  /** In turn where they are configured, in order where they are the system's; the silent ones last. */
  async #servers(): Promise<readonly Endpoint[]> {
    const { servers: configured } = this.#options;
    const servers = configured ?? (await this.#systemServers());
    const turn = configured === undefined || servers.length === 0 ? 0 : this.#turn++ % servers.length;
    const nowMs = performance.now();
    const isSilent = (server: Endpoint): boolean => {
      const untilMs = this.#silentUntilMs.get(endpointKey(server));
      if (untilMs !== undefined && untilMs <= nowMs) this.#silentUntilMs.delete(endpointKey(server));
      return untilMs !== undefined && untilMs > nowMs;
    };
    const inTurn = [...servers.slice(turn), ...servers.slice(0, turn)];
    return [...inTurn.filter((server) => !isSilent(server)), ...inTurn.filter(isSilent)];
  }

  async #systemServers(): Promise<readonly Endpoint[]> {
    const nowMs = performance.now();
    if (this.#found === undefined || this.#found.atMs + rereadMs < nowMs) {
      const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
      const servers = nameServersOf(text).map((address) => ({ address, port: dnsPort }));
      this.#found = { servers, atMs: nowMs };
    }
    return this.#found.servers;
  }
}

/** RFC 6891 6.2.2: who does not know EDNS may answer the same without it. */
const withoutEdns = new Set(['FORMERR', 'NOTIMP', 'BADVERS']);

/** RFC 6761 6.3: localhost names never leave the machine. */
function localhost<T extends DnsType>(name: string, type: T): DnsAnswer<DnsData[T]> | undefined {
  if (!/^(?:.+\.)?localhost\.?$/i.test(name)) return undefined;
  const records = { A: ['127.0.0.1'], AAAA: ['::1'], MX: [] }[type] as DnsData[T][];
  return records.length === 0
    ? { kind: 'none', exists: true, ttlMs: localhostTtlMs }
    : { kind: 'found', records, ttlMs: localhostTtlMs };
}

const localhostTtlMs = 3_600_000;

function endpointKey({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
