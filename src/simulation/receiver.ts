import type { Endpoint } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { ReceiverBehaviour, RecipientFate } from './receiverBehaviour.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedNet } from './simulatedNet.ts';

/** One recipient of one content that came whole. */
export interface ReceptionNote {
  readonly recipient: string;
  /** Of the content without our Received field (`contentHash` of mailContent.ts). */
  readonly contentHash: string;
  readonly clientAddress: string;
  readonly atMs: number;
  /** Number of the connection, an index of `connections`. */
  readonly connection: number;
  /** The receiver keeps it: it did not refuse it, whether or not it said so. */
  readonly isTaken: boolean;
  /** Its 250 has been sent. */
  isAccepted: boolean;
}

/** A reply that was sent and concerns a recipient, at any stage: MAIL, RCPT, DATA, final dot, 421. */
export interface VerdictNote {
  readonly recipient: string;
  readonly code: number;
  readonly stage: 'mail' | 'rcpt' | 'data' | 'dot';
  readonly atMs: number;
  readonly connection: number;
}

export interface ConnectionNote {
  readonly clientAddress: string;
  readonly openedMs: number;
  closedMs: number | undefined;
  heloName: string;
  /** Contents taken. */
  messages: number;
}

export interface ReceiverSetup {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly net: SimulatedNet;
  readonly name: string;
  /** Its addresses, each with the same port. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly behaviour: ReceiverBehaviour;
}

/** A modelled ISP and a judge: it notes what it got, and every step a client must not take. */
export declare class Receiver {
  /** May be replaced at any time (fates stay). */
  behaviour: ReceiverBehaviour;
  /** Troubles, refusals and limits that have come about. */
  faultCount: number;
  readonly receptions: ReceptionNote[];
  readonly verdicts: VerdictNote[];
  readonly connections: ConnectionNote[];
  /** The most connections each client address held at one time; what it has let go is not held. */
  readonly peaks: ReadonlyMap<string, number>;
  /** What a client did against the protocol, in words. */
  readonly violations: string[];

  constructor(setup: ReceiverSetup);

  /** Listens; resolves through the agenda. */
  start(): Promise<void>;

  /** The same each time, whatever else happens. */
  fateOf(recipient: string): RecipientFate;

  /** Open connections that a client holds. */
  get held(): number;
  readonly at: readonly Endpoint[];
}
