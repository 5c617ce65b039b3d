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
import type { NetFaults } from './netFaults.ts';
import type { SeededRandom } from './seededRandom.ts';

/** Sees what happens on the wire, in order; for a hash over it. `bytes` are those that arrived. */
export type NetWitness = (
  what: 'opened' | 'bytes' | 'ended' | 'closed' | 'failed',
  from: Endpoint,
  to: Endpoint,
  bytes: Uint8Array | undefined,
) => void;

/**
 * TCP between simulated processes. Nothing happens inside a call: every event comes from the agenda, so
 * the code of two processes is never on one stack.
 */
export declare class SimulatedNet {
  /** May be replaced at any time; for connections that are open, it holds from the next segment on. */
  faults: NetFaults;
  /** Faults that have come about. */
  faultCount: number;

  constructor(agenda: Agenda, random: SeededRandom, witness?: NetWitness);

  /**
   * The network as one process sees it. `addresses` are those of its machine (canonical text, other
   * processes may have the same); to bind another one fails with EADDRNOTAVAIL. A process that crashed
   * keeps a dead handle: its successor gets one of its own.
   */
  host(name: string, addresses: readonly string[]): SimulatedHost;

  /** Nothing passes between the two addresses any more; what is under way waits, or times out. */
  partition(address: string, other: string): void;
  /** Ends every partition. */
  heal(): void;

  /** Sockets that are open or half open, counted at both ends. */
  get openEnds(): number;
}

export declare class SimulatedHost implements Net {
  readonly name: string;
  get isDead(): boolean;

  listen(at: Endpoint, accept: (connection: SimulatedConnection) => ConnectionEvents): Promise<Listening>;
  connect(
    options: ConnectOptions,
    opened: (connection: Connection) => void,
    events: ConnectionEvents,
  ): PendingConnection;

  /**
   * The process is gone: its listeners and connections with it, and none of its callbacks is called again.
   * `killed`: its kernel ends or resets its connections, as the seed decides. `powerLoss`: silence, and a
   * reset for whoever writes (or waits) after a while.
   */
  crash(how: 'killed' | 'powerLoss'): void;
}

/** What a judge may know beyond `Connection`. */
export interface SimulatedConnection extends Connection {
  /** How many of our bytes the peer had read when it wrote what was received last: what it could know. */
  readonly peerHadReadBytes: number;
  /** The peer has ended or reset this connection or died, whether or not we can know it. */
  readonly isLetGo: boolean;
}
