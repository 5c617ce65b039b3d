/**
 * The verb table of the SMTP server (RFC 5321 4.1, RFC 3030): for each verb the states that refuse it,
 * the argument it takes, and what it does to the conversation. Everything about the order of commands
 * stands in this table.
 */
import { toRoutableDomain } from '../protocol/domainName.ts';
import { mailParameters, type ParameterFault, recipientParameters } from '../protocol/esmtpParameters.ts';
import { type Path, type PathFault, parsePath } from '../protocol/path.ts';
import { hello, replies } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { IncomingContent } from './incomingContent.ts';
import { Transaction } from './transaction.ts';

/** What the listener, the source and access say about this client. */
export interface SessionPolicy {
  /** Our name in greeting, EHLO and for `<postmaster>`. */
  readonly hostName: string;
  /** 0: no cap, and SIZE is advertised without a number. */
  readonly maxMessageSizeBytes: number;
  /** 0: only the session's own bound. */
  readonly maxRecipients: number;
  readonly maxMessageHops: number;
  readonly allowChunking: boolean;
  readonly allowSmtputf8: boolean;
  readonly commandTimeoutMs: number;
  readonly dataTimeoutMs: number;
  /** log-commands: every command line comes as an effect, too. */
  readonly tellsCommands: boolean;
  /** The access decision: undefined accepts. Synchronous and pure. */
  judgeRecipient(path: Path): Reply | undefined;
  /** A refusal of MAIL for now, 452 when resources are short. A 421 closes the connection. */
  judgeSender(): Reply | undefined;
  /** False while too many replies wait for the client to read them: nothing is carried out then. */
  mayAnswer(): boolean;
}

/**
 * What commands have led to. `mail`: sender given; `recipients`: at least one accepted; `chunking`:
 * between the chunks of BDAT; `failed`: a chunk was refused, so that only RSET (or EHLO) helps.
 */
export type SessionState = 'connected' | 'ready' | 'mail' | 'recipients' | 'chunking' | 'failed';

/** What the next octets from the client are. `storing`: nothing, until the message is stored. */
export type Intake = 'command' | 'data' | 'chunk' | 'storing' | 'closed';

export interface Conversation {
  readonly policy: SessionPolicy;
  state: SessionState;
  intake: Intake;
  nowMs: number;
  /** EHLO was used, so that extensions are in force. */
  esmtp: boolean;
  heloName: string;
  transaction: Transaction | undefined;
  /** What comes in while `intake` is `chunk`. */
  chunk: Chunk | undefined;
  /** When the content under way began, DATA or first BDAT. */
  contentSinceMs: number;
}

export interface Chunk {
  readonly octets: number;
  left: number;
  readonly last: boolean;
  /** A refused chunk is still read to its end (RFC 3030 section 2). */
  readonly refusal: Reply | undefined;
  /** The state once a refusal has been answered. */
  readonly stateIfRefused: SessionState;
}

export interface CommandRule {
  /** The states in which the verb is out of place, and what is said there. */
  readonly refusedIn: Readonly<Partial<Record<SessionState, Reply>>>;
  readonly argument: 'none' | 'required' | 'optional';
  /** It brings a message closer, or the end. The others are counted, so that nobody keeps us busy with them. */
  readonly isProductive: boolean;
  /** undefined: the reply comes later, after content. */
  readonly proceed: (conversation: Conversation, argument: string) => Reply | undefined;
}

/** Recipients a transaction may have whatever is configured: one envelope must fit a spool batch. */
const recipientsBound = 10_000;

export const commandRules: ReadonlyMap<string, CommandRule> = new Map<string, CommandRule>([
  ['EHLO', { refusedIn: {}, argument: 'optional', isProductive: false, proceed: ehlo }],
  ['HELO', { refusedIn: {}, argument: 'optional', isProductive: false, proceed: helo }],
  [
    'MAIL',
    {
      refusedIn: {
        connected: replies.helloFirst,
        mail: replies.nestedMail,
        recipients: replies.nestedMail,
        chunking: replies.nestedMail,
        failed: replies.resetFirst,
      },
      argument: 'required',
      isProductive: true,
      proceed: mail,
    },
  ],
  [
    'RCPT',
    {
      refusedIn: {
        connected: replies.helloFirst,
        ready: replies.mailFirst,
        chunking: replies.chunksBegun,
        failed: replies.resetFirst,
      },
      argument: 'required',
      isProductive: true,
      proceed: rcpt,
    },
  ],
  [
    'DATA',
    {
      refusedIn: {
        connected: replies.helloFirst,
        ready: replies.mailFirst,
        mail: replies.noRecipients,
        chunking: replies.chunksBegun,
        failed: replies.resetFirst,
      },
      argument: 'none',
      isProductive: true,
      proceed: data,
    },
  ],
  // Nowhere refused outright, since its octets follow in any case; `bdat` refuses the chunk.
  ['BDAT', { refusedIn: {}, argument: 'optional', isProductive: true, proceed: bdat }],
  ['RSET', { refusedIn: {}, argument: 'none', isProductive: false, proceed: rset }],
  ['NOOP', { refusedIn: {}, argument: 'optional', isProductive: false, proceed: () => replies.ok }],
  ['QUIT', { refusedIn: {}, argument: 'none', isProductive: true, proceed: () => replies.closing }],
  ['VRFY', { refusedIn: {}, argument: 'required', isProductive: false, proceed: () => replies.cannotVerify }],
  ['HELP', { refusedIn: {}, argument: 'optional', isProductive: false, proceed: () => replies.helpText }],
]);

/** Verbs of other servers and of extensions we do not offer (RFC 5321 4.2.4: 502, not 500). */
export const knownVerbs: ReadonlySet<string> = new Set(
  'AUTH STARTTLS EXPN ETRN ATRN TURN BURL SEND SOML SAML XCLIENT XFORWARD LHLO'.split(' '),
);

/** A web browser that was sent to us: whatever follows is not meant for SMTP. */
export const httpVerbs: ReadonlySet<string> = new Set(
  'GET POST PUT HEAD PATCH DELETE OPTIONS CONNECT TRACE HOST: USER-AGENT: CONTENT-TYPE:'.split(' '),
);

/** RFC 5321 4.1.1.1 and 4.1.4: a new EHLO ends any transaction. */
function ehlo(conversation: Conversation, argument: string): Reply {
  const { policy } = conversation;
  if (!isHeloName(argument)) return replies.badName;
  greet(conversation, argument, true);
  const keywords = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES'];
  keywords.push(policy.maxMessageSizeBytes > 0 ? `SIZE ${policy.maxMessageSizeBytes}` : 'SIZE');
  if (policy.allowChunking) keywords.push('CHUNKING');
  if (policy.allowSmtputf8) keywords.push('SMTPUTF8');
  return hello(policy.hostName, keywords);
}

function helo(conversation: Conversation, argument: string): Reply {
  if (!isHeloName(argument)) return replies.badName;
  greet(conversation, argument, false);
  return hello(conversation.policy.hostName, []);
}

/** One printable word: host names with underscores and the like are common, and we route nothing by it. */
function isHeloName(name: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(name);
}

function greet(conversation: Conversation, heloName: string, esmtp: boolean): void {
  conversation.heloName = heloName;
  conversation.esmtp = esmtp;
  conversation.transaction = undefined;
  conversation.state = 'ready';
}

/** RFC 5321 4.1.1.2. */
function mail(conversation: Conversation, argument: string): Reply {
  const { policy, esmtp } = conversation;
  const parsed = afterKeyword(argument, 'FROM:', 'reverse');
  if (typeof parsed === 'string') return senderFaults[parsed];
  const { path, rest } = parsed;
  if (!esmtp && rest !== '') return replies.unknownParameter;
  const parameters = mailParameters(rest, { smtpUtf8: policy.allowSmtputf8 });
  if (typeof parameters === 'string') return parameterFaults[parameters];
  if (path.international && !parameters.smtpUtf8) return replies.needsSmtpUtf8;
  const limit = policy.maxMessageSizeBytes;
  if (limit > 0 && parameters.sizeBytes !== undefined && parameters.sizeBytes > limit) {
    return replies.messageTooBig;
  }
  const refusal = policy.judgeSender();
  if (refusal !== undefined) return refusal;
  conversation.transaction = new Transaction(path.text, parameters.smtpUtf8);
  conversation.state = 'mail';
  return replies.senderOk;
}

/** RFC 5321 4.1.1.3. The path that is judged is the path that is kept. */
function rcpt(conversation: Conversation, argument: string): Reply {
  const { policy } = conversation;
  const transaction = conversation.transaction!;
  const parsed = afterKeyword(argument, 'TO:', 'forward');
  if (typeof parsed === 'string') return recipientFaults[parsed];
  const parameterFault = recipientParameters(parsed.rest);
  if (parameterFault !== undefined) return parameterFaults[parameterFault];
  const path = parsed.path.domain === '' ? ourPostmaster(parsed.path, policy.hostName) : parsed.path;
  if (path === undefined) return replies.badRecipientDomain;
  if (path.international && !transaction.smtpUtf8) return replies.needsSmtpUtf8;
  const refusal = policy.judgeRecipient(path);
  if (refusal !== undefined) return refusal;
  const most = policy.maxRecipients > 0 ? Math.min(policy.maxRecipients, recipientsBound) : recipientsBound;
  if (transaction.recipients.length >= most) return replies.tooManyRecipients;
  transaction.addRecipient(path);
  conversation.state = 'recipients';
  return replies.recipientOk;
}

/** RFC 5321 4.5.1: `<postmaster>` is the one of this host. */
function ourPostmaster(path: Path, hostName: string): Path | undefined {
  const domain = toRoutableDomain(hostName);
  return domain === undefined ? undefined : { ...path, domain, text: `${path.localPart}@${domain}` };
}

/** A space behind the colon is an error many clients make (RFC 5321 3.3); it harms nobody. */
function afterKeyword(argument: string, keyword: string, which: 'reverse' | 'forward') {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword) return 'syntax';
  return parsePath(argument.slice(keyword.length).trimStart(), which);
}

/** RFC 5321 4.1.1.4. */
function data(conversation: Conversation): Reply {
  conversation.transaction!.content = new IncomingContent('dotStuffed', conversation.policy);
  conversation.contentSinceMs = conversation.nowMs;
  conversation.intake = 'data';
  return replies.startContent;
}

/** RFC 3030 section 2. Octets follow whether we like the command or not; only a size we cannot read ends the session. */
function bdat(conversation: Conversation, argument: string): Reply | undefined {
  const match = /^(\d{1,16})( +LAST)?$/i.exec(argument);
  const octets = Number(match?.[1]);
  if (match === null || !Number.isSafeInteger(octets)) {
    conversation.intake = 'closed';
    return replies.badChunkSize;
  }
  const last = match[2] !== undefined;
  const { state, policy, transaction } = conversation;
  const offered = policy.allowChunking && (conversation.esmtp || state === 'connected');
  const outOfPlace = offered ? chunkRefusedIn[state] : replies.notOffered;
  if (state !== 'chunking') conversation.contentSinceMs = conversation.nowMs;
  conversation.intake = 'chunk';
  if (outOfPlace !== undefined) {
    const stateIfRefused = transaction === undefined ? state : 'failed';
    conversation.chunk = { octets, left: octets, last, refusal: outOfPlace, stateIfRefused };
    return undefined;
  }
  transaction!.content ??= new IncomingContent('raw', policy);
  const tooBig =
    policy.maxMessageSizeBytes > 0 && transaction!.content.sizeBytes + octets > policy.maxMessageSizeBytes;
  const refusal = tooBig ? replies.messageTooBig : undefined;
  conversation.chunk = { octets, left: octets, last, refusal, stateIfRefused: last ? 'ready' : 'failed' };
  return undefined;
}

const chunkRefusedIn: Readonly<Partial<Record<SessionState, Reply>>> = {
  connected: replies.helloFirst,
  ready: replies.mailFirst,
  mail: replies.noRecipients,
  failed: replies.resetFirst,
};

/** RFC 5321 4.1.1.5. */
function rset(conversation: Conversation): Reply {
  conversation.transaction = undefined;
  if (conversation.state !== 'connected') conversation.state = 'ready';
  return replies.ok;
}

const senderFaults: Readonly<Record<PathFault, Reply>> = {
  syntax: replies.badSender,
  tooLong: replies.senderTooLong,
  badDomain: replies.badSenderDomain,
  sourceRoute: replies.sourceRoute,
};

const recipientFaults: Readonly<Record<PathFault, Reply>> = {
  syntax: replies.badRecipient,
  tooLong: replies.recipientTooLong,
  badDomain: replies.badRecipientDomain,
  sourceRoute: replies.sourceRoute,
};

const parameterFaults: Readonly<Record<ParameterFault, Reply>> = {
  syntax: replies.badParameter,
  duplicate: replies.duplicateParameter,
  unknown: replies.unknownParameter,
};
