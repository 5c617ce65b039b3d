import type { Connection, ConnectionEvents } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { InjectorBehaviour } from './injectorBehaviour.ts';
import { dotStuffed } from './mailContent.ts';
import type { MailDraft } from './mailDraft.ts';
import type { SeededRandom } from './seededRandom.ts';

export type Told = 'stored' | 'refused' | 'unanswered';

/** What one connection of an injector needs of it. */
export interface InjectorHouse {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly behaviour: InjectorBehaviour;
  readonly pauseMs: number;
  faultCount: number;
  /** The next message; undefined: there is none now. */
  take(): MailDraft | undefined;
  /** What became of `recipients` of a draft. `dotMs`: when its end was written. */
  told(
    client: InjectorClient,
    draft: MailDraft,
    recipients: readonly string[],
    told: Told,
    dotMs: number | undefined,
  ): void;
  /** A draft that was taken is done with. */
  finished(isStored: boolean): void;
  /** The server did what no server may do. */
  violation(what: string): void;
}

/** How a message is going to be submitted. */
interface Mood {
  readonly isPipelined: boolean;
  readonly isChunked: boolean;
  readonly end: 'reply' | 'abort' | 'vanish' | 'halfClose' | 'rset';
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** RFC 5321 section 4.5.3.2 asks for ten minutes at the most. */
const patienceMs = 600_000;
/** How long a connection that was ended may linger. */
const lingerMs = 30_000;

/** One connection of a modelled client: an SMTP client of its own. */
export class InjectorClient implements ConnectionEvents {
  readonly address: string;
  /** It got a 250 for a message. */
  wasUseful = false;
  readonly #house: InjectorHouse;
  readonly #over: () => void;
  #connection: Connection | undefined;
  #line = '';
  /** Codes of the replies awaited, and what comes then. */
  #codes: number[] = [];
  #awaited = 0;
  #then: (codes: readonly number[]) => void = () => undefined;
  #canChunk = false;
  #draft: MailDraft | undefined;
  #accepted: readonly string[] = [];
  #dotMs: number | undefined;
  #isHalfClosed = false;
  #state: 'open' | 'leaving' | 'over' = 'open';
  #actedMs: number;
  /** Rises with each step, so that what was appointed before it does not happen. */
  #step = 0;

  /** `over` is called once, when the connection is gone. */
  constructor(house: InjectorHouse, address: string, over: () => void) {
    this.#house = house;
    this.address = address;
    this.#over = over;
    this.#actedMs = house.agenda.nowMs;
    this.#expect(1, ([code]) => (code === 220 ? this.#hello() : this.#quit()));
    this.#watchFor(patienceMs);
  }

  opened(connection: Connection): void {
    this.#connection = connection;
  }

  received(bytes: Uint8Array): void {
    if (this.#state === 'over') return;
    this.#actedMs = this.#house.agenda.nowMs;
    this.#line += decoder.decode(bytes);
    for (let end = this.#line.indexOf('\n'); end >= 0; end = this.#line.indexOf('\n')) {
      const line = this.#line.slice(0, end + 1);
      this.#line = this.#line.slice(end + 1);
      const [, code, more] = /^(\d{3})(?:([ -]).*)?\r\n$/.exec(line) ?? [];
      if (code === undefined) this.#house.violation(`a reply that is none: ${line.trimEnd()}`);
      else {
        if (/^250[ -]CHUNKING\r\n$/.test(line)) this.#canChunk = true;
        if (more !== '-') this.#replied(Number(code));
      }
    }
  }

  ended(): void {
    // Nobody answers any more.
    this.#leave();
  }

  drained(): void {
    // Contents are small beside a simulated window; nothing waits for room.
  }

  closed(): void {
    if (this.#state === 'over') return;
    this.#settle('unanswered');
    this.#state = 'over';
    this.#step += 1;
    this.#over();
  }

  #replied(code: number): void {
    if (code === 421) {
      this.#settle('refused');
      this.#leave();
      return;
    }
    if (this.#state !== 'open') return;
    if (this.#awaited === 0) {
      // A refusal may come before the content is complete; a yes may not.
      if (code < 400) this.#house.violation(`${code} to nothing`);
      else this.#settle('refused');
      this.#leave();
      return;
    }
    this.#codes.push(code);
    if (this.#codes.length < this.#awaited) return;
    this.#awaited = 0;
    this.#then(this.#codes);
  }

  #expect(count: number, then: (codes: readonly number[]) => void): void {
    this.#codes = [];
    this.#awaited = count;
    this.#then = then;
  }

  #write(bytes: Uint8Array | string): void {
    if (this.#state !== 'open') return;
    this.#actedMs = this.#house.agenda.nowMs;
    this.#connection!.write([typeof bytes === 'string' ? encoder.encode(bytes) : bytes]);
  }

  #ask(text: string, count: number, then: (codes: readonly number[]) => void): void {
    this.#expect(count, then);
    this.#write(text);
  }

  #hello(): void {
    this.#ask('EHLO injector.test\r\n', 1, ([code]) => (code === 250 ? this.#next() : this.#quit()));
  }

  #next(): void {
    const draft = this.#house.take();
    if (draft === undefined) {
      this.#quit();
      return;
    }
    this.#draft = draft;
    this.#accepted = draft.recipients;
    this.#dotMs = undefined;
    const mood = this.#mood();
    const commands = [
      `MAIL FROM:<${draft.sender}>\r\n`,
      ...draft.recipients.map((recipient) => `RCPT TO:<${recipient}>\r\n`),
    ];
    if (!mood.isChunked && mood.end !== 'rset') commands.push('DATA\r\n');
    if (mood.isPipelined) {
      this.#ask(commands.join(''), commands.length, (codes) => this.#judge(draft, mood, codes));
    } else this.#oneByOne(commands, [], (codes) => this.#judge(draft, mood, codes));
  }

  #mood(): Mood {
    const { random, behaviour } = this.#house;
    const ends = [
      ['abort', behaviour.abortRate],
      ['vanish', behaviour.vanishRate],
      ['halfClose', behaviour.halfCloseRate],
      ['rset', behaviour.resetRate],
    ] as const;
    const end = ends.find(([, rate]) => random.chance(rate))?.[0] ?? 'reply';
    if (end !== 'reply') this.#house.faultCount += 1;
    return {
      isPipelined: random.chance(behaviour.pipelineRate),
      isChunked: this.#canChunk && random.chance(behaviour.chunkingRate),
      end,
    };
  }

  /** Lock step; ends early where going on makes no sense. */
  #oneByOne(
    commands: readonly string[],
    codes: readonly number[],
    then: (codes: readonly number[]) => void,
  ): void {
    const [command, ...rest] = commands;
    const isFutile =
      codes[0]! >= 400 || (command === 'DATA\r\n' && !codes.slice(1).some((code) => code < 300));
    if (command === undefined || isFutile) then(codes);
    else this.#ask(command, 1, ([code]) => this.#oneByOne(rest, [...codes, code!], then));
  }

  /** The envelope was answered. */
  #judge(draft: MailDraft, mood: Mood, codes: readonly number[]): void {
    const isAccepted = (_: string, i: number): boolean => codes[0] === 250 && codes[i + 1] === 250;
    this.#accepted = draft.recipients.filter(isAccepted);
    const refused = draft.recipients.filter((recipient, i) => !isAccepted(recipient, i));
    if (refused.length > 0) this.#house.told(this, draft, refused, 'refused', undefined);
    const dataCode = codes[draft.recipients.length + 1];
    if (dataCode === 354) {
      if (this.#accepted.length === 0) this.#house.violation('354 without a recipient');
      this.#send(dotStuffed(draft.content), mood);
    } else if (mood.isChunked && mood.end !== 'rset' && this.#accepted.length > 0) {
      this.#sendChunks(draft.content, mood);
    } else {
      this.#settle('refused');
      this.#ask('RSET\r\n', 1, () => this.#pause());
    }
  }

  /** RFC 3030: as one chunk or two. */
  #sendChunks(content: Uint8Array, mood: Mood): void {
    const { random } = this.#house;
    const cut = random.oneIn(2) ? 0 : random.below(content.length + 1);
    const last = content.subarray(cut);
    const sendLast = (): void =>
      this.#send(joined(encoder.encode(`BDAT ${last.length} LAST\r\n`), last), mood);
    if (cut === 0) {
      sendLast();
      return;
    }
    this.#expect(1, ([code]) => {
      if (code === 250) sendLast();
      else {
        this.#settle('refused');
        this.#ask('RSET\r\n', 1, () => this.#pause());
      }
    });
    this.#write(joined(encoder.encode(`BDAT ${cut}\r\n`), content.subarray(0, cut)));
  }

  /** The content, its end included, in one write or in some with pauses between. */
  #send(wire: Uint8Array, mood: Mood): void {
    const { random } = this.#house;
    const isAborted = mood.end === 'abort';
    const upTo = isAborted ? random.below(wire.length) : wire.length;
    const cuts = random.oneIn(4) ? Array.from({ length: 2 }, () => random.below(upTo)) : [];
    const ends = [...cuts.sort((a, b) => a - b), upTo];
    this.#sendParts(wire, 0, ends, () => {
      if (isAborted) this.#abort();
      else this.#finish(mood);
    });
  }

  #sendParts(wire: Uint8Array, from: number, ends: readonly number[], sent: () => void): void {
    const [end, ...rest] = ends;
    // Told before it is written: what arrives has been sent.
    if (rest.length === 0) {
      if (end === wire.length) {
        this.#dotMs = this.#house.agenda.nowMs;
        this.#expect(1, ([code]) => this.#answered(code!));
      }
      this.#write(wire.subarray(from, end));
      sent();
      return;
    }
    this.#write(wire.subarray(from, end));
    this.#later(this.#house.random.below(2_000), () => this.#sendParts(wire, end!, rest, sent));
  }

  #abort(): void {
    const { random } = this.#house;
    this.#later(random.below(1_000), () => {
      this.#settle('refused');
      if (random.oneIn(2)) this.#connection!.reset();
      this.#leave();
    });
  }

  #finish({ end }: Mood): void {
    const { random } = this.#house;
    if (end === 'halfClose') {
      this.#isHalfClosed = true;
      this.#connection!.end();
    } else if (end === 'vanish') {
      const delayMs = random.oneIn(2) ? 0 : random.below(500);
      this.#later(delayMs, () => {
        this.#settle('unanswered');
        this.#connection!.reset();
      });
    }
  }

  /** The reply to the content. */
  #answered(code: number): void {
    this.#settle(code === 250 ? 'stored' : 'refused');
    if (code === 250) this.wasUseful = true;
    this.#pause();
  }

  /** Notes what became of the message in hand. */
  #settle(told: Told): void {
    const draft = this.#draft;
    if (draft === undefined) return;
    this.#draft = undefined;
    // Without its end nobody has the message, whatever was heard of it.
    const known = this.#dotMs === undefined ? 'refused' : told;
    this.#house.told(this, draft, this.#accepted, known, this.#dotMs);
    this.#house.finished(known === 'stored');
  }

  #pause(): void {
    if (this.#isHalfClosed) {
      this.#leave();
      return;
    }
    const { random, behaviour, pauseMs } = this.#house;
    const isReused = random.chance(behaviour.reuseRate);
    this.#later(random.below(pauseMs + 1), () => (isReused ? this.#next() : this.#quit()));
  }

  #quit(): void {
    this.#ask('QUIT\r\n', 1, () => this.#leave());
  }

  #leave(): void {
    if (this.#state !== 'open') return;
    this.#state = 'leaving';
    this.#step += 1;
    this.#connection?.end();
    this.#house.agenda.after(lingerMs, () => this.#connection?.reset());
  }

  /** After a while, unless something else happens to the connection. */
  #later(delayMs: number, run: () => void): void {
    this.#step += 1;
    const step = this.#step;
    this.#house.agenda.after(delayMs, () => {
      if (step === this.#step && this.#state === 'open') run();
    });
  }

  /** One appointment a connection: a server that says nothing for too long is left. */
  #watchFor(delayMs: number): void {
    const { agenda } = this.#house;
    agenda.after(delayMs, () => {
      if (this.#state === 'over') return;
      const quietMs = agenda.nowMs - this.#actedMs;
      if (quietMs < patienceMs) this.#watchFor(patienceMs - quietMs);
      else this.#connection?.reset();
    });
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
