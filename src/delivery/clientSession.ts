import { assert } from '../base/assert.ts';
import { type ParsedReply, ReplyParser } from '../protocol/reply.ts';
import {
  type Capabilities,
  commandLine,
  encodeCommands,
  isAscii,
  mailCommand,
  parseCapabilities,
  rcptCommand,
  sizeLimit,
} from './clientCommands.ts';
import type { ClientEffect, ClientSettings, ConnectionFailure, Verb } from './clientEffect.ts';
import { type Job, newJob, notAttempted, resultsOf, type Verdict, verdictOf } from './clientJob.ts';
import { dataChunks, headerIsAscii } from './dataTransfer.ts';
import { type DeliveryTransaction, transferSizeBytes } from './deliveryTransaction.ts';
import {
  isTooManyRecipients,
  type ReplyClass,
  replyClass,
  replyDiagnostic,
  replyStatus,
} from './replyMeaning.ts';

/** A reply that is owed to us. */
interface Owed {
  readonly verb: Verb;
  /** The transaction it belongs to; undefined for the connection's own commands. */
  readonly job: Job | undefined;
  /** For `rcpt`: position in the transaction's recipients. */
  readonly slot: number;
}

/** What is done with a reply of one verb, 421 and protocol errors apart. */
interface Step {
  /** Class of the reply with which the dialogue goes on. */
  readonly positive: 2 | 3;
  /** How the reply is called in diagnostics. */
  readonly awaits: string;
  /** `job` and `slot` are the owed reply's; the verbs of a transaction have a job. */
  proceed(session: ClientSession, reply: ParsedReply, level: ReplyClass, job: Job, slot: number): void;
}

/**
 * Commands sent before their replies are read (RFC 2920). We never stop reading while we write, so no
 * closed window can lock both sides; the bound spares the remote's input buffer.
 */
const pipelinedCommands = 128;
/** RFC 5321 section 4.1.1.10 wants the reply to QUIT awaited, but nothing depends on it. */
const quitTimeoutMs = 10_000;
const quitLine = encodeCommands('QUIT\r\n');
const loneDot = encodeCommands('.\r\n');
/** A content of so many octets ends its write, see `#isContentUnsent`; a smaller one shares it. */
const loneContentBytes = 65_536;

/**
 * The client side of one SMTP connection (RFC 5321): values in, effects out, no sockets, no clocks.
 * Replies come in the order of the commands, so the state is a queue of owed replies and at most two open
 * transactions: one whose content waits for its reply, and behind it the next one's envelope.
 */
export class ClientSession {
  readonly #settings: ClientSettings;
  readonly #parser = new ReplyParser();
  readonly #owed: Owed[] = [];
  /** Open transactions, oldest first. */
  readonly #jobs: Job[] = [];
  /** The transaction the next commands belong to; undefined when another may be handed over. */
  #current: Job | undefined;
  #effects: ClientEffect[] = [];
  #state: 'connect' | 'handshake' | 'ready' | 'closed' = 'connect';
  #capabilities: Capabilities = new Map();
  #pipelining = false;
  #sizeLimit = Number.POSITIVE_INFINITY;
  #quitting = false;
  #used = false;
  /** The remote may still hold the envelope of a transaction that ended before its content. */
  #needsReset = false;
  #deadlineMs: number;
  /** The owed reply `#deadlineMs` was set for. */
  #timed: Owed | undefined;
  /** `#deadlineMs` is that of a reply whose beginning has come. */
  #insideReply = false;
  /** Octets of the content that had not left at the last look, and when they last became fewer. */
  #unsentBytes = 0;
  #progressMs = 0;
  /** The content ended its write, and the octets of commands behind it. */
  #contentIsLone = false;
  #behindContentBytes = 0;
  /** What the connection holds while `received` is at work. */
  #heldBytes = 0;

  /** Begins with the attempt to connect, which `opened` or `lost` ends. Times are monotonic. */
  constructor(settings: ClientSettings, nowMs: number) {
    this.#settings = settings;
    this.#deadlineMs = nowMs + settings.connectTimeoutMs;
  }

  /** When `tick` is to be called; Infinity while nothing is owed. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** EHLO keywords in the remote's order, comma separated. */
  get esmtpAvailable(): string {
    return [...this.#capabilities.keys()].join(',');
  }

  /** Waiting for a transaction, with nothing open and nothing owed. */
  get idle(): boolean {
    return this.#state === 'ready' && this.#owed.length === 0;
  }

  opened(nowMs: number): readonly ClientEffect[] {
    assert(this.#state === 'connect', 'a connection opens once, and not after it was given up');
    this.#state = 'handshake';
    this.#owe('greeting');
    return this.#done(nowMs);
  }

  /** @param unsentBytes what the connection still holds: a message of which the remote has not all is not delivered. */
  received(bytes: Uint8Array, nowMs: number, unsentBytes = 0): readonly ClientEffect[] {
    this.#heldBytes = unsentBytes;
    // What is sent because of these bytes cannot be answered by them.
    let answerable = this.#owed.length;
    for (const reply of this.#parser.feed(bytes)) {
      if (this.#state === 'closed') break;
      this.#insideReply = false;
      if (answerable-- > 0) this.#answered(reply);
      else this.#unasked(reply);
    }
    this.#heldBytes = 0;
    const effects = this.#done(nowMs);
    if (this.#parser.inReply && !this.#insideReply && this.#state !== 'closed') {
      this.#insideReply = true;
      this.#deadlineMs = nowMs + this.#settings.multiLineResponseTimeoutMs;
    }
    return effects;
  }

  /** The kernel took all that was written: the remote's time to answer the message begins. */
  drained(nowMs: number): void {
    if (this.#unsentBytes > 0 && !this.#insideReply) {
      this.#deadlineMs = nowMs + this.#settings.dataTerminationTimeoutMs;
    }
    this.#unsentBytes = 0;
  }

  /** The remote sent FIN: no further reply will come. */
  ended(nowMs: number): readonly ClientEffect[] {
    this.#fail('lost', '4.4.2', 'the remote closed the connection');
    return this.#done(nowMs);
  }

  /** @param code the system's word (ECONNRESET ...), undefined after an orderly end. */
  lost(code: string | undefined, nowMs: number): readonly ClientEffect[] {
    const why = code === undefined ? '' : ` (${code})`;
    if (this.#state === 'connect') this.#fail('lost', '4.4.1', `no connection${why}`);
    else this.#fail('lost', '4.4.2', `connection lost${why}`);
    return this.#done(nowMs);
  }

  /** @param unsentBytes what the connection still holds: a message that moves is not timed out. */
  tick(nowMs: number, unsentBytes = 0): readonly ClientEffect[] {
    if (nowMs >= this.#deadlineMs && this.#unsentBytes > 0 && !this.#insideReply) {
      this.#watchSending(nowMs, unsentBytes);
    }
    if (nowMs >= this.#deadlineMs) this.#timeOut();
    return this.#done(nowMs);
  }

  /** Once for each `ready`. On a connection that has ended all comes back `notAttempted`. */
  deliver(transaction: DeliveryTransaction, nowMs: number): readonly ClientEffect[] {
    assert(transaction.recipients.length > 0, 'a transaction has a recipient');
    const job = newJob(transaction, !this.#used, this.#needsReset);
    if (this.idle && this.#parser.inReply) this.#fail('protocolError', '4.5.0', 'a reply to nothing');
    if (this.#state === 'closed' || this.#quitting) {
      this.#settle(job, notAttempted);
      return this.#done(nowMs);
    }
    assert(this.#state === 'ready' && this.#current === undefined, 'deliver answers a ready');
    if (this.#judgedHere(job)) {
      this.#settle(job, notAttempted);
      this.#becomeReady();
      return this.#done(nowMs);
    }
    this.#used = true;
    this.#needsReset = false;
    this.#jobs.push(job);
    this.#current = job;
    this.#sendEnvelope(job);
    return this.#done(nowMs);
  }

  /** QUIT as soon as nothing is owed. Whatever becomes of it alters no result. */
  quit(nowMs: number): readonly ClientEffect[] {
    this.#quitting = true;
    if (this.#state === 'connect') this.#close();
    else if (this.idle) this.#goOn();
    return this.#done(nowMs);
  }

  static readonly #steps: Readonly<Record<Verb, Step>> = {
    greeting: {
      positive: 2,
      awaits: 'the greeting',
      proceed: (session, reply, level) => {
        if (level === 2) session.#sendCommand('ehlo', `EHLO ${session.#settings.ehloName}`);
        else session.#refused(reply, level);
      },
    },
    ehlo: {
      positive: 2,
      awaits: 'the reply to EHLO',
      proceed: (session, reply, level) => {
        if (level === 2) session.#greeted(parseCapabilities(reply.lines));
        // RFC 5321 section 3.2: who does not know EHLO knows HELO.
        else if (level === 5) session.#sendCommand('helo', `HELO ${session.#settings.ehloName}`);
        else session.#refused(reply, level);
      },
    },
    helo: {
      positive: 2,
      awaits: 'the reply to HELO',
      proceed: (session, reply, level) => {
        if (level === 2) session.#greeted(new Map());
        else session.#refused(reply, level);
      },
    },
    rset: {
      positive: 2,
      awaits: 'the reply to RSET',
      proceed: (session, reply, level) => {
        // A remote that cannot forget the last envelope must not get another one.
        if (level !== 2) session.#refused(reply, level);
      },
    },
    mail: {
      positive: 2,
      awaits: 'the reply to MAIL',
      proceed: (session, reply, level, job) => {
        // "Bad sequence" to a later MAIL: the remote still holds an envelope. No fault of this one.
        if (reply.code === 503 && !job.first) {
          session.#outOfStep(reply);
          return;
        }
        job.answered = true;
        if (level === 2) return;
        job.mailRefused = true;
        job.verdicts.fill(verdictOf(reply, level, 'mail'));
      },
    },
    rcpt: {
      positive: 2,
      awaits: 'the reply to RCPT',
      proceed: (_session, reply, level, job, slot) => {
        if (job.mailRefused) return;
        if (level === 2) {
          job.verdicts[slot] = 'accepted';
          job.accepted++;
        } else if (job.accepted > 0 && isTooManyRecipients(reply)) {
          // No verdict: it comes back `notAttempted`. Somebody was accepted, so each round gets further.
          job.tooManyRecipients = true;
        } else job.verdicts[slot] = verdictOf(reply, level, 'rcpt');
      },
    },
    data: {
      positive: 3,
      awaits: 'the reply to DATA',
      proceed: (session, reply, level, job) => {
        if (level === 3) session.#sendContent(job);
        else session.#finish(job, verdictOf(reply, level, 'data'));
      },
    },
    content: {
      positive: 2,
      awaits: 'the reply to the message',
      proceed: (session, reply, level, job) => {
        // A refusal needs no reading to the end; nobody can have taken what is still here.
        if (level === 2 && session.#isContentUnsent) {
          session.#outOfStep(reply, 'too early');
          return;
        }
        session.#unsentBytes = 0;
        session.#finish(job, verdictOf(reply, level, 'content'));
      },
    },
    quit: { positive: 2, awaits: 'the reply to QUIT', proceed: (session) => session.#close() },
  };

  #answered(reply: ParsedReply): void {
    const { verb, job, slot } = this.#owed[0]!;
    const step = ClientSession.#steps[verb];
    const level = replyClass(reply.code);
    if (reply.fault !== undefined || (level < 4 && level !== step.positive)) this.#outOfStep(reply);
    else if (reply.code === 421) this.#serviceClosing(reply, job);
    else {
      step.proceed(this, reply, level, job!, slot);
      this.#owed.shift();
      this.#goOn();
    }
  }

  /**
   * Octets of the content are certainly still here. A write is taken as a whole or not at all as far as we
   * are told, so commands that share the content's write leave it open; those of a later one do not.
   */
  get #isContentUnsent(): boolean {
    const isTold = this.#contentIsLone || this.#behindContentBytes === 0;
    return isTold && this.#heldBytes > this.#behindContentBytes;
  }

  /** Nobody asked. RFC 5321 section 3.8 allows 421 at any time; after anything else nothing fits any more. */
  #unasked(reply: ParsedReply): void {
    if (reply.code === 421 && reply.fault === undefined) this.#serviceClosing(reply, undefined);
    else this.#outOfStep(reply);
  }

  #serviceClosing(reply: ParsedReply, job: Job | undefined): void {
    if (job !== undefined) job.answered = true;
    this.#fail('serviceClosing', replyStatus(reply, false), replyDiagnostic(reply));
  }

  #outOfStep(reply: ParsedReply, how: string = reply.fault ?? 'reply'): void {
    this.#fail('protocolError', '4.5.0', `out of step (${how}): ${replyDiagnostic(reply)}`);
  }

  /** The connection's own commands go on only with a yes. QUIT is what may be said after a no. */
  #refused(reply: ParsedReply, level: ReplyClass): void {
    this.#send(quitLine);
    this.#fail('refused', replyStatus(reply, false), replyDiagnostic(reply), level === 5);
  }

  #greeted(capabilities: Capabilities): void {
    this.#capabilities = capabilities;
    this.#pipelining = capabilities.has('PIPELINING');
    this.#sizeLimit = sizeLimit(capabilities);
    this.#state = 'ready';
    this.#becomeReady();
  }

  #becomeReady(): void {
    this.#current = undefined;
    if (!this.#quitting) this.#effects.push({ kind: 'ready' });
  }

  /** What is to be said once nothing is owed. */
  #goOn(): void {
    if (this.#state !== 'ready' || this.#owed.length > 0) return;
    if (this.#current !== undefined) this.#sendEnvelope(this.#current);
    // Not else: the envelope may have come to its end just now.
    if (this.#quitting && this.idle) this.#sendCommand('quit', 'QUIT');
  }

  #owe(verb: Verb, job?: Job, slot = 0): void {
    this.#owed.push({ verb, job, slot });
  }

  #sendCommand(verb: Verb, text: string): void {
    this.#send(encodeCommands(commandLine(text)));
    this.#owe(verb);
  }

  /** The next commands of the envelope: with PIPELINING as a rule all of them, otherwise one. */
  #sendEnvelope(job: Job): void {
    const { transaction } = job;
    const data = transaction.recipients.length + 2;
    if (job.mailRefused || job.tooManyRecipients) job.next = data;
    if (job.next === data && job.accepted === 0) {
      this.#finish(job, notAttempted);
      return;
    }
    const end = Math.min(data + 1, job.next + (this.#pipelining ? pipelinedCommands : 1));
    let text = '';
    for (; job.next < end; job.next++) {
      if (job.next === 0) {
        text += 'RSET\r\n';
        this.#owe('rset');
      } else if (job.next === 1) {
        text += mailCommand(transaction, this.#capabilities);
        this.#owe('mail', job);
      } else if (job.next < data) {
        const slot = job.next - 2;
        text += rcptCommand(transaction.recipients[slot]!.forwardPath);
        this.#owe('rcpt', job, slot);
      } else {
        text += 'DATA\r\n';
        this.#owe('data', job);
      }
    }
    this.#send(encodeCommands(text));
  }

  #send(commands: Uint8Array): void {
    this.#behindContentBytes += commands.length;
    this.#effects.push({ kind: 'send', of: 'commands', chunks: [commands], endsWrite: false });
  }

  #sendContent(job: Job): void {
    const { content, wireForm } = job.transaction;
    // RFC 2920 section 3.1: a 354 although every recipient was refused is answered with the dot alone.
    const chunks = job.accepted === 0 ? [loneDot] : dataChunks(content, wireForm);
    this.#unsentBytes = 0;
    for (const chunk of chunks) this.#unsentBytes += chunk.length;
    this.#contentIsLone = this.#unsentBytes >= loneContentBytes;
    this.#behindContentBytes = 0;
    this.#effects.push({ kind: 'send', of: 'content', chunks, endsWrite: this.#contentIsLone });
    job.contentSent = true;
    this.#owe('content', job);
    if (this.#pipelining && job.accepted > 0) this.#becomeReady();
  }

  /** The end of a transaction by a reply; `accepted` is what it means for the accepted recipients. */
  #finish(job: Job, accepted: Verdict): void {
    // The reply to a message clears the remote's buffers (RFC 5321 section 4.1.1.4), no other one does.
    if (job.accepted === 0 || !job.contentSent) this.#needsReset = true;
    this.#jobs.shift();
    this.#settle(job, notAttempted, accepted);
    if (this.#current === job) this.#becomeReady();
  }

  #settle(job: Job, unanswered: Verdict, accepted = unanswered): void {
    const { transaction } = job;
    const results = resultsOf(job, unanswered, accepted);
    const mailDeferred = job.mailRefused && results.some(({ kind }) => kind === 'deferred');
    this.#effects.push({ kind: 'settled', transaction, results, mailDeferred });
  }

  /** Verdicts that need no remote; a recipient without one then waits for the next transaction. */
  #judgedHere(job: Job): boolean {
    const { transaction, verdicts } = job;
    const sizeBytes = transferSizeBytes(transaction);
    if (sizeBytes > this.#sizeLimit) {
      const diagnostic = `message of ${sizeBytes} bytes exceeds the remote's limit of ${this.#sizeLimit}`;
      verdicts.fill({ kind: 'failed', status: '5.3.4', diagnostic, bodySent: false });
      return true;
    }
    if (!transaction.smtpUtf8 || this.#capabilities.has('SMTPUTF8')) return false;
    const all = !isAscii(transaction.reversePath) || !headerIsAscii(transaction.content);
    const diagnostic = 'SMTPUTF8 is needed and the remote does not offer it';
    const verdict: Verdict = { kind: 'failed', status: '5.6.7', diagnostic, bodySent: false };
    for (const [slot, { forwardPath }] of transaction.recipients.entries()) {
      if (all || !isAscii(forwardPath)) verdicts[slot] = verdict;
    }
    return verdicts.includes(verdict);
  }

  /**
   * The end of the connection. The oldest transaction bears it: deferred, unless it met a connection that
   * had already served others and did not answer it at all. What waits behind it was not attempted.
   */
  #fail(kind: ConnectionFailure['kind'], status: string, diagnostic: string, permanent = false): void {
    if (this.#state === 'closed') return;
    const during = this.#owed[0]?.verb ?? (this.#state === 'connect' ? 'connect' : 'idle');
    if (during === 'quit') {
      this.#close();
      return;
    }
    const verdict: Verdict = { kind: 'deferred', status, diagnostic, bodySent: false };
    const stuck = (kind === 'timedOut' && this.#unsentBytes > 0) || this.#isContentUnsent;
    for (const [position, job] of this.#jobs.entries()) {
      if (position > 0 || !(job.first || job.answered)) {
        job.verdicts.fill(undefined);
        this.#settle(job, notAttempted);
      } else if (job.contentSent) {
        // Who has no reply to RCPT by now is not part of what was sent.
        this.#settle(job, notAttempted, { ...verdict, bodySent: kind !== 'serviceClosing' && !stuck });
      } else {
        // Refusals by a remote that is out of step may have been meant for something else.
        if (kind === 'protocolError') job.verdicts.fill(undefined);
        this.#settle(job, verdict);
      }
    }
    this.#effects.push({ kind: 'failed', failure: { kind, during, permanent, status, diagnostic } });
    this.#close();
  }

  #close(): void {
    this.#state = 'closed';
    this.#owed.length = 0;
    this.#unsentBytes = 0;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#effects.push({ kind: 'close' });
  }

  #watchSending(nowMs: number, unsentBytes: number): void {
    if (unsentBytes === 0) this.#deadlineMs = this.#progressMs + this.#settings.dataTerminationTimeoutMs;
    else {
      if (unsentBytes < this.#unsentBytes) this.#progressMs = nowMs;
      this.#deadlineMs = this.#progressMs + this.#settings.dataSendTimeoutMs;
    }
    this.#unsentBytes = unsentBytes;
  }

  #timeOut(): void {
    const verb = this.#owed[0]?.verb;
    const what = verb === undefined ? 'the rest of a reply' : ClientSession.#steps[verb].awaits;
    if (this.#state === 'connect') this.#fail('timedOut', '4.4.1', 'no connection in time');
    else this.#fail('timedOut', '4.4.2', `timed out waiting for ${what}`);
  }

  #timeoutMs(verb: Verb): number {
    const settings = this.#settings;
    if (verb === 'greeting') return settings.greetingTimeoutMs;
    if (verb === 'quit') return quitTimeoutMs;
    // The first look at how the sending goes; `#watchSending` decides.
    if (verb === 'content') return Math.min(settings.dataSendTimeoutMs, settings.dataTerminationTimeoutMs);
    return settings.commandTimeoutMs;
  }

  /** Sets the deadline when another reply has become the next, and hands over the effects. */
  #done(nowMs: number): readonly ClientEffect[] {
    const next = this.#owed[0];
    if (next !== this.#timed) {
      this.#timed = next;
      this.#progressMs = nowMs;
      this.#deadlineMs = next === undefined ? Number.POSITIVE_INFINITY : nowMs + this.#timeoutMs(next.verb);
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
