/** Every reply the server sends: code, RFC 3463 code, text, and the section that asks for it. */
import type { ContentFault, ContentFaultKind } from './dataStream.ts';
import type { Reply } from './reply.ts';

/** A row of the table; `rfc` is for readers and the operator's reference, it is not sent. */
export interface ServerReply extends Reply {
  readonly rfc: string;
}

function row(code: number, enhanced: string, text: string, rfc: string): ServerReply {
  return { code, enhanced, lines: [text], rfc };
}

export const replies = {
  helpText: row(214, '2.0.0', 'EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP', '5321 4.1.1.8'),
  closing: row(221, '2.0.0', 'closing connection', '5321 4.1.1.10'),
  ok: row(250, '2.0.0', 'OK', '5321 4.1.1.5'),
  senderOk: row(250, '2.1.0', 'sender OK', '5321 4.1.1.2'),
  recipientOk: row(250, '2.1.5', 'recipient OK', '5321 4.1.1.3'),
  cannotVerify: row(252, '2.5.2', 'cannot VRFY user, but will try to deliver', '5321 3.5.3'),
  startContent: row(354, '', 'start mail input; end with <CRLF>.<CRLF>', '5321 4.1.1.4'),

  shuttingDown: row(421, '4.3.2', 'service is shutting down, closing connection', '5321 3.8'),
  tooManyConnections: row(421, '4.3.2', 'too many connections, try again later', '5321 3.8'),
  idleTooLong: row(421, '4.4.2', 'idle for too long, closing connection', '5321 4.5.3.2.7'),
  contentTooSlow: row(421, '4.4.2', 'message content came too slowly, closing connection', '5321 4.5.3.2.7'),
  tooManyErrors: row(421, '4.7.0', 'too many errors, closing connection', '5321 3.8'),
  tooManyCommands: row(421, '4.7.0', 'too many commands without a message, closing connection', '5321 3.8'),
  notHttp: row(421, '4.7.0', 'this is an SMTP server, closing connection', '5321 3.8'),
  neverEndingLine: row(421, '4.7.0', 'command line without an end, closing connection', '5321 4.5.3.1.4'),
  cannotStore: row(451, '4.3.0', 'message could not be stored, try again later', '5321 4.5.3.2'),
  outOfSpace: row(452, '4.3.1', 'insufficient system storage, try again later', '5321 4.2.3'),
  tooManyRecipients: row(
    452,
    '4.5.3',
    'too many recipients, send the rest in another transaction',
    '5321 4.5.3.1.10',
  ),

  unknownCommand: row(500, '5.5.2', 'command not recognized', '5321 4.2.4'),
  lineTooLong: row(500, '5.5.2', 'command line too long', '5321 4.5.3.1.4'),
  bareLfInCommand: row(
    500,
    '5.5.2',
    'a line ends in CRLF, not in LF alone; closing connection',
    '5321 2.3.8',
  ),
  badCharacter: row(501, '5.5.2', 'control character in command', '5321 4.1.2'),
  notUtf8: row(501, '5.5.2', 'command is not UTF-8', '6531 3.3'),
  badArgument: row(501, '5.5.4', 'syntax error in argument', '5321 4.3.2'),
  noArgumentExpected: row(501, '5.5.4', 'this command takes no argument', '5321 4.1.1'),
  badName: row(501, '5.5.4', 'EHLO and HELO need one domain or address literal', '5321 4.1.1.1'),
  badParameter: row(501, '5.5.4', 'syntax error in parameter', '5321 4.1.1.11'),
  duplicateParameter: row(501, '5.5.4', 'parameter given twice', '5321 4.1.1.11'),
  badChunkSize: row(
    501,
    '5.5.4',
    'BDAT needs a size in digits and at most LAST; closing connection',
    '3030 2',
  ),
  badSender: row(501, '5.1.7', 'bad sender address syntax', '5321 4.1.2'),
  badRecipient: row(501, '5.1.3', 'bad recipient address syntax', '5321 4.1.2'),
  senderTooLong: row(501, '5.1.7', 'sender address too long', '5321 4.5.3.1'),
  recipientTooLong: row(501, '5.1.3', 'recipient address too long', '5321 4.5.3.1'),
  badSenderDomain: row(501, '5.1.7', 'bad domain in sender address', '5321 4.1.2'),
  badRecipientDomain: row(501, '5.1.3', 'bad domain in recipient address', '5321 4.1.2'),
  notOffered: row(502, '5.5.1', 'command not offered', '5321 4.2.4'),
  helloFirst: row(503, '5.5.1', 'send EHLO or HELO first', '5321 4.1.4'),
  nestedMail: row(503, '5.5.1', 'sender already given', '5321 4.1.1.2'),
  mailFirst: row(503, '5.5.1', 'send MAIL first', '5321 3.3'),
  chunksBegun: row(503, '5.5.1', 'message content has begun with BDAT', '3030 2'),
  resetFirst: row(503, '5.5.1', 'this transaction has failed, send RSET', '3030 2'),
  relayingDenied: row(550, '5.7.1', 'relaying denied', '5321 3.6.2'),
  routedLocalPart: row(550, '5.7.1', 'relaying denied: the local part routes on', '5321 3.6.1'),
  sourceRoute: row(550, '5.7.1', 'source routes are refused', '5321 C'),
  messageTooBig: row(552, '5.3.4', 'message is larger than allowed here', '1870 6'),
  headerTooBig: row(552, '5.3.4', 'header section is larger than 256 KB or 1000 fields', '5321 4.5.3.1.7'),
  recipientNeedsDomain: row(553, '5.1.3', 'recipient address needs a domain', '5321 2.3.5'),
  virtualMtaEmpty: row(550, '5.7.1', 'X-Virtual-MTA is empty', '3463 3.8'),
  needsSmtpUtf8: row(553, '5.6.7', 'non-ASCII address without SMTPUTF8', '6531 3.5'),
  noRecipients: row(554, '5.5.1', 'no valid recipients', '5321 3.3'),
  mailLoop: row(554, '5.4.6', 'too many Received fields, mail is looping', '5321 6.3'),
  unknownParameter: row(555, '5.5.4', 'parameter not recognized or not offered', '5321 4.1.1.11'),
} satisfies Record<string, ServerReply>;

/** RFC 5321 4.3.1: the host name comes first. */
export function greeting(hostName: string): Reply {
  return { code: 220, enhanced: '', lines: [`${hostName} ESMTP Penstock`] };
}

/** RFC 7504 section 3: instead of the greeting, for a client that is not served. */
export function notServed(hostName: string): Reply {
  return { code: 521, enhanced: '', lines: [`${hostName} does not accept mail from you`] };
}

/** RFC 5321 4.1.1.1. No keywords: the answer to HELO. */
export function hello(hostName: string, keywords: readonly string[]): Reply {
  return { code: 250, enhanced: '', lines: [hostName, ...keywords] };
}

/** RFC 3030 section 2: a chunk that is not the last. */
export function chunkAccepted(octets: number): Reply {
  return { code: 250, enhanced: '2.0.0', lines: [`${octets} octets received`] };
}

/** RFC 5321 4.2.5: from here on the message is ours. */
export function messageAccepted(id: string): Reply {
  return { code: 250, enhanced: '2.0.0', lines: [`message accepted, id ${id}`] };
}

/** No virtual MTA or pool of ours. */
export function noSuchVirtualMta(name: string): Reply {
  return {
    code: 550,
    enhanced: '5.3.5',
    lines: [`there is no virtual MTA ${shownName(name)} (X-Virtual-MTA)`],
  };
}

/** It may exist, but not for this client. */
export function virtualMtaNotAllowed(name: string): Reply {
  return { code: 550, enhanced: '5.7.1', lines: [`X-Virtual-MTA may not choose ${shownName(name)} here`] };
}

function shownName(name: string): string {
  return name.slice(0, 64).replace(/[^\x21-\x7e]/g, '?');
}

const faultTexts: Readonly<Record<ContentFaultKind, string>> = {
  bareCr: 'bare CR',
  bareLf: 'bare LF',
  nul: 'NUL octet',
  longLine: 'more than 998 octets',
};

/** RFC 5321 2.3.8 and 4.5.3.1.6. */
export function badContent(fault: ContentFault): Reply {
  return {
    code: 550,
    enhanced: '5.6.0',
    lines: [`${faultTexts[fault.kind]} in line ${fault.line} of the message`],
  };
}
