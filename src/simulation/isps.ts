/**
 * Three receivers in the manner of large ISPs, as data: what they allow a client address, and what they
 * say to it. Codes, enhanced codes and tags are those that operators meet; the prose is ours.
 */
import type { Reply } from '../protocol/reply.ts';
import { openPolicy, type ReceiverPolicy } from './receiverPolicy.ts';
import type { ReceiverReplies } from './receiverReplies.ts';

export interface Isp {
  /** As reports name it. */
  readonly name: string;
  /** Its only domain, under the reserved `.test` (RFC 2606). */
  readonly domain: string;
  /** What it calls itself. */
  readonly hostName: string;
  /** For a client it knows; the limits are small, for demos that last a minute. */
  readonly policy: ReceiverPolicy;
  readonly replies: ReceiverReplies;
}

const reply = (code: number, enhanced: string, ...lines: string[]): Reply => ({ code, enhanced, lines });

const gmail: Isp = {
  name: 'gmail',
  domain: 'gmail.test',
  hostName: 'mx.gmail.test',
  policy: {
    ...openPolicy,
    maxConnections: 10,
    maxMessagesPerConnection: 100,
    rateMessages: 12,
    rateWindowMs: 1000,
    refuseRate: 0.015,
    fullRate: 0.01,
    deferRate: 0.02,
    deferTimes: 1,
    distrustAt: 'dot',
  },
  replies: {
    tooManyConnections: reply(
      421,
      '4.7.0',
      '[{client}] holds more connections than it may, close some.',
      'Look up bulk sending in our help pages. {ticket} - gsmtp',
    ),
    turnedAway: reply(421, '4.7.0', '[{client}] Try again later, closing connection. {ticket} - gsmtp'),
    enoughMessages: reply(
      421,
      '4.7.0',
      'This connection has carried enough messages, open another. {ticket} - gsmtp',
    ),
    tooFast: reply(
      421,
      '4.7.28',
      'We see an unusual rate of mail from your IP address [{client}].',
      'To protect our users it is limited for now. {ticket} - gsmtp',
    ),
    greylisted: reply(450, '4.7.1', 'Try again soon. {ticket} - gsmtp'),
    unknown: reply(
      550,
      '5.1.1',
      'The account <{recipient}> does not exist.',
      'Look for typing errors or blanks in the address. {ticket} - gsmtp',
    ),
    full: reply(
      452,
      '4.2.2',
      'The mailbox of <{recipient}> is full and over its quota.',
      'Tell the owner to make room. {ticket} - gsmtp',
    ),
    later: reply(
      450,
      '4.2.1',
      'The account <{recipient}> gets mail at a rate that keeps us from delivering more.',
      'Please send it again at a later time. {ticket} - gsmtp',
    ),
    laterAtDot: reply(421, '4.3.0', 'Temporary system problem, try again later. {ticket} - gsmtp'),
    refusedAtDot: reply(
      552,
      '5.7.0',
      'The content of this message poses a possible danger. {ticket} - gsmtp',
    ),
    distrusted: reply(
      421,
      '4.7.0',
      '[{client}] This message looks suspicious: the IP address has a very low reputation.',
      'To protect our users it has been held off for now. {ticket} - gsmtp',
    ),
    blocked: reply(
      550,
      '5.7.1',
      '[{client}] This message is likely spam: very low reputation of the IP address.',
      'To protect our users it has been blocked. {ticket} - gsmtp',
    ),
    unauthenticated: reply(
      550,
      '5.7.26',
      'This mail is refused because its sender is not authenticated.',
      'All senders must pass SPF or DKIM here. DKIM [{domain}] = did not pass. {ticket} - gsmtp',
    ),
  },
};

const microsoft: Isp = {
  name: 'microsoft',
  domain: 'outlook.test',
  hostName: 'olc.protection.outlook.test',
  policy: {
    ...openPolicy,
    maxConnections: 5,
    maxMessagesPerConnection: 100,
    rateMessages: 10,
    rateWindowMs: 1000,
    greylistMs: 500,
    greylistBy: 'client',
    refuseRate: 0.015,
    fullRate: 0.01,
    deferRate: 0.02,
    deferTimes: 1,
    distrustAt: 'rcpt',
  },
  replies: {
    tooManyConnections: reply(
      421,
      '4.3.2',
      'RP-002 ({ticket}) Too many connections at a time from {client}, closing channel.',
    ),
    turnedAway: reply(
      421,
      '4.7.0',
      'RP-001 ({ticket}) Mail from {client} is not taken, for reasons of policy.',
    ),
    enoughMessages: reply(
      421,
      '4.3.2',
      'RP-003 ({ticket}) Message limit of one connection, closing channel.',
    ),
    tooFast: reply(
      451,
      '4.7.651',
      'The server [{client}] is limited for a while for its sending rate. (S3114) [{ticket}]',
    ),
    greylisted: reply(451, '4.7.1', 'Greylisted: [{client}] is new here, try again in a moment. [{ticket}]'),
    unknown: reply(550, '5.5.0', 'Action not taken: mailbox unavailable (S2017062302). [{ticket}]'),
    full: reply(452, '4.2.2', 'Mailbox full, over its quota (STOREDRV.DELIVER). [{ticket}]'),
    later: reply(451, '4.7.500', 'Server busy, try again later from [{client}]. (S77719) [{ticket}]'),
    laterAtDot: reply(432, '4.3.2', 'Concurrent deliveries exceed a limit (STOREDRV.DELIVER). [{ticket}]'),
    refusedAtDot: reply(550, '5.7.520', 'Message blocked, its content was found to be spam. (AS4810)'),
    distrusted: reply(
      451,
      '4.7.650',
      'The server [{client}] is limited for a while due to its IP reputation. (S775) [{ticket}]',
    ),
    blocked: reply(
      550,
      '5.7.1',
      'Mail from [{client}] was not sent: part of its network is on our block list (S3140). [{ticket}]',
    ),
    unauthenticated: reply(
      550,
      '5.7.515',
      'Access denied, sending domain {domain} does not meet the required authentication level.',
      'DKIM = Fail. [{ticket}]',
    ),
  },
};

const yahoo: Isp = {
  name: 'yahoo',
  domain: 'yahoo.test',
  hostName: 'mta.am0.yahoodns.test',
  policy: {
    ...openPolicy,
    maxConnections: 5,
    maxMessagesPerConnection: 20,
    rateMessages: 8,
    rateWindowMs: 1000,
    refuseRate: 0.02,
    fullRate: 0.01,
    deferRate: 0.02,
    deferTimes: 1,
    distrustAt: 'mail',
  },
  replies: {
    tooManyConnections: reply(
      421,
      '4.7.0',
      '[TS02] Too many connections at a time from {client}, try later.',
    ),
    turnedAway: reply(421, '4.7.0', '[TS01] Messages from {client} are put off; see our postmaster pages.'),
    enoughMessages: reply(421, '4.7.0', 'Message limit of this connection reached, closing channel.'),
    tooFast: reply(
      421,
      '4.7.0',
      '[TSS05] Messages from {client} are put off for a while due to their volume.',
    ),
    greylisted: reply(451, '4.7.1', 'Resources restricted for now, try again.'),
    // Without an enhanced code, as it is there.
    unknown: reply(554, '', 'delivery error: dd There is no yahoo.test account of {recipient} [0]'),
    full: reply(452, '4.2.2', 'The mailbox of {recipient} is over its quota.'),
    later: reply(451, '4.3.2', 'Mailbox of {recipient} is busy, try again later.'),
    laterAtDot: reply(451, '4.3.2', 'Internal error while taking the message, try again later.'),
    refusedAtDot: reply(554, '5.7.9', 'Message not taken for reasons of policy.'),
    distrusted: reply(
      421,
      '4.7.0',
      '[TSS04] Messages from {client} are put off for a while due to unexpected volume or user complaints.',
    ),
    blocked: reply(553, '5.7.2', '[TSS09] All messages from {client} will be put off for good.'),
    unauthenticated: reply(554, '5.7.9', 'Message not taken: DKIM of {domain} fails, as its policy demands.'),
  },
};

export const isps = { gmail, microsoft, yahoo } as const;
