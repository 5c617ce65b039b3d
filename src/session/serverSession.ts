/**
 * One SMTP session as the server (RFC 5321): octets in, replies and messages out, as data. It promises
 * one reply to each command, in order; memory bounded whatever comes; and a 250 for content only from
 * `stored`. It knows nothing of sockets, access rules or disks.
 */
import { assert } from '../base/assert.ts';
import type { EnvelopeRecipient, WireForm } from '../message/envelope.ts';
import { commandLineOctets, parseCommand } from '../protocol/command.ts';
import { chunkAccepted, greeting, messageAccepted, replies } from '../protocol/replies.ts';
import { type Reply, replyText } from '../protocol/reply.ts';
import { Backlog } from './backlog.ts';
import { type Conversation, commandRules, httpVerbs, knownVerbs, type SessionPolicy } from './commands.ts';
import type { Transaction } from './transaction.ts';

export interface ReceivedMessage {
  /** Without brackets; '' is the null reverse-path. */
  readonly reversePath: string;
  /** At least one, in the order of RCPT; one given twice is there twice. */
  readonly recipients: readonly EnvelopeRecipient[];
  readonly smtpUtf8: boolean;
  /** Some octet of the content is over 127, whatever BODY said. */
  readonly eightBit: boolean;
  readonly wireForm: WireForm;
  /** The content in its wire form: views of what was received. */
  readonly chunks: readonly Uint8Array[];
  /** Content octets, dots un-stuffed, without the terminator. */
  readonly sizeBytes: number;
  readonly heloName: string;
  /** RFC 3848 and RFC 6531 word for the trace header: SMTP, ESMTP, UTF8SMTP. */
  readonly protocol: string;
}

export type SessionEffect =
  /** For the log, before the replies to it: what follows AUTH is left out. */
  | { readonly kind: 'command'; readonly line: string }
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** Store it, then call `stored`. Always behind the replies that came before it. */
  | { readonly kind: 'message'; readonly message: ReceivedMessage }
  /** Once what was sent is out. Nothing follows. */
  | { readonly kind: 'close' };

export type StoredAnswer =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly reply: Reply };

const lf = 0x0a;
const cr = 0x0d;
/** Past the command line cap the rest of a line is skipped up to here, so that the session stays in step. */
const neverEndingLineOctets = 4 * commandLineOctets;
const mostErrors = 20;
/** Commands that lead to no mail, and refusals, before a message is accepted; Postfix closes after as many. */
const mostUnproductive = 100;
/** Bad recipients among good ones, before a message is accepted: twice what a transaction can hold. */
const mostRefusedRecipients = 20_000;
/** Commands carried out in one turn; what a client sends beyond waits until others had theirs. */
const commandsPerTurn = 100;
/** A client that makes just enough progress still has to end its content in so many data time-outs. */
const contentTimeouts = 10;

const encoder = new TextEncoder();
const noBytes = new Uint8Array(0);
const noEffects: readonly SessionEffect[] = [];

export class ServerSession {
  readonly #conversation: Conversation;
  /** The start of an unfinished command line: all of it, or once it is too long its last octet. */
  #line: Uint8Array = noBytes;
  #skippedOctets = 0;
  /** Input that waits for `stored`, or for the next turn. */
  readonly #backlog = new Backlog();
  #commandsLeft = 0;
  /** These three since the last message that was accepted. */
  #errors = 0;
  #unproductive = 0;
  #refusedRecipients = 0;
  #shuttingDown = false;
  #commandSinceMs: number;
  #progressMs: number;
  /** What this call answers. */
  #replies = '';
  #message: ReceivedMessage | undefined;
  /** Only for `tellsCommands`. */
  #commands: string[] = [];
  #closeTold = false;
  /** The last replies that ended in 354, and their octets. */
  #groupReplies = '';
  #groupBytes: Uint8Array = noBytes;

  constructor(policy: SessionPolicy, nowMs: number) {
    this.#commandSinceMs = nowMs;
    this.#progressMs = nowMs;
    this.#conversation = {
      policy,
      state: 'connected',
      intake: 'command',
      nowMs,
      esmtp: false,
      heloName: '',
      transaction: undefined,
      chunk: undefined,
      contentSinceMs: nowMs,
    };
  }

  /** The greeting. */
  start(): readonly SessionEffect[] {
    this.#say(greeting(this.#conversation.policy.hostName));
    return this.#effects();
  }

  /** Carries out one turn; the rest waits, see `hasInput`. `bytes` are kept by reference: the caller must not change them. */
  received(bytes: Uint8Array, nowMs: number): readonly SessionEffect[] {
    this.#conversation.nowMs = nowMs;
    this.#progressMs = nowMs;
    let at = 0;
    if (this.#backlog.isEmpty) {
      this.#beginTurn();
      at = this.#consume(bytes);
    }
    if (at < bytes.length && this.#conversation.intake !== 'closed') {
      this.#backlog.add(at === 0 ? bytes : bytes.subarray(at));
    }
    return this.#effects();
  }

  /** Input waits for its turn: `goOn` is due behind the events at hand, once the client reads its replies. */
  get hasInput(): boolean {
    const { intake } = this.#conversation;
    return !this.#backlog.isEmpty && intake !== 'storing' && intake !== 'closed';
  }

  /** The next turn. Does nothing without `hasInput`. */
  goOn(nowMs: number): readonly SessionEffect[] {
    this.#conversation.nowMs = nowMs;
    this.#takeTurn();
    return this.#effects();
  }

  /** What became of the message last handed over: the only way to a 250 for content. */
  stored(answer: StoredAnswer, nowMs: number): readonly SessionEffect[] {
    const conversation = this.#conversation;
    assert(conversation.intake === 'storing', 'stored() answers a message that was handed over');
    conversation.nowMs = nowMs;
    conversation.intake = 'command';
    this.#commandSinceMs = nowMs;
    if (answer.ok) {
      this.#forgive();
      this.#say(messageAccepted(answer.id));
    } else this.#sayUnproductive(answer.reply);
    this.#closeIfShuttingDown();
    this.#takeTurn();
    return this.#effects();
  }

  /** Closes the session once `deadlineMs` has come. */
  tick(nowMs: number): readonly SessionEffect[] {
    if (nowMs < this.deadlineMs) return noEffects;
    this.#say(this.#conversation.intake === 'command' ? replies.idleTooLong : replies.contentTooSlow);
    return this.#effects();
  }

  /** 421 now, or after the message that is coming in or being stored. */
  shutDown(nowMs: number): readonly SessionEffect[] {
    this.#conversation.nowMs = nowMs;
    this.#shuttingDown = true;
    const { intake, transaction } = this.#conversation;
    if (intake !== 'storing' && transaction?.content === undefined) this.#closeIfShuttingDown();
    return this.#effects();
  }

  /** Memory is short: content on its way in is given up, and refused at its end. */
  shed(): void {
    if (this.#conversation.intake !== 'storing') this.#conversation.transaction?.content?.shed();
  }

  /** When `tick` is due; Infinity while nothing is awaited from the client. */
  get deadlineMs(): number {
    const { intake, state, contentSinceMs, policy } = this.#conversation;
    if (intake === 'storing' || intake === 'closed') return Number.POSITIVE_INFINITY;
    const contentDeadlineMs = contentSinceMs + contentTimeouts * policy.dataTimeoutMs;
    if (intake !== 'command') return Math.min(this.#progressMs + policy.dataTimeoutMs, contentDeadlineMs);
    // A command must come whole in its time, not octet by octet.
    const commandDeadlineMs = this.#commandSinceMs + policy.commandTimeoutMs;
    return state === 'chunking' ? Math.min(commandDeadlineMs, contentDeadlineMs) : commandDeadlineMs;
  }

  /** Memory held for this client: content, recipients, buffered input. For budgets, and for pausing the socket. */
  get heldBytes(): number {
    const { transaction } = this.#conversation;
    const recipientBytes = transaction === undefined ? 0 : transaction.recipientBytes;
    return (
      (transaction?.content?.heldBytes ?? 0) + recipientBytes + this.#backlog.heldBytes + this.#line.length
    );
  }

  #takeTurn(): void {
    this.#beginTurn();
    this.#backlog.drain((bytes) => this.#consume(bytes));
  }

  #beginTurn(): void {
    this.#commandsLeft = this.#conversation.policy.mayAnswer() ? commandsPerTurn : 0;
  }

  /** Takes input until it or the turn is used up, or a message waits to be stored. The index behind what was taken. */
  #consume(bytes: Uint8Array): number {
    const conversation = this.#conversation;
    let at = 0;
    while (at < bytes.length && this.#commandsLeft > 0) {
      if (conversation.intake === 'command') at = this.#takeLine(bytes, at);
      else if (conversation.intake === 'data') at = this.#takeData(bytes, at);
      else if (conversation.intake === 'chunk') at = this.#takeChunk(bytes, at);
      else break;
    }
    return at;
  }

  /** Only CRLF ends a command (RFC 5321 2.3.8); a bare LF is where another protocol was talking. */
  #takeLine(bytes: Uint8Array, from: number): number {
    const lfAt = bytes.indexOf(lf, from);
    const end = lfAt < 0 ? bytes.length : lfAt + 1;
    const octets = this.#skippedOctets + this.#line.length + end - from;
    if (octets > neverEndingLineOctets) {
      this.#say(replies.lineTooLong);
      this.#say(replies.neverEndingLine);
      return end;
    }
    const begun = this.#line;
    if (lfAt < 0) {
      // Copied: a few octets must not pin the chunk they came in.
      this.#line = octets > commandLineOctets ? bytes.slice(-1) : joined(begun, bytes.subarray(from));
      this.#skippedOctets = octets - this.#line.length;
      return end;
    }
    this.#line = noBytes;
    this.#skippedOctets = 0;
    this.#commandsLeft--;
    this.#commandSinceMs = this.#conversation.nowMs;
    if ((lfAt > from ? bytes[lfAt - 1] : begun[begun.length - 1]) !== cr) {
      this.#say(replies.bareLfInCommand);
      this.#conversation.intake = 'closed';
    } else if (octets > commandLineOctets) this.#refuse(replies.lineTooLong);
    else if (begun.length === 0) this.#obey(bytes.subarray(from, lfAt - 1));
    else this.#obey(joined(begun, bytes.subarray(from, lfAt)).subarray(0, -1));
    return end;
  }

  #obey(line: Uint8Array): void {
    const conversation = this.#conversation;
    const command = parseCommand(line);
    if (typeof command === 'string') {
      this.#refuse(command === 'notUtf8' ? replies.notUtf8 : replies.badCharacter);
      return;
    }
    const { verb, argument } = command;
    if (conversation.policy.tellsCommands) {
      this.#commands.push(verb === 'AUTH' ? 'AUTH ...' : `${verb} ${argument}`.trimEnd());
    }
    const rule = commandRules.get(verb);
    if (rule === undefined) {
      if (httpVerbs.has(verb)) this.#say(replies.notHttp);
      else this.#refuse(knownVerbs.has(verb) ? replies.notOffered : replies.unknownCommand);
      return;
    }
    const amongGoodOnes = verb === 'RCPT' && conversation.state === 'recipients';
    const reply =
      rule.refusedIn[conversation.state] ??
      argumentRefusal[rule.argument](argument) ??
      rule.proceed(conversation, argument);
    if (reply === undefined) {
      if (conversation.chunk!.left === 0) this.#endChunk();
    } else if (reply.code >= 400 && amongGoodOnes) this.#refuseRecipient(reply);
    else if (reply.code >= 400) this.#refuse(reply);
    else if (rule.isProductive) this.#say(reply);
    else this.#sayUnproductive(reply);
  }

  #takeData(bytes: Uint8Array, from: number): number {
    const end = this.#conversation.transaction!.content!.take(bytes, from, bytes.length);
    if (end < 0) return bytes.length;
    this.#endContent();
    return end;
  }

  #takeChunk(bytes: Uint8Array, from: number): number {
    const { chunk, transaction } = this.#conversation;
    const to = Math.min(bytes.length, from + chunk!.left);
    if (chunk!.refusal === undefined) transaction!.content!.take(bytes, from, to);
    chunk!.left -= to - from;
    if (chunk!.left === 0) this.#endChunk();
    return to;
  }

  #endChunk(): void {
    const conversation = this.#conversation;
    const { transaction } = conversation;
    const chunk = conversation.chunk!;
    conversation.intake = 'command';
    conversation.chunk = undefined;
    this.#commandSinceMs = conversation.nowMs;
    const refusal = chunk.refusal ?? transaction!.content!.refusal;
    if (refusal !== undefined) {
      conversation.transaction = undefined;
      conversation.state = chunk.stateIfRefused;
      if (chunk.refusal === undefined) this.#sayUnproductive(refusal);
      else this.#refuse(refusal);
      this.#closeIfShuttingDown();
    } else if (chunk.last) {
      transaction!.content!.finish();
      this.#endContent();
    } else {
      conversation.state = 'chunking';
      const accepted = chunkAccepted(chunk.octets);
      if (chunk.octets > 0) this.#say(accepted);
      else this.#sayUnproductive(accepted);
    }
  }

  /** The transaction ends here whatever comes of the message (RFC 5321 4.1.1.4). */
  #endContent(): void {
    const conversation = this.#conversation;
    const transaction = conversation.transaction!;
    const refusal = transaction.content!.refusal;
    conversation.transaction = undefined;
    conversation.state = 'ready';
    this.#commandSinceMs = conversation.nowMs;
    if (refusal === undefined) {
      this.#message = messageOf(transaction, conversation);
      conversation.intake = 'storing';
    } else {
      conversation.intake = 'command';
      this.#sayUnproductive(refusal);
      this.#closeIfShuttingDown();
    }
  }

  #closeIfShuttingDown(): void {
    if (this.#shuttingDown && this.#conversation.intake !== 'closed') this.#say(replies.shuttingDown);
  }

  #refuse(reply: Reply): void {
    if (reply.code >= 500 && ++this.#errors >= mostErrors) this.#say(replies.tooManyErrors);
    else this.#sayUnproductive(reply);
  }

  /** One bad address in a list with good ones is no sign of a bad client. */
  #refuseRecipient(reply: Reply): void {
    this.#say(++this.#refusedRecipients < mostRefusedRecipients ? reply : replies.tooManyErrors);
  }

  /** A client may ask and try, not for ever: that costs as much as mail does. */
  #sayUnproductive(reply: Reply): void {
    this.#say(++this.#unproductive < mostUnproductive ? reply : replies.tooManyCommands);
  }

  #forgive(): void {
    this.#errors = 0;
    this.#unproductive = 0;
    this.#refusedRecipients = 0;
  }

  /** 421 and 221 are the replies that end a session (RFC 5321 3.8, 4.1.1.10). */
  #say(reply: Reply): void {
    this.#replies += replyText(reply);
    if (reply.code === 421 || reply.code === 221) this.#conversation.intake = 'closed';
  }

  /** Encoding costs more than looking up; only the replies to a client's usual group come again. */
  #encoded(text: string): Uint8Array {
    if (this.#conversation.intake !== 'data') return encoder.encode(text);
    if (text !== this.#groupReplies) {
      this.#groupReplies = text;
      this.#groupBytes = encoder.encode(text);
    }
    return this.#groupBytes;
  }

  #effects(): readonly SessionEffect[] {
    const closing = this.#conversation.intake === 'closed' && !this.#closeTold;
    if (this.#replies === '' && this.#message === undefined && !closing) return noEffects;
    const effects: SessionEffect[] = this.#commands.splice(0).map((line) => ({ kind: 'command', line }));
    if (this.#replies !== '') effects.push({ kind: 'send', bytes: this.#encoded(this.#replies) });
    this.#replies = '';
    if (this.#message !== undefined) effects.push({ kind: 'message', message: this.#message });
    this.#message = undefined;
    if (closing) {
      effects.push({ kind: 'close' });
      this.#closeTold = true;
      this.#conversation.transaction = undefined;
      this.#line = noBytes;
      this.#backlog.clear();
    }
    return effects;
  }
}

const argumentRefusal: Readonly<
  Record<'none' | 'required' | 'optional', (argument: string) => Reply | undefined>
> = {
  none: (argument) => (argument === '' ? undefined : replies.noArgumentExpected),
  required: (argument) => (argument === '' ? replies.badArgument : undefined),
  optional: () => undefined,
};

function messageOf(transaction: Transaction, conversation: Conversation): ReceivedMessage {
  const content = transaction.content!;
  return {
    reversePath: transaction.reversePath,
    recipients: transaction.recipients,
    smtpUtf8: transaction.smtpUtf8,
    eightBit: content.eightBit,
    wireForm: content.wireForm,
    chunks: content.chunks(),
    sizeBytes: content.sizeBytes,
    heloName: conversation.heloName,
    protocol: !conversation.esmtp ? 'SMTP' : transaction.smtpUtf8 ? 'UTF8SMTP' : 'ESMTP',
  };
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
