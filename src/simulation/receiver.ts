import type { Endpoint } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import { contentHash, withoutTrace } from './mailContent.ts';
import type { ReceiverBehaviour } from './receiverBehaviour.ts';
import { ReceiverJudge } from './receiverJudge.ts';
import type { RecipientFate } from './receiverPolicy.ts';
import { plainReplies } from './receiverReplies.ts';
import { type ReceiverHouse, ReceiverSession } from './receiverSession.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedConnection } from './simulatedConnection.ts';
import type { SimulatedNet } from './simulatedNet.ts';

/** One recipient of one content that came whole. */
export interface ReceptionNote {
  readonly recipient: string;
  /** The reverse-path; '' is the null one. */
  readonly sender: string;
  /** Of the content without our Received field (`contentHash` of mailContent.ts). */
  readonly contentHash: string;
  /** All of what came from the null reverse-path: it may be a report. */
  readonly text: string;
  readonly clientAddress: string;
  readonly atMs: number;
  /** Number of the connection, an index of `connections`. */
  readonly connection: number;
  /** The receiver keeps it, whether or not it said so. */
  readonly isTaken: boolean;
  /** Its 250 has been written. */
  isAccepted: boolean;
  /** Octets of all replies on the connection up to the one to this content; Infinity: it has none. */
  replyEndBytes: number;
}

/** A reply that was written and concerns a recipient: to RCPT, a refused DATA, the final dot; a 421 at those. */
export interface VerdictNote {
  readonly recipient: string;
  readonly code: number;
  readonly stage: 'rcpt' | 'data' | 'dot';
  readonly atMs: number;
  readonly connection: number;
  /** Octets of all replies on the connection up to this one. */
  readonly replyEndBytes: number;
}

export interface ConnectionNote {
  readonly clientAddress: string;
  readonly clientPort: number;
  /** Local address of the receiver. */
  readonly address: string;
  readonly openedMs: number;
  /** The rest is known when it is closed. */
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
  /** Its clients are configured to send it nothing in the clear: who does breaks a promise. */
  readonly isTlsOnly?: boolean;
}

const decoder = new TextDecoder();

/** A modelled ISP and a judge: it notes what it got, and every step a client must not take. */
export class Receiver {
  readonly name: string;
  readonly at: readonly Endpoint[];
  /** One entry for each recipient of each content that came whole, in order. */
  readonly receptions: ReceptionNote[] = [];
  readonly verdicts: VerdictNote[] = [];
  readonly connections: ConnectionNote[] = [];
  /** The most connections each client address held at one time; what it has let go is not held. */
  readonly peaks = new Map<string, number>();
  readonly #setup: ReceiverSetup;
  readonly #house: ReceiverHouse & { behaviour: ReceiverBehaviour };
  readonly #open = new Set<ReceiverSession>();
  readonly #sessions: ReceiverSession[] = [];
  readonly #judge: ReceiverJudge;

  constructor(setup: ReceiverSetup) {
    const { name, addresses, port, agenda, random, behaviour, isTlsOnly = false } = setup;
    this.#setup = setup;
    this.name = name;
    this.at = addresses.map((address) => ({ address, port }));
    const judge = new ReceiverJudge(behaviour, plainReplies, random.u32());
    this.#judge = judge;
    this.#house = {
      agenda,
      random,
      behaviour,
      isTlsOnly,
      faultCount: 0,
      judgeConnection: ({ connection }) =>
        this.#noted(judge.connection(connection.remote.address, agenda.nowMs)),
      judgeMail: ({ connection, messages }) =>
        this.#noted(judge.mail(connection.remote.address, messages, agenda.nowMs)),
      judgeRecipient: ({ connection, sender = '' }, recipient) =>
        this.#noted(judge.rcpt(connection.remote.address, sender, recipient, agenda.nowMs)),
      judgeContent: ({ connection, recipients }) =>
        this.#noted(judge.content(connection.remote.address, recipients, [])),
      contentCame: (session, content, isTaken) => this.#contentCame(session, content, isTaken),
      told: (session, recipient, stage, code) => {
        const { number, sentBytes } = session;
        const note = { recipient, code, stage, atMs: agenda.nowMs, connection: number };
        this.verdicts.push({ ...note, replyEndBytes: sentBytes });
      },
      closed: (session) => this.#closed(session),
    };
  }

  get behaviour(): ReceiverBehaviour {
    return this.#house.behaviour;
  }

  /** May be replaced at any time; recipients that have met their fate keep it. */
  set behaviour(behaviour: ReceiverBehaviour) {
    this.#house.behaviour = behaviour;
    this.#judge.policy = behaviour;
  }

  /** Troubles, odd replies, limits and deferrals that have come about. */
  get faultCount(): number {
    return this.#house.faultCount;
  }

  /** What clients did against the protocol, each with its connection. */
  get violations(): readonly string[] {
    return this.#sessions.flatMap(({ number, conduct }) =>
      conduct.violations.map((what) => `${this.name} connection ${number}: ${what}`),
    );
  }

  /** Connections that clients hold open. */
  get held(): number {
    let held = 0;
    for (const { connection } of this.#open) if (!connection.isLetGo) held += 1;
    return held;
  }

  /** The same of one client address. */
  heldBy(clientAddress: string): number {
    let held = 0;
    for (const { connection } of this.#open) {
      if (!connection.isLetGo && connection.remote.address === clientAddress) held += 1;
    }
    return held;
  }

  /** Listens at all of its addresses. */
  async start(): Promise<void> {
    const { net, name, addresses } = this.#setup;
    const host = net.host(name, addresses);
    await Promise.all(this.at.map((at) => host.listen(at, (connection) => this.#accept(connection))));
  }

  /** The same each time, whatever else happens. */
  fateOf(recipient: string): RecipientFate {
    return this.#judge.fateOf(recipient);
  }

  #accept(connection: SimulatedConnection): ReceiverSession {
    const clientAddress = connection.remote.address;
    const number = this.connections.push({
      clientAddress,
      clientPort: connection.remote.port,
      address: connection.local.address,
      openedMs: this.#setup.agenda.nowMs,
      closedMs: undefined,
      heloName: '',
      messages: 0,
    });
    const session = new ReceiverSession(this.#house, connection, number - 1);
    this.#sessions.push(session);
    this.#open.add(session);
    const held = this.#heldBy(clientAddress);
    this.peaks.set(clientAddress, Math.max(held, this.peaks.get(clientAddress) ?? 0));
    session.start();
    return session;
  }

  #heldBy(clientAddress: string): number {
    let held = 0;
    for (const { connection } of this.#open) {
      if (connection.remote.address === clientAddress && !connection.isLetGo) held += 1;
    }
    return held;
  }

  #closed(session: ReceiverSession): void {
    this.#open.delete(session);
    this.#judge.closed(session.connection.remote.address);
    const note = this.connections[session.number]!;
    note.closedMs = this.#setup.agenda.nowMs;
    note.heloName = session.heloName;
    note.messages = session.messages;
  }

  /** Each refusal is a fault that has come about. */
  #noted<R>(refusal: R | undefined): R | undefined {
    if (refusal !== undefined) this.#house.faultCount += 1;
    return refusal;
  }

  #contentCame(session: ReceiverSession, content: Uint8Array, isTaken: boolean): (code: number) => void {
    const { connection, recipients, sender = '', number } = session;
    const clientAddress = connection.remote.address;
    const atMs = this.#setup.agenda.nowMs;
    const hash = contentHash(withoutTrace(content));
    const text = sender === '' ? decoder.decode(content) : '';
    if (isTaken) this.#judge.taken(clientAddress, atMs);
    const notes = recipients.map((recipient): ReceptionNote => {
      const known = { recipient, sender, contentHash: hash, text, clientAddress, atMs, connection: number };
      return { ...known, isTaken, isAccepted: false, replyEndBytes: Number.POSITIVE_INFINITY };
    });
    this.receptions.push(...notes);
    return (code) => {
      for (const one of notes) {
        one.isAccepted = code === 250;
        one.replyEndBytes = session.sentBytes;
      }
    };
  }
}
