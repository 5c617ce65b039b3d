import type {
  Connection,
  ConnectionEvents,
  Endpoint,
  Timer,
  TlsClientOptions,
  TlsFacts,
} from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { NetFaults } from './netFaults.ts';
import type { SeededRandom } from './seededRandom.ts';
import { clientHello, SimulatedHandshake, serverHello, simulatedTls } from './simulatedTls.ts';

/** Sees what happens on the wire, in order; for a hash over it. `bytes` are those that arrived. */
export type NetWitness = (
  what: 'opened' | 'bytes' | 'ended' | 'closed' | 'failed',
  from: Endpoint,
  to: Endpoint,
  bytes: Uint8Array | undefined,
) => void;

/** What connections need of the net they belong to. */
export interface Medium {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly witness: NetWitness;
  readonly faults: NetFaults;
  faultCount: number;
  openEnds: number;
  /** Ends whose next arrival waits for a partition to heal. */
  readonly stalled: Set<SimulatedConnection>;
  isPartitioned(from: string, to: string): boolean;
  /** How long the next segment takes. */
  transitMs(): number;
}

/** The process an end belongs to. */
export interface Owner {
  readonly ends: Set<SimulatedConnection>;
}

interface Arrival {
  readonly kind: 'opened' | 'bytes' | 'ended' | 'reset';
  readonly atMs: number;
  readonly hadReadBytes: number;
  /** For `bytes`. */
  readonly bytes: Uint8Array;
  /** For `opened`. */
  readonly opened: ((connection: SimulatedConnection) => void) | undefined;
}

interface Unsent {
  bytes: Uint8Array;
  readonly hadReadBytes: number;
}

/** What both ends share: how much longer the connection lives. */
interface Link {
  bytesLeft: number;
  timer: Timer | undefined;
  isBroken: boolean;
}

const noBytes = new Uint8Array(0);

/** Send and receive buffers of both kernels together. */
const windowBytes = 256 * 1024;
/** What one read of a socket gives at most. */
const readMaxBytes = 64 * 1024;
/** How long a kernel repeats what is not acknowledged (Linux, tcp_retries2). */
const retransmitMs = 924_600;

export const silent: ConnectionEvents = {
  received: () => undefined,
  ended: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};

/** Two ends of a new connection, each owned by its process. The owners' events are attached afterwards. */
export function connectionPair(
  medium: Medium,
  client: Endpoint,
  server: Endpoint,
  owners: { readonly client: Owner; readonly server: Owner },
): { readonly client: SimulatedConnection; readonly server: SimulatedConnection } {
  const { agenda, random, faults } = medium;
  const window = random.chance(faults.tightWindowRate) ? 256 + random.below(1024) : windowBytes;
  const link: Link = { bytesLeft: Number.POSITIVE_INFINITY, timer: undefined, isBroken: false };
  const ends = {
    client: new SimulatedConnection(medium, owners.client, link, client, server, window),
    server: new SimulatedConnection(medium, owners.server, link, server, client, window),
  };
  ends.client.meet(ends.server);
  ends.server.meet(ends.client);
  if (random.chance(faults.resetRate)) {
    // As often early as late.
    if (random.oneIn(2)) link.bytesLeft = random.below(2 ** (1 + random.below(17)));
    else link.timer = agenda.after(random.below(2 ** (1 + random.below(16))), () => ends.client.breakLink());
  }
  return ends;
}

/** One end of a simulated connection: the socket as its process sees it, and its kernel. */
export class SimulatedConnection implements Connection {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** How many of our bytes the peer had read when it wrote what was received last: what it could know. */
  peerHadReadBytes = 0;
  readonly #medium: Medium;
  readonly #owner: Owner;
  readonly #link: Link;
  readonly #windowBytes: number;
  #peer!: SimulatedConnection;
  #events = silent;
  /** The socket is no more; its `closed` may still be on its way. */
  #isGone = false;
  #isPaused = false;

  /** On their way to us, in order, from `#next` on. */
  #arrivals: Arrival[] = [];
  #next = 0;
  #lastArrivalMs = 0;
  #isExpecting = false;
  #readBytes = 0;
  #gotEnd = false;

  #handshake: { readonly state: SimulatedHandshake; readonly secured: (tls: TlsFacts) => void } | undefined;

  #unsent: Unsent[] = [];
  #unsentBytes = 0;
  #inFlightBytes = 0;
  #owesDrained = false;
  #endAsked = false;
  #endSent = false;

  constructor(
    medium: Medium,
    owner: Owner,
    link: Link,
    local: Endpoint,
    remote: Endpoint,
    windowBytes: number,
  ) {
    this.#medium = medium;
    this.#owner = owner;
    this.#link = link;
    this.#windowBytes = windowBytes;
    this.local = local;
    this.remote = remote;
    owner.ends.add(this);
    medium.openEnds += 1;
  }

  meet(peer: SimulatedConnection): void {
    this.#peer = peer;
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
  }

  /** The peer has ended or reset this connection or died, whether or not we can know it. */
  get isLetGo(): boolean {
    return this.#peer.#endAsked || this.#peer.#isGone;
  }

  unsentBytes(): number {
    return this.#unsentBytes;
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#isGone || this.#endAsked) return;
    let sizeBytes = 0;
    for (const chunk of chunks) sizeBytes += chunk.length;
    if (sizeBytes === 0) return;
    this.#unsent.push({ bytes: joined(chunks, sizeBytes), hadReadBytes: this.#readBytes });
    this.#unsentBytes += sizeBytes;
    this.#transmit();
    if (this.#unsentBytes > 0) this.#owesDrained = true;
  }

  startTls(_options: TlsClientOptions, secured: (tls: TlsFacts) => void): void {
    this.#handshake = { state: new SimulatedHandshake(serverHello), secured };
    this.write([clientHello]);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#expect();
  }

  end(): void {
    if (this.#isGone || this.#endAsked) return;
    this.#endAsked = true;
    this.#transmit();
  }

  reset(): void {
    if (this.#isGone) return;
    this.#resetPeer();
    this.#close(undefined);
  }

  /** Something breaks the connection: our side notices now. */
  fail(code: string): void {
    if (!this.#isGone) this.#close(code);
  }

  /** The way between the ends is gone for good; each notices in its own time. */
  breakLink(): void {
    const { agenda, random } = this.#medium;
    if (this.#link.isBroken || (this.#isGone && this.#peer.#isGone)) return;
    this.#medium.faultCount += 1;
    this.#link.isBroken = true;
    for (const end of [this, this.#peer]) {
      const code = random.pick(['ECONNRESET', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);
      agenda.after(this.#medium.transitMs(), () => end.fail(code));
    }
  }

  /** The owner gave up before it opened: nothing of it is heard any more. */
  abandon(): void {
    this.#events = silent;
    this.reset();
  }

  /** The owner died; see `SimulatedHost.crash`. */
  die(how: 'killed' | 'powerLoss'): void {
    if (this.#isGone) return;
    const { agenda, random } = this.#medium;
    this.#events = silent;
    const peer = this.#peer;
    if (how === 'powerLoss') {
      agenda.after(1_000 + random.below(600_000), () => peer.fail('ECONNRESET'));
    } else if (this.#next < this.#arrivals.length || this.#unsentBytes > 0 || random.oneIn(2)) {
      this.#resetPeer();
    } else if (!this.#endSent) this.#send('ended');
    this.#close(undefined);
  }

  /** The first thing a client hears. */
  sendOpened(opened: (connection: SimulatedConnection) => void): void {
    this.#send('opened', noBytes, 0, opened);
  }

  /** What waits may come: a partition healed. */
  unstall(): void {
    this.#expect();
  }

  /** Hands over to the wire what the window has room for, and the FIN behind all of it. */
  #transmit(): void {
    let room = this.#windowBytes - this.#inFlightBytes;
    // RFC 9293 3.8.6.2.1: no crumbs.
    if (room < this.#windowBytes / 2 && room < this.#unsentBytes) return;
    while (this.#unsentBytes > 0 && room > 0) {
      const first = this.#unsent[0]!;
      const sizeBytes = Math.min(room, first.bytes.length);
      this.#sendBytes(first.bytes.subarray(0, sizeBytes), first.hadReadBytes);
      if (sizeBytes === first.bytes.length) this.#unsent.shift();
      else first.bytes = first.bytes.subarray(sizeBytes);
      this.#unsentBytes -= sizeBytes;
      room -= sizeBytes;
    }
    if (this.#unsentBytes > 0) return;
    if (this.#owesDrained) {
      this.#owesDrained = false;
      this.#medium.agenda.after(0, () => {
        if (!this.#isGone && this.#unsentBytes === 0) this.#events.drained();
      });
    }
    if (!this.#endAsked || this.#endSent) return;
    this.#endSent = true;
    this.#send('ended');
    if (this.#gotEnd) this.#close(undefined);
  }

  #sendBytes(bytes: Uint8Array, hadReadBytes: number): void {
    const { random, faults } = this.#medium;
    this.#inFlightBytes += bytes.length;
    let from = 0;
    if (bytes.length > 1 && random.chance(faults.splitRate)) {
      this.#medium.faultCount += 1;
      for (let cuts = 1 + random.below(3); cuts > 0; cuts--) {
        // Line ends and closing dots are where a cut hurts: as often there as anywhere.
        const isLate = random.oneIn(2);
        const at = isLate ? bytes.length - 1 - random.below(6) : 1 + random.below(bytes.length - 1);
        if (at <= from) continue;
        this.#send('bytes', bytes.subarray(from, at), hadReadBytes);
        from = at;
      }
    }
    for (; bytes.length - from > readMaxBytes; from += readMaxBytes) {
      this.#send('bytes', bytes.subarray(from, from + readMaxBytes), hadReadBytes);
    }
    this.#send('bytes', from === 0 ? bytes : bytes.subarray(from), hadReadBytes);
  }

  #send(
    kind: Arrival['kind'],
    bytes: Uint8Array = noBytes,
    hadReadBytes = this.#readBytes,
    opened?: (connection: SimulatedConnection) => void,
  ): void {
    const medium = this.#medium;
    const peer = this.#peer;
    const transitMs = medium.transitMs();
    if (peer.#isGone) {
      // Nobody is there any more: the other kernel says so.
      if (!this.#isGone) medium.agenda.after(2 * transitMs, () => this.fail('ECONNRESET'));
      return;
    }
    const atMs = Math.max(peer.#lastArrivalMs, medium.agenda.nowMs + transitMs);
    peer.#lastArrivalMs = atMs;
    peer.#arrivals.push({ kind, atMs, hadReadBytes, bytes, opened });
    peer.#expect();
  }

  /** RST: behind what is under way, or past it. */
  #resetPeer(): void {
    const { agenda, random } = this.#medium;
    const peer = this.#peer;
    if (random.oneIn(2)) this.#send('reset');
    else agenda.after(this.#medium.transitMs(), () => peer.#resetArrived());
  }

  #resetArrived(): void {
    // A RST is sent once: a partition swallows it.
    if (!this.#medium.isPartitioned(this.remote.address, this.local.address)) this.fail('ECONNRESET');
  }

  /** One appointment at a time: for the next arrival. */
  #expect(): void {
    if (this.#isExpecting || this.#isPaused || this.#isGone || this.#next === this.#arrivals.length) return;
    this.#isExpecting = true;
    const { agenda } = this.#medium;
    agenda.after(this.#arrivals[this.#next]!.atMs - agenda.nowMs, this.#arrived);
  }

  readonly #arrived = (): void => {
    this.#isExpecting = false;
    const medium = this.#medium;
    if (this.#isGone || this.#isPaused || this.#link.isBroken) return;
    const arrival = this.#arrivals[this.#next]!;
    if (medium.isPartitioned(this.remote.address, this.local.address)) {
      this.#stall(arrival);
      return;
    }
    this.#next += 1;
    if (this.#next === this.#arrivals.length) {
      this.#arrivals = [];
      this.#next = 0;
    }
    this.peerHadReadBytes = arrival.hadReadBytes;
    if (arrival.kind === 'reset') this.fail('ECONNRESET');
    else if (arrival.kind === 'bytes') this.#receive(arrival.bytes);
    else if (arrival.kind === 'opened') {
      medium.witness('opened', this.local, this.remote, undefined);
      arrival.opened!(this);
    } else this.#ended();
    this.#expect();
  };

  #receive(arrived: Uint8Array): void {
    const { witness } = this.#medium;
    const link = this.#link;
    const bytes = arrived.length > link.bytesLeft ? arrived.subarray(0, link.bytesLeft) : arrived;
    if (bytes.length > 0) {
      this.#readBytes += bytes.length;
      witness('bytes', this.remote, this.local, bytes);
      this.#hand(bytes);
    }
    if (link.bytesLeft < Number.POSITIVE_INFINITY) {
      link.bytesLeft -= bytes.length;
      if (link.bytesLeft === 0) this.breakLink();
    }
    this.#peer.#acknowledged(arrived.length);
  }

  /** To the owner, what is not part of a handshake. */
  #hand(bytes: Uint8Array): void {
    const handshake = this.#handshake;
    if (handshake === undefined) {
      this.#events.received(bytes);
      return;
    }
    const taken = handshake.state.take(bytes);
    if (handshake.state.state === 'failed') {
      this.#resetPeer();
      this.fail('ERR_SSL_WRONG_VERSION_NUMBER');
    } else if (handshake.state.state === 'done') {
      this.#handshake = undefined;
      handshake.secured(simulatedTls);
      if (taken < bytes.length) this.#events.received(bytes.subarray(taken));
    }
  }

  #acknowledged(sizeBytes: number): void {
    this.#inFlightBytes -= sizeBytes;
    if (!this.#isGone && this.#unsentBytes > 0) this.#transmit();
  }

  #ended(): void {
    this.#gotEnd = true;
    this.#medium.witness('ended', this.remote, this.local, undefined);
    if (this.#handshake !== undefined) {
      this.fail('ECONNRESET');
      return;
    }
    this.#events.ended();
    if (this.#endSent && !this.#isGone) this.#close(undefined);
  }

  /** Held up by a partition, until it heals or the sender's kernel gives up. */
  #stall(arrival: Arrival): void {
    const { stalled, agenda } = this.#medium;
    if (arrival.kind === 'reset') {
      this.#next += 1;
      return;
    }
    if (stalled.has(this)) return;
    stalled.add(this);
    agenda.after(retransmitMs, () => {
      if (stalled.has(this) && this.#arrivals[this.#next] === arrival) this.#peer.fail('ETIMEDOUT');
    });
  }

  #close(error: string | undefined): void {
    const { agenda, stalled, witness } = this.#medium;
    this.#isGone = true;
    this.#medium.openEnds -= 1;
    this.#owner.ends.delete(this);
    stalled.delete(this);
    this.#link.timer?.cancel();
    this.#arrivals = [];
    this.#next = 0;
    this.#unsent = [];
    this.#unsentBytes = 0;
    agenda.after(0, () => {
      if (this.#events === silent) return;
      witness('closed', this.local, this.remote, undefined);
      this.#events.closed(error);
    });
  }
}

function joined(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
