import type { Awaited, ClientSettings } from './clientEffect.ts';

/**
 * What may come while something is awaited: a reply by the first digit of what it means (`replyMeaning`),
 * `421` (allowed at any time, RFC 5321 section 3.8), `skip`: one after which this host is left, and `odd`: a
 * line without a code, codes that differ within one reply, or a reply of more than 64 KiB. Lines above 4096
 * octets and beyond the hundredth are cut and count as usual.
 */
export type ReplyColumn = 2 | 3 | 4 | 5 | 421 | 'skip' | 'odd';

/** What a reply leads to; each name is a step of `ClientSession`. */
export type ReplyStep =
  | 'sayEhlo'
  | 'sayHelo'
  | 'greeted'
  | 'greetedPlainly'
  | 'shakeHands'
  | 'stayPlain'
  | 'goOn'
  | 'mailTaken'
  | 'mailRefused'
  | 'recipientAccepted'
  | 'recipientRefused'
  | 'sendContent'
  | 'dataRefused'
  | 'contentTaken'
  | 'contentRefused'
  /** The connection is of no use: QUIT, and its failure is told. */
  | 'refuse'
  | 'serviceClosing'
  /** The same, and the next host is to be tried. */
  | 'skipMx'
  | 'outOfStep'
  | 'hangUp';

/** One state of the dialogue. */
export interface ClientState {
  /** How the awaited thing is called in diagnostics. */
  readonly called: string;
  /** How long it is awaited, milliseconds or the setting that says so. A `content` must have left by then. */
  readonly timeout: TimeoutSetting | number;
  readonly on: Readonly<Record<ReplyColumn, ReplyStep>>;
  /**
   * What a FIN, a reset or a time-out is: `noConnection` 4.4.1, `lost` 4.4.2, `tlsFailed` 4.7.5, or
   * `nothing`: the work is done.
   */
  readonly end: 'noConnection' | 'lost' | 'tlsFailed' | 'nothing';
}

export type TimeoutSetting = Extract<keyof ClientSettings, `${string}TimeoutMs`>;

/** RFC 5321 section 4.1.1.10 wants the reply to QUIT awaited, but nothing depends on it. */
const quitTimeoutMs = 10_000;

const never = {
  2: 'outOfStep',
  3: 'outOfStep',
  4: 'outOfStep',
  5: 'outOfStep',
  421: 'serviceClosing',
  skip: 'skipMx',
  odd: 'outOfStep',
} as const;
/** The connection's own commands go on only with a yes. */
const orRefuse = { ...never, 4: 'refuse', 5: 'refuse' } as const;
const whatever = {
  2: 'hangUp',
  3: 'hangUp',
  4: 'hangUp',
  5: 'hangUp',
  421: 'hangUp',
  skip: 'hangUp',
  odd: 'hangUp',
} as const;

const state = (
  called: string,
  timeout: ClientState['timeout'],
  on: ClientState['on'],
  end: ClientState['end'] = 'lost',
): ClientState => ({ called, timeout, on, end });

/**
 * THE table of the client side: what is awaited, for how long, and what every answer means. `idle` is also
 * the row of a reply nobody asked for.
 */
export const clientTable: Readonly<Record<Awaited, ClientState>> = {
  connect: state('the connection', 'connectTimeoutMs', never, 'noConnection'),
  greeting: state('the greeting', 'greetingTimeoutMs', { ...orRefuse, 2: 'sayEhlo' }),
  // RFC 5321 section 3.2: who does not know EHLO knows HELO.
  ehlo: state('the reply to EHLO', 'commandTimeoutMs', { ...orRefuse, 2: 'greeted', 5: 'sayHelo' }),
  helo: state('the reply to HELO', 'commandTimeoutMs', { ...orRefuse, 2: 'greetedPlainly' }),
  // RFC 3207 section 4: after a no the dialogue may go on as it is.
  starttls: state(
    'the reply to STARTTLS',
    'commandTimeoutMs',
    {
      ...never,
      2: 'shakeHands',
      4: 'stayPlain',
      5: 'stayPlain',
    },
    'tlsFailed',
  ),
  tls: state('the TLS handshake', 'connectTimeoutMs', never, 'tlsFailed'),
  // A remote that cannot forget the last envelope must not get another one.
  rset: state('the reply to RSET', 'commandTimeoutMs', { ...orRefuse, 2: 'goOn' }),
  mail: state('the reply to MAIL', 'commandTimeoutMs', {
    ...never,
    2: 'mailTaken',
    4: 'mailRefused',
    5: 'mailRefused',
  }),
  rcpt: state('the reply to RCPT', 'commandTimeoutMs', {
    ...never,
    2: 'recipientAccepted',
    4: 'recipientRefused',
    5: 'recipientRefused',
  }),
  data: state('the reply to DATA', 'commandTimeoutMs', {
    ...never,
    3: 'sendContent',
    4: 'dataRefused',
    5: 'dataRefused',
  }),
  content: state('the reply to the message', 'dataTerminationTimeoutMs', {
    ...never,
    2: 'contentTaken',
    4: 'contentRefused',
    5: 'contentRefused',
  }),
  quit: state('the reply to QUIT', quitTimeoutMs, whatever, 'nothing'),
  idle: state('the rest of a reply', Number.POSITIVE_INFINITY, never),
};

/** How long `awaited` is awaited; Infinity while nothing is. */
export function timeoutOf(awaited: Awaited, settings: ClientSettings): number {
  const { timeout } = clientTable[awaited];
  return typeof timeout === 'number' ? timeout : settings[timeout];
}
