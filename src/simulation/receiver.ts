import type { Endpoint } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import { contentHash, withoutTrace } from './mailContent.ts';
import type { ReceiverBehaviour, RecipientFate } from './receiverBehaviour.ts';
import { type PlainReply, type ReceiverHouse, ReceiverSession } from './receiverSession.ts';
import { SeededRandom } from './seededRandom.ts';
import type { SimulatedConnection } from './simulatedConnection.ts';
import type { SimulatedNet } from './simulatedNet.ts';

/** One recipient of one content that came whole. */
export interface ReceptionNote {
  readonly recipient: string;
  /** The reverse-path; '' is the null one. */
  readonly sender: string;
  /** Of the content without our Received field (`contentHash` of mailContent.ts). */
  readonly contentHash: string;
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
}

interface Escalation {
  readonly untilMs: number;
  readonly blockMs: number;
}

const escalationsMax = 64;

const replies = {
  tooMany: { code: 421, status: '4.7.0', text: 'too many connections from you' },
  blocked: { code: 421, status: '4.7.0', text: 'you were told to go away' },
  enough: { code: 421, status: '4.7.0', text: 'enough messages for one connection' },
  tooFast: { code: 451, status: '4.7.1', text: 'you send too fast' },
  greylisted: { code: 450, status: '4.2.0', text: 'greylisted' },
  unknown: { code: 550, status: '5.1.1', text: 'no such user here' },
  later: { code: 450, status: '4.2.1', text: 'mailbox busy' },
  spam: { code: 554, status: '5.7.1', text: 'we do not like this message' },
  laterAtDot: { code: 452, status: '4.3.1', text: 'cannot take this message now' },
} satisfies Record<string, PlainReply>;

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
  readonly #seed: number;
  readonly #fates = new Map<string, RecipientFate>();
  readonly #deferrals = new Map<string, number>();
  readonly #greylist = new Map<string, number>();
  /** When contents were taken, by client address; only what is inside the window. */
  readonly #recent = new Map<string, number[]>();
  readonly #escalations = new Map<string, Escalation>();

  constructor(setup: ReceiverSetup) {
    const { name, addresses, port, agenda, random, behaviour } = setup;
    this.#setup = setup;
    this.name = name;
    this.at = addresses.map((address) => ({ address, port }));
    this.#seed = random.u32();
    this.#house = {
      agenda,
      random,
      behaviour,
      faultCount: 0,
      judgeConnection: (session) => this.#judgeConnection(session),
      judgeMail: (session) => this.#judgeMail(session),
      judgeRecipient: (session, recipient) => this.#judgeRecipient(session, recipient),
      judgeContent: (session) => this.#judgeContent(session),
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

  /** Listens at all of its addresses. */
  async start(): Promise<void> {
    const { net, name, addresses } = this.#setup;
    const host = net.host(name, addresses);
    await Promise.all(this.at.map((at) => host.listen(at, (connection) => this.#accept(connection))));
  }

  /** The same each time, whatever else happens. */
  fateOf(recipient: string): RecipientFate {
    let fate = this.#fates.get(recipient);
    if (fate === undefined) {
      fate = drawFate(new SeededRandom(this.#seed ^ hashOf(recipient)), this.behaviour);
      this.#fates.set(recipient, fate);
    }
    return fate;
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
    const held = this.#count(clientAddress, (one) => !one.connection.isLetGo);
    this.peaks.set(clientAddress, Math.max(held, this.peaks.get(clientAddress) ?? 0));
    session.start();
    return session;
  }

  #count(clientAddress: string, which: (session: ReceiverSession) => boolean): number {
    let count = 0;
    for (const session of this.#open) {
      if (session.connection.remote.address === clientAddress && which(session)) count += 1;
    }
    return count;
  }

  #closed(session: ReceiverSession): void {
    this.#open.delete(session);
    const note = this.connections[session.number]!;
    note.closedMs = this.#setup.agenda.nowMs;
    note.heloName = session.heloName;
    note.messages = session.messages;
  }

  #judgeConnection({ connection }: ReceiverSession): PlainReply | 'reset' | undefined {
    const { address } = connection.remote;
    const { maxConnections, overConnections } = this.behaviour;
    const escalation = this.#escalations.get(address);
    if (escalation !== undefined && this.#setup.agenda.nowMs < escalation.untilMs) {
      return this.#turnAway(address, replies.blocked);
    }
    if (maxConnections === 0 || this.#count(address, () => true) <= maxConnections) return undefined;
    if (overConnections === 'close') return this.#turnAway(address, replies.tooMany);
    this.#house.faultCount += 1;
    return 'reset';
  }

  /** A 421: the next connections of that address get one, too, for a while. */
  #turnAway(address: string, reply: PlainReply): PlainReply {
    const { escalationMs } = this.behaviour;
    const { nowMs } = this.#setup.agenda;
    this.#house.faultCount += 1;
    if (escalationMs > 0) {
      const before = this.#escalations.get(address);
      const isAgain = before !== undefined && nowMs < before.untilMs;
      const blockMs = isAgain ? Math.min(2 * before.blockMs, escalationsMax * escalationMs) : escalationMs;
      this.#escalations.set(address, { untilMs: nowMs + blockMs, blockMs });
    }
    return reply;
  }

  #judgeMail({ connection, messages }: ReceiverSession): PlainReply | undefined {
    const { address } = connection.remote;
    const { maxMessagesPerConnection, rateMessages, rateWindowMs } = this.behaviour;
    if (maxMessagesPerConnection > 0 && messages >= maxMessagesPerConnection) {
      return this.#turnAway(address, replies.enough);
    }
    if (rateMessages === 0) return undefined;
    const sinceMs = this.#setup.agenda.nowMs - rateWindowMs;
    const recent = (this.#recent.get(address) ?? []).filter((atMs) => atMs > sinceMs);
    this.#recent.set(address, recent);
    return recent.length < rateMessages ? undefined : this.#fault(replies.tooFast);
  }

  #judgeRecipient({ connection, sender }: ReceiverSession, recipient: string): PlainReply | undefined {
    const { greylistMs } = this.behaviour;
    if (greylistMs > 0) {
      const { nowMs } = this.#setup.agenda;
      const key = `${connection.remote.address} ${sender} ${recipient}`;
      const firstMs = this.#greylist.get(key) ?? nowMs;
      this.#greylist.set(key, firstMs);
      if (nowMs < firstMs + greylistMs) return this.#fault(replies.greylisted);
    }
    const fate = this.fateOf(recipient);
    if (fate.kind === 'accept' || fate.at === 'dot') return undefined;
    if (fate.kind === 'refuse') return this.#fault(replies.unknown);
    return this.#isDeferred(recipient, fate.times) ? this.#fault(replies.later) : undefined;
  }

  /** One verdict for all recipients of the content (RFC 5321 section 4.2.5): the worst. */
  #judgeContent({ recipients }: ReceiverSession): PlainReply | undefined {
    let verdict: PlainReply | undefined;
    for (const recipient of recipients) {
      const fate = this.fateOf(recipient);
      if (fate.kind === 'accept' || fate.at === 'rcpt') continue;
      if (fate.kind === 'refuse') verdict = replies.spam;
      else if (this.#isDeferred(recipient, fate.times)) verdict ??= replies.laterAtDot;
    }
    return verdict === undefined ? undefined : this.#fault(verdict);
  }

  #isDeferred(recipient: string, times: number): boolean {
    const before = this.#deferrals.get(recipient) ?? 0;
    if (before < times) this.#deferrals.set(recipient, before + 1);
    return before < times;
  }

  #fault(reply: PlainReply): PlainReply {
    this.#house.faultCount += 1;
    return reply;
  }

  #contentCame(session: ReceiverSession, content: Uint8Array, isTaken: boolean): (code: number) => void {
    const { connection, recipients, sender = '', number } = session;
    const clientAddress = connection.remote.address;
    const atMs = this.#setup.agenda.nowMs;
    const hash = contentHash(withoutTrace(content));
    if (isTaken && this.behaviour.rateMessages > 0) {
      const recent = this.#recent.get(clientAddress);
      if (recent === undefined) this.#recent.set(clientAddress, [atMs]);
      else recent.push(atMs);
    }
    const notes = recipients.map((recipient): ReceptionNote => {
      const known = { recipient, sender, contentHash: hash, clientAddress, atMs, connection: number };
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

function drawFate(random: SeededRandom, behaviour: ReceiverBehaviour): RecipientFate {
  const { refuseRate, deferRate, deferTimes, atDotRate } = behaviour;
  const at = random.chance(atDotRate) ? 'dot' : 'rcpt';
  if (random.chance(refuseRate)) return { kind: 'refuse', at };
  if (random.chance(deferRate)) return { kind: 'defer', at, times: 1 + random.below(deferTimes) };
  return { kind: 'accept' };
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
