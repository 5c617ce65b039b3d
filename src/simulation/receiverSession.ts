import type { ConnectionEvents, Timer } from '../base/ports.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Agenda } from './agenda.ts';
import { ClientConduct } from './clientConduct.ts';
import { ContentIntake } from './mailContent.ts';
import type { ReceiverBehaviour, ReceiverStage, ReceiverTrouble } from './receiverBehaviour.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedConnection } from './simulatedConnection.ts';
import { clientHello, SimulatedHandshake, serverHello, tlsAlert } from './simulatedTls.ts';

/** What the receiver as a whole decides for one of its sessions. */
export interface ReceiverHouse {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly behaviour: ReceiverBehaviour;
  /** Its clients have been told to send it nothing in the clear. */
  readonly isTlsOnly: boolean;
  faultCount: number;
  /** A refusal instead of the greeting, or nothing. */
  judgeConnection(session: ReceiverSession): Reply | 'reset' | undefined;
  judgeMail(session: ReceiverSession): Reply | undefined;
  judgeRecipient(session: ReceiverSession, recipient: string): Reply | undefined;
  judgeContent(session: ReceiverSession): Reply | undefined;
  /** A content came whole. `isTaken`: it is kept. The function is called when the reply has been written. */
  contentCame(session: ReceiverSession, content: Uint8Array, isTaken: boolean): (code: number) => void;
  /** A reply that concerns a recipient was written. */
  told(session: ReceiverSession, recipient: string, stage: 'rcpt' | 'data' | 'dot', code: number): void;
  closed(session: ReceiverSession): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const lf = 10;
/** How long a connection that the receiver has ended may linger. */
const lingerMs = 30_000;

const plain = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, lines: [text] });
const ok = plain(250, '2.0.0', 'fine');
const closing = plain(421, '4.3.2', 'closing now');
const deferred = plain(451, '4.3.0', 'something is wrong here, try later');

interface Input {
  bytes: Uint8Array;
  readonly hadReadBytes: number;
}

/** One client at a receiver: an SMTP server of its own, which judges what it hears. */
export class ReceiverSession implements ConnectionEvents {
  readonly connection: SimulatedConnection;
  readonly conduct = new ClientConduct();
  /** Index of its note. */
  readonly number: number;
  heloName = '';
  sender: string | undefined;
  recipients: string[] = [];
  isSecure = false;
  /** Contents taken. */
  messages = 0;
  /** Octets of all replies written so far. */
  sentBytes = 0;
  readonly #house: ReceiverHouse;
  readonly #input: Input[] = [];
  /** The beginning of a line. */
  #line = '';
  #intake: ContentIntake | undefined;
  #handshake: SimulatedHandshake | undefined;
  /** Octets of the content after which there is trouble. */
  #troubleAfterBytes = Number.POSITIVE_INFINITY;
  #contentTrouble: ReceiverTrouble | undefined;
  /** `replying`: the next reply waits for its time. `silent`, `over`: there will be none, but it judges on. */
  #state: 'listening' | 'replying' | 'silent' | 'over' = 'listening';
  #clientEnded = false;
  #heardMs: number;
  #watch: Timer | undefined;

  constructor(house: ReceiverHouse, connection: SimulatedConnection, number: number) {
    this.#house = house;
    this.connection = connection;
    this.number = number;
    this.#heardMs = house.agenda.nowMs;
  }

  start(): void {
    this.#watchFor(this.#house.behaviour.idleMs);
    const refusal = this.#house.judgeConnection(this);
    if (refusal === 'reset') this.#leave('reset');
    else if (refusal !== undefined) this.#reply(refusal);
    else if (!this.#isTrouble('greeting')) this.#reply(plain(220, '', 'mx.test ESMTP'));
  }

  received(bytes: Uint8Array): void {
    this.#heardMs = this.#house.agenda.nowMs;
    this.#input.push({ bytes, hadReadBytes: this.connection.peerHadReadBytes });
    this.#goOn();
  }

  ended(): void {
    this.#clientEnded = true;
    if (this.#state === 'listening' || this.#state === 'silent') this.#leave('hangUp');
  }

  drained(): void {
    // Replies are short; nothing waits for room.
  }

  closed(): void {
    this.#state = 'over';
    this.#watch?.cancel();
    this.#house.closed(this);
  }

  #goOn(): void {
    while (this.#state !== 'replying' && this.#input.length > 0) {
      const first = this.#input[0]!;
      const taken = this.#take(first);
      if (taken === first.bytes.length) this.#input.shift();
      else first.bytes = first.bytes.subarray(taken);
    }
    if (this.#clientEnded && this.#state === 'listening') this.#leave('hangUp');
  }

  /** How many octets were taken. */
  #take(input: Input): number {
    if (this.#handshake !== undefined) return this.#takeHandshake(this.#handshake, input);
    return this.#intake === undefined ? this.#takeLine(input) : this.#takeContent(this.#intake, input);
  }

  #takeHandshake(handshake: SimulatedHandshake, { bytes, hadReadBytes }: Input): number {
    const taken = handshake.take(bytes);
    if (handshake.state === 'under way') return taken;
    this.#handshake = undefined;
    if (handshake.state === 'failed') this.conduct.say('says something else than a client hello');
    this.conduct.handshakeBegan(hadReadBytes);
    if (this.#state !== 'listening') return taken;
    const trouble = this.#drawTrouble('tls');
    if (trouble?.how === 'defer' || trouble?.how === 'close') {
      this.#house.faultCount += 1;
      this.connection.write([tlsAlert]);
      this.#leave('hangUp');
    } else if (trouble !== undefined) this.#makeTrouble(trouble, []);
    else {
      this.connection.write([serverHello]);
      this.sentBytes += serverHello.length;
      this.isSecure = true;
      this.heloName = '';
      this.conduct.replied(220, this.sentBytes);
    }
    return taken;
  }

  #takeLine({ bytes, hadReadBytes }: Input): number {
    const end = bytes.indexOf(lf) + 1;
    this.#line += decoder.decode(end === 0 ? bytes : bytes.subarray(0, end));
    if (end === 0) return bytes.length;
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) this.conduct.say(`a command ends in LF alone: ${line.trimEnd()}`);
    if (line.length > 1000) this.conduct.say(`a command of ${line.length} octets`);
    this.#obey(line.trimEnd(), hadReadBytes);
    return end;
  }

  #obey(line: string, hadReadBytes: number): void {
    this.conduct.command(line, hadReadBytes);
    if (this.#state !== 'listening') return;
    const verb = line.slice(0, 4).toUpperCase();
    const answer = ReceiverSession.#verbs.get(verb);
    if (answer === undefined) this.#reply(plain(500, '5.5.2', 'what?'));
    else answer(this, line);
  }

  static readonly #verbs: ReadonlyMap<string, (session: ReceiverSession, line: string) => void> = new Map([
    ['EHLO', (session, line) => session.#hello(line, session.#house.behaviour.extensions)],
    ['HELO', (session, line) => session.#hello(line, [])],
    ['STAR', (session) => session.#starttls()],
    ['MAIL', (session, line) => session.#mail(line)],
    ['RCPT', (session, line) => session.#rcpt(line)],
    ['DATA', (session) => session.#data()],
    ['RSET', (session) => session.#rset()],
    ['NOOP', (session) => session.#reply(ok)],
    [
      'QUIT',
      (session) => {
        if (!session.#isTrouble('quit')) session.#reply(plain(221, '2.0.0', 'bye'));
      },
    ],
  ]);

  #hello(line: string, extensions: readonly string[] | undefined): void {
    if (extensions === undefined) this.#reply(plain(502, '5.5.1', 'never heard of it'));
    else if (!this.#isTrouble('ehlo')) {
      this.heloName = line.slice(5);
      this.#forget();
      this.#reply(plain(250, '', 'mx.test'), this.isSecure ? extensions.filter(isNotStarttls) : extensions);
    }
  }

  #starttls(): void {
    const { behaviour } = this.#house;
    const isOffered = !this.isSecure && behaviour.extensions?.includes('STARTTLS');
    if (!isOffered) this.#reply(plain(502, '5.5.1', 'not here'));
    else if (!this.#isTrouble('starttls')) {
      this.#handshake = new SimulatedHandshake(clientHello);
      this.#reply(plain(220, '2.0.0', 'go ahead'));
    }
  }

  /** As if somebody in between had written it: the client must not take it for an answer inside TLS. */
  #inject(): void {
    const bytes = encoder.encode('220 2.0.0 go ahead\r\n250 2.0.0 injected\r\n');
    this.#handshake = new SimulatedHandshake(clientHello);
    this.connection.write([bytes]);
    this.sentBytes += bytes.length;
    this.conduct.replied(220, this.sentBytes);
    this.#state = 'silent';
  }

  #mail(line: string): void {
    if (this.heloName === '' || this.sender !== undefined) this.#reply(plain(503, '5.5.1', 'not now'));
    else if (!this.#isTrouble('mail')) {
      if (this.#house.isTlsOnly && !this.isSecure) this.conduct.say('MAIL in the clear');
      const refusal = this.#house.judgeMail(this);
      if (refusal === undefined) this.sender = pathOf(line);
      this.#reply(refusal ?? plain(250, '2.1.0', 'sender fine'));
    }
  }

  #rcpt(line: string): void {
    const recipient = pathOf(line);
    if (this.sender === undefined) this.#reply(plain(503, '5.5.1', 'no sender'));
    else if (!this.#isTrouble('rcpt', [recipient])) {
      const refusal = this.#house.judgeRecipient(this, recipient);
      if (refusal === undefined) this.recipients.push(recipient);
      this.#reply(refusal ?? plain(250, '2.1.5', 'recipient fine'), undefined, (code) =>
        this.#house.told(this, recipient, 'rcpt', code),
      );
    }
  }

  #data(): void {
    if (this.recipients.length === 0) this.#reply(plain(554, '5.5.1', 'for whom?'));
    else if (!this.#isTrouble('data', this.recipients)) {
      this.#intake = new ContentIntake();
      this.#expectContent();
      this.#reply(plain(354, '', 'go on'));
    }
  }

  #rset(): void {
    if (this.#isTrouble('rset')) return;
    this.#forget();
    this.#reply(ok);
  }

  #forget(): void {
    this.sender = undefined;
    this.recipients = [];
  }

  /** Draws what will go wrong with the next content. */
  #expectContent(): void {
    const { random, behaviour, agenda } = this.#house;
    const trouble = this.#drawTrouble('content');
    // Nothing but 421 may be said before the client has finished (RFC 5321 section 3.8).
    this.#contentTrouble = trouble?.how === 'defer' ? { ...trouble, how: 'close' } : trouble;
    this.#troubleAfterBytes =
      this.#contentTrouble === undefined
        ? Number.POSITIVE_INFINITY
        : random.below(2 ** (1 + random.below(16)));
    if (!random.chance(behaviour.stallRate)) return;
    this.#house.faultCount += 1;
    this.connection.pause();
    agenda.after(random.below(behaviour.stallMs + 1), () => this.connection.resume());
  }

  #takeContent(intake: ContentIntake, { bytes, hadReadBytes }: Input): number {
    if (this.#state !== 'listening') return bytes.length;
    if (intake.content.length === 0) this.conduct.contentBegan(hadReadBytes);
    const taken = intake.take(bytes, 0);
    if (!intake.isComplete && intake.content.length > this.#troubleAfterBytes) {
      this.#makeTrouble(this.#contentTrouble!, this.recipients, 'data');
    } else if (intake.isComplete) {
      this.#intake = undefined;
      this.#contentCame(intake);
    }
    return taken;
  }

  #contentCame({ content, bareLineEnds }: ContentIntake): void {
    this.conduct.contentEnded();
    if (bareLineEnds > 0) this.conduct.say(`${bareLineEnds} bare CR or LF in a content`);
    const refusal = this.#house.judgeContent(this);
    const trouble =
      this.#drawTrouble('dot') ?? (refusal === undefined ? this.#drawTrouble('taken') : undefined);
    const isSaidNo = trouble?.how === 'close' || trouble?.how === 'defer';
    const isTaken = refusal === undefined && trouble?.at !== 'dot' && !isSaidNo;
    if (isTaken) this.messages += 1;
    const { recipients } = this;
    const answered = this.#house.contentCame(this, content, isTaken);
    this.#forget();
    if (trouble !== undefined) this.#makeTrouble(trouble, recipients, 'dot');
    else {
      this.#reply(refusal ?? plain(250, '2.0.0', 'taken'), undefined, (code) => {
        answered(code);
        for (const recipient of recipients) this.#house.told(this, recipient, 'dot', code);
      });
    }
  }

  /** Trouble at this stage; `recipients` are those it concerns. False: there is none. */
  #isTrouble(at: ReceiverStage, recipients: readonly string[] = []): boolean {
    const trouble = this.#drawTrouble(at);
    if (trouble === undefined) return false;
    this.#makeTrouble(trouble, recipients, at === 'rcpt' || at === 'data' ? at : undefined);
    return true;
  }

  #drawTrouble(stage: ReceiverStage): ReceiverTrouble | undefined {
    const { random, behaviour } = this.#house;
    for (const trouble of behaviour.troubles) {
      if (trouble.at === stage && random.chance(trouble.rate)) return trouble;
    }
    return undefined;
  }

  #makeTrouble(
    { how }: ReceiverTrouble,
    recipients: readonly string[],
    stage?: 'rcpt' | 'data' | 'dot',
  ): void {
    this.#house.faultCount += 1;
    if (how === 'silence') this.#state = 'silent';
    else if (how === 'inject') this.#inject();
    else if (how === 'hangUp' || how === 'reset') this.#leave(how);
    else {
      this.#reply(how === 'close' ? closing : deferred, undefined, (code) => {
        if (stage === undefined) return;
        for (const recipient of recipients) this.#house.told(this, recipient, stage, code);
      });
    }
  }

  /** Writes the reply, now or after the tarpit; 421, 221 and refusals of the connection end it. */
  #reply(reply: Reply, keywords?: readonly string[], written?: (code: number) => void): void {
    const { agenda, random, behaviour } = this.#house;
    const text = this.#dressed(reply, keywords);
    const send = (): void => {
      if (this.#state === 'over') return;
      this.#state = 'listening';
      const bytes = encoder.encode(text);
      this.connection.write([bytes]);
      this.sentBytes += bytes.length;
      this.conduct.replied(reply.code, this.sentBytes, keywords?.map(keywordOf));
      written?.(reply.code);
      if (reply.code === 421 || reply.code === 221) this.#leave('hangUp');
    };
    if (behaviour.tarpitMs === 0) {
      send();
      return;
    }
    this.#state = 'replying';
    agenda.after(random.below(behaviour.tarpitMs + 1), () => {
      send();
      this.#goOn();
    });
  }

  #dressed({ code, enhanced: status, lines: [text = ''] }: Reply, keywords: readonly string[] = []): string {
    const { random, behaviour } = this.#house;
    const full = status === '' ? text : `${status} ${text}`;
    if (keywords.length > 0) return lines(code, [full, ...keywords]);
    if (!random.chance(behaviour.oddReplyRate)) return lines(code, [full]);
    this.#house.faultCount += 1;
    return random.pick([
      lines(code, [full, `${status} more about it`.trimStart(), full]),
      lines(code, [text]),
      `${code}\r\n`,
      lines(code, [`${full} <>"\\ ${'x'.repeat(400)}`]),
    ]);
  }

  #leave(how: 'hangUp' | 'reset'): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    if (how === 'reset') this.connection.reset();
    else this.connection.end();
    this.#watch?.cancel();
    this.#watch = this.#house.agenda.after(lingerMs, () => this.connection.reset());
  }

  /** One appointment a connection, which looks whether anything was heard since. */
  #watchFor(delayMs: number): void {
    const { agenda, behaviour } = this.#house;
    this.#watch = agenda.after(delayMs, () => {
      const quietMs = agenda.nowMs - this.#heardMs;
      if (quietMs < behaviour.idleMs) this.#watchFor(behaviour.idleMs - quietMs);
      else if (this.#state === 'listening' && this.#intake === undefined) this.#reply(closing);
      else this.#leave('reset');
    });
  }
}

function lines(code: number, texts: readonly string[]): string {
  return texts.map((text, i) => `${code}${i === texts.length - 1 ? ' ' : '-'}${text}\r\n`).join('');
}

const isNotStarttls = (keyword: string): boolean => keyword !== 'STARTTLS';

function pathOf(line: string): string {
  return /<(.*?)>/.exec(line)?.[1] ?? '';
}

function keywordOf(text: string): string {
  return text.split(' ')[0]!.toUpperCase();
}
