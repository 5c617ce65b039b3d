import { canonicalIp } from '../base/ip.ts';
import type {
  Connection,
  ConnectionEvents,
  ConnectOptions,
  Endpoint,
  Listening,
  Net,
  PendingConnection,
} from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import { type NetFaults, perfectNet } from './netFaults.ts';
import type { SeededRandom } from './seededRandom.ts';
import {
  connectionPair,
  type Medium,
  type NetWitness,
  type SimulatedConnection,
} from './simulatedConnection.ts';

type Accept = (connection: SimulatedConnection) => ConnectionEvents;

interface Listener {
  readonly at: Endpoint;
  readonly host: SimulatedHost;
  readonly accept: Accept;
}

/** How long a kernel repeats its SYN (Linux, tcp_syn_retries). */
const connectMs = 127_000;
const firstEphemeralPort = 32_768;

/**
 * TCP between simulated processes. Nothing happens inside a call: every event comes from the agenda, so
 * the code of two processes is never on one stack.
 */
export class SimulatedNet implements Medium {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly witness: NetWitness;
  /** May be replaced at any time; for connections that are open, it holds from the next segment on. */
  faults: NetFaults = perfectNet;
  /** Faults that have come about. */
  faultCount = 0;
  /** Sockets that are open or half open, counted at both ends. */
  openEnds = 0;
  readonly stalled = new Set<SimulatedConnection>();
  readonly #listeners: Listener[] = [];
  readonly #partitions = new Set<string>();
  #lastPort = firstEphemeralPort - 1;

  constructor(agenda: Agenda, random: SeededRandom, witness: NetWitness = () => undefined) {
    this.agenda = agenda;
    this.random = random;
    this.witness = witness;
  }

  /**
   * The network as one process sees it. `addresses` are those of its machine (canonical text; other
   * processes may have the same). A process that crashed keeps a dead handle: its successor gets one of
   * its own.
   */
  host(name: string, addresses: readonly string[]): SimulatedHost {
    return new SimulatedHost(this, name, addresses);
  }

  /** Nothing passes between the two addresses any more; what is under way waits, or times out. */
  partition(address: string, other: string): void {
    this.faultCount += 1;
    this.#partitions.add(`${address} ${other}`).add(`${other} ${address}`);
  }

  /** Ends every partition. */
  heal(): void {
    this.#partitions.clear();
    const waiting = [...this.stalled];
    this.stalled.clear();
    for (const end of waiting) end.unstall();
  }

  isPartitioned(from: string, to: string): boolean {
    return this.#partitions.size > 0 && this.#partitions.has(`${from} ${to}`);
  }

  transitMs(): number {
    const { latencyMs, slowRate, slowMs } = this.faults;
    const usualMs = latencyMs === 0 ? 0 : this.random.below(latencyMs + 1);
    if (!this.random.chance(slowRate)) return usualMs;
    this.faultCount += 1;
    return usualMs + this.random.below(slowMs + 1);
  }

  nextPort(): number {
    this.#lastPort = this.#lastPort === 65_535 ? firstEphemeralPort : this.#lastPort + 1;
    return this.#lastPort;
  }

  /** Who serves that address: a listener of its own, or a wildcard of a machine that has it. */
  listenerFor({ address, port }: Endpoint): Listener | undefined {
    const wildcard = wildcardOf(address);
    return this.#listeners.find(
      ({ at, host }) =>
        at.port === port &&
        (at.address === address || (at.address === wildcard && host.addresses.includes(address))),
    );
  }

  /** False when it is in use. */
  addListener(listener: Listener): boolean {
    const { address, port } = listener.at;
    const isTaken = this.#listeners.some(
      ({ at, host }) =>
        at.port === port &&
        at.address === address &&
        host.addresses.some((one) => listener.host.addresses.includes(one)),
    );
    if (!isTaken) this.#listeners.push(listener);
    return !isTaken;
  }

  removeListeners(which: (listener: Listener) => boolean): void {
    for (let i = this.#listeners.length - 1; i >= 0; i--) {
      if (which(this.#listeners[i]!)) this.#listeners.splice(i, 1);
    }
  }
}

/** See `SimulatedNet.host`. */
export class SimulatedHost implements Net {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Sockets of this process. */
  readonly ends = new Set<SimulatedConnection>();
  readonly #net: SimulatedNet;
  #isDead = false;

  constructor(net: SimulatedNet, name: string, addresses: readonly string[]) {
    this.#net = net;
    this.name = name;
    this.addresses = addresses;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  listen(asked: Endpoint, accept: Accept): Promise<Listening> {
    const net = this.#net;
    return new Promise((resolve, reject) => {
      if (this.#isDead) return;
      const { address } = asked;
      const at = { address, port: asked.port === 0 ? net.nextPort() : asked.port };
      const listener: Listener = { at, host: this, accept };
      const isOurs = this.addresses.includes(address) || address === wildcardOf(address);
      const fault = !isOurs ? 'EADDRNOTAVAIL' : net.addListener(listener) ? undefined : 'EADDRINUSE';
      net.agenda.after(0, () => {
        if (this.#isDead) return;
        if (fault !== undefined) reject(Object.assign(new Error(fault), { code: fault }));
        else resolve({ at, close: async () => net.removeListeners((one) => one === listener) });
      });
    });
  }

  connect(
    options: ConnectOptions,
    opened: (connection: Connection) => void,
    events: ConnectionEvents,
  ): PendingConnection {
    const attempt = new Attempt(this.#net, this, options, opened, events);
    return { abandon: () => attempt.abandon() };
  }

  /** The address connections to `remote` come from; or why there is none. */
  bind({ remote, localAddress }: ConnectOptions): { readonly address: string } | { readonly code: string } {
    if (canonicalIp(remote.address) === undefined) return { code: 'EINVAL' };
    if (localAddress !== undefined) {
      if (canonicalIp(localAddress) === undefined) return { code: 'EINVAL' };
      return this.addresses.includes(localAddress) ? { address: localAddress } : { code: 'EADDRNOTAVAIL' };
    }
    if (this.addresses.includes(remote.address)) return { address: remote.address };
    const address = this.addresses.find((one) => wildcardOf(one) === wildcardOf(remote.address));
    return address === undefined ? { code: 'ENETUNREACH' } : { address };
  }

  /**
   * The process is gone: its listeners and connections with it, and none of its callbacks is called again.
   * `killed`: its kernel ends or resets its connections, as the seed decides. `powerLoss`: silence, and a
   * reset after up to ten minutes, or when the peer writes.
   */
  crash(how: 'killed' | 'powerLoss'): void {
    this.#isDead = true;
    this.#net.removeListeners(({ host }) => host === this);
    for (const end of [...this.ends]) end.die(how);
  }
}

/** One `connect`, until it opens or fails. */
class Attempt {
  readonly #net: SimulatedNet;
  readonly #host: SimulatedHost;
  readonly #events: ConnectionEvents;
  readonly #opened: (connection: Connection) => void;
  readonly #local: Endpoint;
  readonly #remote: Endpoint;
  #state: 'pending' | 'open' | 'over' = 'pending';
  #end: SimulatedConnection | undefined;

  constructor(
    net: SimulatedNet,
    host: SimulatedHost,
    options: ConnectOptions,
    opened: (connection: Connection) => void,
    events: ConnectionEvents,
  ) {
    this.#net = net;
    this.#host = host;
    this.#opened = opened;
    this.#events = events;
    this.#remote = options.remote;
    const bound = host.bind(options);
    if ('code' in bound) {
      this.#local = { address: '', port: 0 };
      this.#failAfter(0, bound.code);
      return;
    }
    this.#local = { address: bound.address, port: net.nextPort() };
    net.agenda.after(net.transitMs(), () => this.#synArrived());
  }

  abandon(): void {
    if (this.#state !== 'pending') return;
    this.#state = 'over';
    this.#end?.abandon();
  }

  #synArrived(): void {
    if (this.#isOver) return;
    const net = this.#net;
    const { random, faults } = net;
    const [isLost, isRefused] = [random.chance(faults.blackholeRate), random.chance(faults.refuseRate)];
    const listener = net.listenerFor(this.#remote);
    if (isLost || (isRefused && listener !== undefined)) net.faultCount += 1;
    if (isLost || net.isPartitioned(this.#local.address, this.#remote.address)) {
      this.#failAfter(connectMs, 'ETIMEDOUT');
      return;
    }
    if (isRefused || listener === undefined) {
      this.#failAfter(net.transitMs(), 'ECONNREFUSED');
      return;
    }
    const owners = { client: this.#host, server: listener.host };
    const { client, server } = connectionPair(net, this.#local, this.#remote, owners);
    this.#end = client;
    client.attach(this.#events);
    server.sendOpened(() => {
      this.#state = 'open';
      this.#opened(client);
    });
    server.attach(listener.accept(server));
  }

  #failAfter(delayMs: number, code: string): void {
    const { agenda, witness } = this.#net;
    agenda.after(delayMs, () => {
      if (this.#isOver) return;
      this.#state = 'over';
      witness('failed', this.#local, this.#remote, undefined);
      this.#events.closed(code);
    });
  }

  get #isOver(): boolean {
    return this.#state !== 'pending' || this.#host.isDead;
  }
}

/** The wildcard of an address's family. */
function wildcardOf(address: string): string {
  return address.includes(':') ? '::' : '0.0.0.0';
}
