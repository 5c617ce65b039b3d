import { assert } from '../base/assert.ts';
import type { TlsFacts } from '../base/ports.ts';
import { type ParsedReply, ReplyParser } from '../protocol/reply.ts';
import { commandLine, encodeCommands } from './clientCommands.ts';
import type { ClientEffect, ClientSettings, ConnectionFailure, Verb } from './clientEffect.ts';
import {
  isOnlyDataLeft,
  type Job,
  judgedHere,
  newJob,
  nextCommand,
  notAttempted,
  recipientAccepted,
  recipientRefused,
  resultsOf,
  resultsUponFailure,
  type Verdict,
  verdictOf,
} from './clientJob.ts';
import { clientTable, type ReplyColumn, type ReplyStep } from './clientTable.ts';
import { dataChunks } from './dataTransfer.ts';
import type { DeliveryTransaction, RecipientResult } from './deliveryTransaction.ts';
import { OwedReplies } from './owedReplies.ts';
import { noOffer, type RemoteOffer, remoteOffer } from './remoteOffer.ts';
import { type ReplyMeaning, replyDiagnostic, replyMeaning } from './replyMeaning.ts';
import type { Judgement } from './replyRules.ts';
import { systemWords } from './systemWords.ts';

/** Steps of a transaction have its job. */
type Step = (session: ClientSession, meaning: ReplyMeaning, job: Job, slot: number) => void;

/**
 * Commands sent before their replies are read (RFC 2920). We never stop reading while we write, so no
 * closed window can lock both sides; the bound spares the remote's input buffer.
 */
const pipelinedCommands = 128;
const quitLine = encodeCommands('QUIT\r\n');
const loneDot = encodeCommands('.\r\n');

/**
 * The client side of one SMTP connection (RFC 5321): values in, effects out, no sockets, no clocks. Replies
 * come in the order of the commands, so the state is a queue of what is owed, whose first has a row in
 * `clientTable`, and at most two open transactions: one whose content waits for its reply, and behind it the
 * next one's envelope.
 */
export class ClientSession {
  readonly #settings: ClientSettings;
  readonly #owed: OwedReplies;
  #parser = new ReplyParser();
  /** Open transactions, oldest first. */
  readonly #jobs: Job[] = [];
  /** The transaction the next commands belong to; undefined when another may be handed over. */
  #current: Job | undefined;
  #effects: ClientEffect[] = [];
  #state: 'opening' | 'greeted' | 'closed' = 'opening';
  #offer: RemoteOffer = noOffer;
  #tls: TlsFacts | undefined;
  #quitting = false;
  #used = false;
  /** The remote may still hold the envelope of a transaction that ended before its content. */
  #needsReset = false;
  /** Recipients refused so far. */
  #errors = 0;
  #lastRefusal: ReplyMeaning | undefined;
  #nowMs: number;
  /** What the connection holds while `received` is at work. */
  #heldBytes = 0;

  /** Begins with the attempt to connect, which `opened` or `lost` ends. Times are monotonic. */
  constructor(settings: ClientSettings, nowMs: number) {
    this.#settings = settings;
    this.#nowMs = nowMs;
    this.#owed = new OwedReplies(settings);
    this.#owed.owe('connect');
    this.#owed.time(nowMs);
  }

  /** When `tick` is to be called; Infinity while nothing is owed. */
  get deadlineMs(): number {
    return this.#owed.deadlineMs;
  }

  /** A content is on its way out: `tick` wants to be called now and then, to see how it gets on. */
  get isSending(): boolean {
    return this.#owed.progress.isLeaving;
  }

  /** EHLO keywords in the remote's order, comma separated. */
  get esmtpAvailable(): string {
    return this.#offer.keywords;
  }

  /** undefined: in the clear. */
  get tls(): TlsFacts | undefined {
    return this.#tls;
  }

  /** Waiting for a transaction, with nothing open and nothing owed. */
  get idle(): boolean {
    return this.#state === 'greeted' && this.#owed.length === 0;
  }

  opened(nowMs: number): readonly ClientEffect[] {
    this.#came('connect', nowMs);
    this.#owed.owe('greeting');
    return this.#done();
  }

  /** The handshake that `startTls` asked for is done. What was learnt in the clear is forgotten (RFC 3207 4.2). */
  secured(tls: TlsFacts, nowMs: number): readonly ClientEffect[] {
    this.#came('tls', nowMs);
    this.#tls = tls;
    this.#offer = noOffer;
    this.#parser = new ReplyParser();
    this.#sendCommand('ehlo', `EHLO ${this.#settings.ehloName}`);
    return this.#done();
  }

  /** @param heldBytes what the connection still holds: a message of which the remote has not all is not delivered. */
  received(bytes: Uint8Array, nowMs: number, heldBytes = 0): readonly ClientEffect[] {
    this.#nowMs = nowMs;
    this.#heldBytes = heldBytes;
    // What is sent because of these bytes cannot be answered by them.
    let answerable = this.#owed.awaited === 'tls' ? 0 : this.#owed.length;
    for (const reply of this.#parser.feed(bytes)) {
      if (this.#state === 'closed') break;
      this.#owed.completed();
      if (answerable-- > 0) this.#answered(reply);
      else this.#unasked(reply);
    }
    this.#heldBytes = 0;
    if (this.#owed.awaited === 'tls') this.#beginTls();
    const effects = this.#done();
    if (this.#parser.inReply && this.#state !== 'closed') this.#owed.begun(nowMs);
    return effects;
  }

  /** The kernel took all that was written: the remote's time to answer the message begins. */
  drained(nowMs: number): void {
    this.#owed.drained(nowMs);
  }

  /** The remote sent FIN: no further reply will come. */
  ended(nowMs: number): readonly ClientEffect[] {
    this.#nowMs = nowMs;
    this.#end('lost', 'the remote closed the connection');
    return this.#done();
  }

  /** @param code the system's word (ECONNRESET ...), undefined after an orderly end. */
  lost(code: string | undefined, nowMs: number): readonly ClientEffect[] {
    this.#nowMs = nowMs;
    this.#end(
      'lost',
      code === undefined ? 'connection lost' : `connection lost (${systemWords(code)})`,
      code,
    );
    return this.#done();
  }

  /** @param heldBytes what the connection still holds: a message that moves is not timed out. */
  tick(nowMs: number, heldBytes = 0): readonly ClientEffect[] {
    this.#nowMs = nowMs;
    this.#owed.look(heldBytes, nowMs);
    if (nowMs >= this.#owed.deadlineMs) {
      this.#end('timedOut', `timed out waiting for ${clientTable[this.#owed.awaited].called}`);
    }
    return this.#done();
  }

  /** Once for each `ready`. On a connection that has ended all comes back `notAttempted`. */
  deliver(transaction: DeliveryTransaction, nowMs: number): readonly ClientEffect[] {
    assert(transaction.recipients.length > 0, 'a transaction has a recipient');
    this.#nowMs = nowMs;
    const job = newJob(transaction, !this.#used, this.#needsReset);
    if (this.idle && this.#parser.inReply) this.#fail('protocolError', '4.5.0', 'a reply to nothing');
    if (this.#state === 'closed' || this.#quitting) {
      this.#settle(job, resultsOf(job, notAttempted));
      return this.#done();
    }
    assert(this.#state === 'greeted' && this.#current === undefined, 'deliver answers a ready');
    if (judgedHere(job, this.#offer)) {
      this.#settle(job, resultsOf(job, notAttempted));
      this.#becomeReady();
      return this.#done();
    }
    this.#used = true;
    this.#needsReset = false;
    this.#jobs.push(job);
    this.#current = job;
    this.#sendEnvelope(job);
    return this.#done();
  }

  /** QUIT as soon as nothing is owed. Whatever becomes of it alters no result. */
  quit(nowMs: number): readonly ClientEffect[] {
    this.#nowMs = nowMs;
    this.#quitting = true;
    if (this.#owed.awaited === 'connect') this.#close();
    else if (this.idle) this.#goOn();
    return this.#done();
  }

  static readonly #steps: Readonly<Record<ReplyStep, Step>> = {
    sayEhlo: (session) => session.#sendCommand('ehlo', `EHLO ${session.#settings.ehloName}`),
    sayHelo: (session) => session.#sendCommand('helo', `HELO ${session.#settings.ehloName}`),
    greeted: (session, { reply }) =>
      session.#greeted(remoteOffer(reply.lines, session.#settings.ignoredKeywords)),
    greetedPlainly: (session) => session.#greeted(noOffer),
    shakeHands: (session) => session.#owed.owe('tls'),
    stayPlain: (session, { diagnostic }) => session.#stayPlain(diagnostic),
    goOn: () => {},
    mailTaken: (_session, _meaning, job) => {
      job.answered = true;
    },
    mailRefused: (session, meaning, job) => {
      // "Bad sequence" to a later MAIL: the remote still holds an envelope. No fault of this one.
      if (meaning.reply.code === 503 && !job.first) {
        session.#outOfStep(meaning.reply);
        return;
      }
      job.answered = true;
      job.mailRefused = true;
      job.verdicts.fill(verdictOf(meaning));
    },
    recipientAccepted: (_session, _meaning, job, slot) => recipientAccepted(job, slot),
    recipientRefused: (session, meaning, job, slot) => {
      if (!recipientRefused(job, slot, meaning) || ++session.#errors !== session.#settings.maxErrors) return;
      job.takesNoMore = true;
      session.#quitting = true;
    },
    sendContent: (session, _meaning, job) => session.#sendContent(job),
    dataRefused: (session, meaning, job) => session.#finish(job, verdictOf(meaning)),
    contentTaken: (session, meaning, job) => {
      // A refusal needs no reading to the end; nobody can have taken what is still here.
      const isHere = session.#owed.progress.isCertainlyHere(session.#heldBytes);
      if (isHere) session.#outOfStep(meaning.reply, 'too early');
      else session.#finish(job, verdictOf(meaning));
    },
    contentRefused: (session, meaning, job) => session.#finish(job, verdictOf(meaning)),
    refuse: (session, { level, status, diagnostic }) => {
      session.#send(quitLine);
      session.#fail('refused', status, diagnostic, level === 5);
    },
    serviceClosing: (session, meaning, job: Job | undefined) => {
      if (job !== undefined) job.answered = true;
      session.#serviceClosing(meaning);
    },
    skipMx: (session, { reply, status, diagnostic }) => {
      if (reply.code !== 421) session.#send(quitLine);
      session.#fail('mxSkipped', status, diagnostic);
    },
    outOfStep: (session, { reply }) => session.#outOfStep(reply),
    hangUp: (session) => session.#close(),
  };

  #answered(reply: ParsedReply): void {
    const { verb, job, slot } = this.#owed.first!;
    const meaning = replyMeaning(reply, verb, this.#settings.replies);
    const step = clientTable[verb].on[columnOf(meaning)];
    if (step !== 'outOfStep') this.#tellJudged(meaning.judgement, meaning.status, meaning.diagnostic);
    ClientSession.#steps[step](this, meaning, job!, slot);
    if (this.#state === 'closed') return;
    if (meaning.level >= 4) this.#lastRefusal = meaning;
    this.#owed.came();
    this.#goOn();
  }

  #tellJudged(judgement: Judgement | undefined, status: string, diagnostic: string): void {
    if (judgement !== undefined) this.#effects.push({ kind: 'judged', judgement, status, diagnostic });
  }

  /** Whatever is awaited, this cannot be it. */
  #unasked(reply: ParsedReply): void {
    const meaning = replyMeaning(reply, 'idle', this.#settings.replies);
    if (clientTable.idle.on[columnOf(meaning)] === 'serviceClosing') this.#serviceClosing(meaning);
    else this.#outOfStep(reply);
  }

  /** What others than the remote owed has come. */
  #came(verb: 'connect' | 'tls', nowMs: number): void {
    assert(this.#owed.awaited === verb, `"${verb}" comes once, and not after the connection was given up`);
    this.#nowMs = nowMs;
    this.#owed.came();
  }

  /** RFC 3207 section 4: nothing follows the reply; what does was put there by somebody in between. */
  #beginTls(): void {
    if (this.#parser.inReply) this.#fail('protocolError', '4.5.0', 'more than a reply to STARTTLS');
    else this.#effects.push({ kind: 'startTls' });
  }

  #serviceClosing(meaning: ReplyMeaning): void {
    const { replaceSmtp421ServiceResponse } = this.#settings.replies;
    const { status, diagnostic } = (replaceSmtp421ServiceResponse && this.#lastRefusal) || meaning;
    this.#fail('serviceClosing', `4${status.slice(1)}`, diagnostic);
  }

  #outOfStep(reply: ParsedReply, how: string = reply.fault ?? 'reply'): void {
    this.#fail('protocolError', '4.5.0', `out of step (${how}): ${replyDiagnostic(reply)}`);
  }

  #greeted(offer: RemoteOffer): void {
    this.#offer = offer;
    if (this.#tls !== undefined || this.#settings.starttls === 'never') this.#mayCarry();
    else if (offer.starttls) this.#sendCommand('starttls', 'STARTTLS');
    else this.#stayPlain('not offered');
  }

  #stayPlain(why: string): void {
    if (this.#settings.starttls === 'required') {
      this.#send(quitLine);
      this.#fail('refused', '4.7.4', `no TLS, which is required: ${why}`);
    } else this.#mayCarry();
  }

  #mayCarry(): void {
    this.#state = 'greeted';
    this.#becomeReady();
  }

  #becomeReady(): void {
    this.#current = undefined;
    if (!this.#quitting) this.#effects.push({ kind: 'ready' });
  }

  /** What is to be said once nothing is owed. */
  #goOn(): void {
    if (this.#state !== 'greeted' || this.#owed.length > 0) return;
    if (this.#current !== undefined) this.#sendEnvelope(this.#current);
    // Not else: the envelope may have come to its end just now.
    if (this.#quitting && this.idle) this.#sendCommand('quit', 'QUIT');
  }

  #sendCommand(verb: Verb, text: string): void {
    this.#send(encodeCommands(commandLine(text)));
    this.#owed.owe(verb);
  }

  /** The next commands of the envelope: with PIPELINING as a rule all of them, otherwise one. */
  #sendEnvelope(job: Job): void {
    if (isOnlyDataLeft(job) && job.accepted === 0) {
      this.#finish(job, notAttempted);
      return;
    }
    let text = '';
    for (let room = this.#offer.pipelining ? pipelinedCommands : 1; room > 0; room--) {
      const [line, verb, slot] = nextCommand(job, this.#offer);
      text += line;
      this.#owed.owe(verb, verb === 'rset' ? undefined : job, slot);
      if (verb === 'data') break;
    }
    this.#send(encodeCommands(text));
  }

  #send(commands: Uint8Array): void {
    this.#owed.progress.commandsFollow(commands.length);
    this.#effects.push({ kind: 'send', of: 'commands', chunks: [commands], endsWrite: false });
  }

  #sendContent(job: Job): void {
    const { content, wireForm } = job.transaction;
    const { progress } = this.#owed;
    // RFC 2920 section 3.1: a 354 although every recipient was refused is answered with the dot alone.
    const chunks = job.accepted === 0 ? [loneDot] : dataChunks(content, wireForm);
    progress.begin(chunks, this.#nowMs);
    this.#effects.push({ kind: 'send', of: 'content', chunks, endsWrite: progress.isLone });
    job.contentSent = true;
    this.#owed.owe('content', job);
    if (this.#offer.pipelining && job.accepted > 0) this.#becomeReady();
  }

  /** The end of a transaction by a reply; `accepted` is what it means for the accepted recipients. */
  #finish(job: Job, accepted: Verdict): void {
    this.#owed.progress.end();
    // The reply to a message clears the remote's buffers (RFC 5321 section 4.1.1.4), no other one does.
    if (job.accepted === 0 || !job.contentSent) this.#needsReset = true;
    this.#jobs.shift();
    this.#settle(job, resultsOf(job, notAttempted, accepted));
    if (this.#current === job) this.#becomeReady();
  }

  #settle({ transaction, mailRefused }: Job, results: readonly RecipientResult[]): void {
    const mailDeferred = mailRefused && results.some(({ kind }) => kind === 'deferred');
    this.#effects.push({ kind: 'settled', transaction, results, mailDeferred });
  }

  /** FIN, reset or time-out, as the row of what is awaited has it. @param code the system's word, if any */
  #end(kind: 'lost' | 'timedOut', how: string, code?: string): void {
    const { end } = clientTable[this.#owed.awaited];
    if (end === 'lost') this.#fail(kind, '4.4.2', how);
    else if (end === 'tlsFailed') this.#fail(end, '4.7.5', `TLS failed: ${code ?? how}`);
    else if (kind === 'timedOut') this.#fail(kind, '4.4.1', 'no connection in time');
    else
      this.#fail(
        kind,
        '4.4.1',
        code === undefined ? 'no connection' : `no connection (${systemWords(code)})`,
      );
  }

  /** The end of the connection, and of what is open on it. */
  #fail(kind: ConnectionFailure['kind'], status: string, diagnostic: string, permanent = false): void {
    if (this.#state === 'closed') return;
    const during = this.#owed.awaited;
    if (clientTable[during].end === 'nothing') {
      this.#close();
      return;
    }
    const failure: ConnectionFailure = { kind, during, permanent, status, diagnostic };
    const { judges, assumeDeliveryUponDataTerminationTimeout } = this.#settings.replies;
    const isReply = kind === 'refused' || kind === 'serviceClosing' || kind === 'mxSkipped';
    if (!isReply && during !== 'idle') this.#tellJudged(judges.refused(diagnostic), status, diagnostic);
    const { progress } = this.#owed;
    const isContentHere =
      (kind === 'timedOut' && progress.isLeaving) || progress.isCertainlyHere(this.#heldBytes);
    for (const [i, job] of this.#jobs.entries()) {
      const assumes = assumeDeliveryUponDataTerminationTimeout;
      this.#settle(job, resultsUponFailure(job, i === 0, failure, isContentHere, assumes));
    }
    this.#effects.push({ kind: 'failed', failure });
    this.#close();
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#owed.clear();
    this.#effects.push({ kind: 'close' });
  }

  /** Sets the deadline when something else is awaited, and hands over the effects. */
  #done(): readonly ClientEffect[] {
    this.#owed.time(this.#nowMs);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

function columnOf({ reply, level, skipsMx }: ReplyMeaning): ReplyColumn {
  if (reply.fault !== undefined) return 'odd';
  if (skipsMx) return 'skip';
  return reply.code === 421 ? 421 : level;
}
