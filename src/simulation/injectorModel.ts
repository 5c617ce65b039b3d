import type { Endpoint } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedNet } from './simulatedNet.ts';

/** Chances from 0 to 1, per message. */
export interface InjectorBehaviour {
  /** Sends the envelope in one write, as PIPELINING allows. */
  readonly pipelineRate: number;
  /** Goes away in the middle of the content. */
  readonly abortRate: number;
  /** Resets or ends right behind the final dot and reads no reply. */
  readonly vanishRate: number;
  /** FIN behind the final dot, and waits for the reply. */
  readonly halfCloseRate: number;
  /** RSET after the recipients, then another message. */
  readonly resetRate: number;
  /** Another message on the same connection. */
  readonly reuseRate: number;
  /** Content beyond 1 MiB. */
  readonly largeRate: number;
  /** BDAT instead of DATA. */
  readonly chunkingRate: number;
}

/** One recipient of one submission. */
export interface SubmissionNote {
  readonly recipient: string;
  readonly sender: string;
  /** Number of the submission: recipients of one message share it. */
  readonly message: number;
  /** `contentHash` of mailContent.ts. */
  readonly contentHash: string;
  readonly sizeBytes: number;
  readonly clientAddress: string;
  /**
   * `stored`: 250 to the final dot was read. `unanswered`: the final dot was written, no reply was read.
   * `refused`: any other reply, or the client never wrote its final dot: nobody may deliver it.
   */
  readonly told: 'stored' | 'refused' | 'unanswered';
  /** When the final dot was written; undefined: never. */
  readonly dotMs: number | undefined;
  /** When the outcome was known. */
  readonly toldMs: number;
}

export interface InjectorSetup {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly net: SimulatedNet;
  /** Where the engine listens. */
  readonly to: Endpoint;
  /** Of the injector's machine; connections use them in turn. */
  readonly addresses: readonly string[];
  /** Recipient domains, drawn by the seed. */
  readonly domains: readonly string[];
  /** Makes addresses unlike those of another injector. */
  readonly mark: string;
  /** How many are to be stored; what was not is submitted again, with other recipients. */
  readonly messages: number;
  /** Connections at one time. */
  readonly connections: number;
  readonly maxRecipients: number;
  /** Between two messages of a connection: from 0 to this. */
  readonly pauseMs: number;
  readonly behaviour: InjectorBehaviour;
}

/** Clients that submit mail, remember what they were told, and come back when the engine was down. */
export declare class InjectorModel {
  behaviour: InjectorBehaviour;
  readonly submissions: SubmissionNote[];
  /** Messages of which the client knows that they are stored. */
  stored: number;
  /** Deliberate aborts and the like that have come about. */
  faultCount: number;

  constructor(setup: InjectorSetup);

  start(): void;
  /** No message begins any more; those under way are finished. */
  stop(): void;
  /** All are stored, or it was stopped; no connection is open. */
  get isDone(): boolean;
}

export declare const politeInjector: InjectorBehaviour;
