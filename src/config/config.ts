/**
 * The resolved configuration: what a file means after inheritance. Plain data (it travels between
 * processes), and every value knows the line that set it (architecture promise 5).
 */

/** Where a value was written. Lines and columns count from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The source line itself, for messages. */
  readonly text: string;
}

/** A value and its line; `origin` is undefined for a built-in default. */
export interface Setting<T> {
  readonly value: T;
  readonly origin: Origin | undefined;
}

/** At most `count` in any window of `perMs`. undefined: no limit. */
export type Rate = { readonly count: number; readonly perMs: number } | undefined;

/** An address range: `bits` leading bits of `address` count. Canonical text, host bits zero. */
export interface CidrText {
  readonly address: string;
  readonly bits: number;
}

export type Durability = 'sync' | 'os' | 'none';

export interface Config {
  /** The main file's path, or `embedded default`. */
  readonly file: string;
  readonly postmaster: Setting<readonly string[]>;
  /** The first is the main name; never empty (default: the system's name). */
  readonly hostNames: Setting<readonly string[]>;
  /** Never empty: 127.0.0.1:25 with an undefined origin when none is configured (architecture 7). */
  readonly listeners: readonly ListenerConfig[];
  /** In file order. */
  readonly injectionSources: readonly InjectionSourceConfig[];
  readonly relayDomains: readonly Setting<DomainPattern>[];
  readonly virtualMtas: readonly VirtualMtaConfig[];
  readonly pools: readonly PoolConfig[];
  readonly patternLists: readonly PatternListConfig[];
  /** A virtual MTA or pool; '' for none. */
  readonly invalidVirtualMtaFallback: Setting<string>;
  /** Every `<domain>` block of every scope, in file order. */
  readonly domains: readonly DomainBlock[];
  readonly smtpPatternLists: readonly SmtpPatternList[];
  /** `<bounce-category-patterns>`, in order; empty: the built-in ones alone. */
  readonly bounceCategoryRules: readonly CategoryRule[];
  readonly acctFiles: readonly AcctFileConfig[];
  /** Never empty. This release uses the first. */
  readonly spools: readonly Setting<string>[];
  /** Below it no new mail is taken; a reserve of our own holds beside it. */
  readonly minFreeSpaceBytes: Setting<number>;
  readonly logFile: Setting<string>;
  readonly totalMaxSmtpIn: Setting<number>;
  readonly totalMaxSmtpOut: Setting<number>;
  readonly durability: Setting<Durability>;
  readonly engines: Setting<number>;
  readonly domainPrecedence: Setting<'specificity' | 'scope'>;
  /** Resolvers, asked in turn; empty: the system's. */
  readonly nameServers: readonly Setting<string>[];
  /** Octets an answer by UDP may have. */
  readonly ednsUdpLength: Setting<number>;
  /** The From field of our own reports; '' leaves it to us. */
  readonly customDsnFromHeader: Setting<string>;
  /** The global smtp-source-host lines, for virtual MTAs without one. */
  readonly smtpSourceHosts: readonly Setting<SmtpSourceHost>[];
}

export interface ListenerConfig {
  /** Canonical IP; 0.0.0.0 and :: mean every local address of that family. */
  readonly address: string;
  readonly port: number;
  /** The line that opened it; undefined only for the implicit 127.0.0.1:25. */
  readonly origin: Origin | undefined;
  /** Written as a `<smtp-listener>` block: the loopback implied grant applies only then (architecture 7). */
  readonly blockForm: boolean;
  /** `source=NAME` or `source NAME`: a named source laid over the address sources. */
  readonly source: Setting<string> | undefined;
  /** undefined: everyone may connect. */
  readonly allowedHosts: Setting<readonly CidrText[]> | undefined;
  /** A pool or virtual MTA. */
  readonly defaultVirtualMta: Setting<string> | undefined;
  readonly durability: Setting<Durability> | undefined;
}

export interface InjectionSourceConfig {
  readonly origin: Origin;
  /** `<source 10/8>` has a range; `<source NAME>` or `<source {auth}>` a name. */
  readonly over:
    | { readonly kind: 'cidr'; readonly cidr: CidrText }
    | { readonly kind: 'name'; readonly name: string };
  /** Only what the block sets; defaults are `injectionSourceDefaults`. */
  readonly settings: Partial<{
    readonly [K in keyof InjectionSourceSettings]: Setting<InjectionSourceSettings[K]>;
  }>;
}

/** The source directives honoured now, with PowerMTA's meaning (powermta b.3). */
export interface InjectionSourceSettings {
  readonly alwaysAllowRelaying: boolean;
  readonly smtpService: boolean;
  /** 0: no cap. */
  readonly maxMessageSizeBytes: number;
  /** 0: none configured; the session's own bound still holds. */
  readonly maxRcptPerMessage: number;
  /** A pool or virtual MTA; '' for none. */
  readonly defaultVirtualMta: string;
  readonly logConnections: boolean;
  readonly logCommands: boolean;
  readonly logData: boolean;
  readonly addReceivedHeader: boolean;
  readonly hideMessageSource: boolean;
  readonly maxMessageHops: number;
  readonly allowChunking: boolean;
  readonly allowSmtputf8: boolean;
  readonly smtpCommandTimeoutMs: number;
  readonly smtpDataTimeoutMs: number;

  /** X-Virtual-MTA chooses a virtual MTA or pool; the field goes unless `retain`. */
  readonly processXVirtualMta: boolean;
  readonly retainXVirtualMta: boolean;
  /** An empty X-Virtual-MTA is `{default}`. */
  readonly allowEmptyXVirtualMta: boolean;
  readonly addXVirtualMtaHeader: boolean;
  /** What X-Virtual-MTA may choose; undefined: everything. */
  readonly allowedVirtualMtas: readonly string[] | undefined;
  readonly rejectInvalidVirtualMta: boolean;
  /** Name of a `<pattern-list>`; '' for none. */
  readonly patternList: string;
  readonly processXJob: boolean;
  readonly retainXJob: boolean;
  /** In lower case; '' for none. */
  readonly jobidHeader: string;
  /** `{auth}`: the name of the authenticated user. */
  readonly jobidPrefix: string;
  readonly processXEnvid: boolean;
  readonly removeReceivedHeaders: boolean;
  /** In lower case. */
  readonly removeHeader: readonly string[];
  readonly addMessageIdHeader: boolean;
  readonly addDateHeader: 'no' | 'yes' | 'override';
  readonly suppressLocalDsn: boolean;
  /** `system` leaves it to us: headers. */
  readonly dsnReturnDefault: 'headers' | 'full' | 'system';
}

export const injectionSourceDefaults: InjectionSourceSettings = {
  alwaysAllowRelaying: false,
  smtpService: true,
  maxMessageSizeBytes: 0,
  maxRcptPerMessage: 0,
  defaultVirtualMta: '',
  logConnections: false,
  logCommands: false,
  logData: false,
  addReceivedHeader: true,
  hideMessageSource: false,
  maxMessageHops: 100,
  allowChunking: true,
  allowSmtputf8: true,
  smtpCommandTimeoutMs: 600_000,
  smtpDataTimeoutMs: 600_000,
  processXVirtualMta: false,
  retainXVirtualMta: false,
  allowEmptyXVirtualMta: false,
  addXVirtualMtaHeader: false,
  allowedVirtualMtas: undefined,
  rejectInvalidVirtualMta: true,
  patternList: '',
  processXJob: false,
  retainXJob: false,
  jobidHeader: '',
  jobidPrefix: '',
  processXEnvid: false,
  removeReceivedHeaders: false,
  removeHeader: [],
  addMessageIdHeader: false,
  addDateHeader: 'no',
  suppressLocalDsn: false,
  dsnReturnDefault: 'system',
};

/**
 * `*` all; `dom` exact; `*.dom` subdomains; `[*.]dom` both; `[CIDR]` address literals (powermta a.2).
 * Domains are lower case A-labels.
 */
export type DomainPattern =
  | { readonly kind: 'all' }
  | { readonly kind: 'exact'; readonly domain: string }
  | { readonly kind: 'subdomains'; readonly domain: string }
  | { readonly kind: 'domainAndSubdomains'; readonly domain: string }
  | { readonly kind: 'literal'; readonly cidr: CidrText };

export interface SmtpSourceHost {
  readonly address: string;
  /** The EHLO name used with this address. */
  readonly hostName: string;
}

export interface VirtualMtaConfig {
  readonly name: string;
  readonly origin: Origin;
  /** Empty: the global ones, and without those the system's choice. Round robin per connection. */
  readonly smtpSourceHosts: readonly Setting<SmtpSourceHost>[];
  readonly hostName: Setting<string> | undefined;
  /** Of all its queues together; 0: no limit. Its pool's where it has none of its own. */
  readonly maxSmtpOut: Setting<number>;
  readonly maxSmtpMsgRate: Setting<Rate>;
  readonly maxSmtpDataVolumeRate: Setting<Rate>;
}

export interface PoolConfig {
  readonly name: string;
  readonly origin: Origin;
  /** Virtual MTA names in file order, never empty. */
  readonly members: readonly Setting<string>[];
}

/** Rules that choose a virtual MTA; the first that matches decides (powermta b.9). */
export interface PatternListConfig {
  readonly name: string;
  readonly origin: Origin;
  readonly rules: readonly PatternRule[];
}

export interface PatternRule {
  readonly origin: Origin;
  readonly matches: PatternSubject;
  readonly result: PatternResult;
}

/** `expression`: between the slashes (`compileLinearPattern`). */
export type PatternSubject =
  | { readonly kind: 'everything' }
  | { readonly kind: 'mailFrom' | 'rcptTo'; readonly expression: string }
  /** `header` in lower case. */
  | { readonly kind: 'header'; readonly header: string; readonly expression: string };

export type PatternResult =
  /** A virtual MTA or pool; '' leaves the choice to what comes below the pattern list. */
  | { readonly kind: 'virtualMta'; readonly name: string }
  /** Another list, by name. Where none of its rules matches, the next rule here is tried. */
  | { readonly kind: 'call'; readonly list: string }
  /** A list written in place; the same holds. */
  | { readonly kind: 'rules'; readonly rules: readonly PatternRule[] };

export interface DomainBlock {
  readonly origin: Origin;
  readonly pattern: DomainPattern;
  readonly scope:
    | { readonly kind: 'global' }
    | { readonly kind: 'pool'; readonly name: string }
    | { readonly kind: 'vmta'; readonly name: string };
  readonly settings: Partial<{ readonly [K in keyof DomainSettings]: Setting<DomainSettings[K]> }>;
}

/** The domain directives honoured now (powermta b.8). */
export interface DomainSettings {
  readonly maxSmtpOut: number;
  /** 0: no limit. */
  readonly maxMsgPerConnection: number;
  readonly maxRcptPerMessage: number;
  /** Steps of the queue's retry clock; the last one repeats. Never empty. */
  readonly retryAfterMs: readonly number[];
  readonly retryRecipientsAfterMs: number;
  readonly bounceAfterMs: number;
  /** Empty: the recipient domain's MX. */
  readonly smtpHosts: readonly SmtpHostGroup[];
  readonly defaultSmtpPort: number;
  readonly connectTimeoutMs: number;
  readonly smtpGreetingTimeoutMs: number;
  readonly dataSendTimeoutMs: number;
  readonly dataTerminationTimeoutMs: number;
  readonly multiLineResponseTimeoutMs: number;
  /** How long a connection whose queue ran dry waits for more mail. */
  readonly connectionIdleTimeoutMs: number;
  readonly logConnections: boolean;
  readonly logCommands: boolean;
  readonly logData: boolean;
  readonly logResolution: boolean;
  readonly logTls: boolean;

  /** Recipients attempted, connections opened, octets delivered: at most so many in any window. */
  readonly maxMsgRate: Rate;
  readonly maxConnectRate: Rate;
  readonly maxDataVolumeRate: Rate;
  /** The same in backoff mode; 'normal': the one above. */
  readonly backoffMaxMsgRate: Rate | 'normal';
  readonly backoffMaxConnectRate: Rate | 'normal';
  readonly backoffMaxDataVolumeRate: Rate | 'normal';
  readonly backoffMaxSmtpOut: number;
  readonly backoffRetryAfterMs: readonly number[];
  /** The same for each local address within a range; of all that match, each holds. `max-smtp-out` 0: no limit. */
  readonly sourceIpMaxSmtpOut: readonly SourceIpLimit<number>[];
  readonly sourceIpMaxMsgRate: readonly SourceIpLimit<Rate>[];
  readonly sourceIpMaxConnectRate: readonly SourceIpLimit<Rate>[];
  readonly sourceIpMaxDataVolumeRate: readonly SourceIpLimit<Rate>[];
  /** Wait between opening connections of a queue; 0: none. */
  readonly smtpOutRampupIntervalMs: number;
  /** Recipients refused on one connection before we hang up; 0: no limit. */
  readonly maxErrorsPerConnection: number;

  readonly retryAfterDnsErrorMs: number;
  readonly retryUponNewMail: boolean;
  /** false: wait like for any failure; true: bounce at once; or: after so many milliseconds. */
  readonly bounceUponNoMx: boolean | number;
  readonly bounceUpon5xxGreeting: boolean;
  readonly smtp421MeansMxUnavailable: boolean;
  readonly smtp553MeansInvalidMailbox: boolean;
  readonly replaceSmtp421ServiceResponse: boolean;
  readonly assumeDeliveryUponDataTerminationTimeout: boolean;

  /** Name of a `<smtp-pattern-list>`; '' for none. */
  readonly smtpPatternList: string;
  readonly backoffNotify: readonly string[];
  /** undefined: never. */
  readonly backoffToNormalAfterMs: number | undefined;
  readonly backoffToNormalAfterDelivery: boolean;
  readonly backoffUponAllSourcesDisabled: boolean;
  readonly reenableSourceIpAfterMs: number | undefined;
  readonly disabledSourceIpNotify: readonly string[];
  /** A virtual MTA; '' for none. */
  readonly backoffRerouteToVirtualMta: string;
  readonly rerouteToVirtualMta: string;

  readonly mxConnectionAttempts: number;
  readonly allowLoopbackMx: boolean;
  readonly useStarttls: boolean;
  readonly requireStarttls: boolean;
  readonly ignore8bitmime: boolean;
  readonly ignoreChunking: boolean;
  readonly ignorePipelining: boolean;
  readonly ignoreDsn: boolean;
  /** OpenSSL's cipher list; '': the platform's. */
  readonly smtpTlsCiphers: string;
  /** PEM file of the authorities that vouch for remotes; '': they are not verified. */
  readonly smtpTlsCaFile: string;
  readonly smtpTlsAllowTlsv12: boolean;
  readonly smtpTlsAllowTlsv13: boolean;
  readonly reuseSslSession: boolean;
}

export interface SmtpPatternList {
  readonly name: string;
  readonly origin: Origin;
  readonly rules: readonly ReplyRule[];
}

/** What a reply that matches leads to. `expression`: between the slashes (`compileLinearPattern`). */
export interface ReplyRule {
  readonly expression: string;
  readonly origin: Origin;
  readonly actions: ReplyActions;
}

/** What is absent is not asked for (powermta b.9). */
export interface ReplyActions {
  readonly mode?: 'backoff' | 'normal';
  /** With mode backoff: instead of the queue's own backoff-to-normal-after. */
  readonly backoffToNormalAfterMs?: number;
  readonly skipMx?: true;
  readonly bounceQueue?: true;
  readonly bounceRcpt?: true;
  readonly disableSourceIp?: true;
  /** With disableSourceIp: instead of the queue's own reenable-source-ip-after. */
  readonly reenableAfterMs?: number;
  readonly deferQueue?: true;
}

export interface CategoryRule {
  readonly expression: string;
  readonly origin: Origin;
  readonly category: string;
}

/** A limit of each local address within one of the ranges, which are one as a rule. */
export interface SourceIpLimit<T> {
  readonly ranges: readonly CidrText[];
  readonly value: T;
}

/** `h1,h2;h3:port`: hosts of one group share a preference; the next group is tried after it. */
export type SmtpHostGroup = readonly SmtpHost[];

export interface SmtpHost {
  /** A canonical IP (written `[192.0.2.1]`, `[IPv6:...]` or bare) or a host name. */
  readonly host: string;
  readonly isAddress: boolean;
  /** Written `lookup-mx:example.com`: the MX of that domain are meant. */
  readonly lookupMx?: true;
  /** 0: the domain's default-smtp-port. */
  readonly port: number;
}

export const domainDefaults: DomainSettings = {
  maxSmtpOut: 20,
  maxMsgPerConnection: 0,
  maxRcptPerMessage: 1000,
  retryAfterMs: [600_000],
  retryRecipientsAfterMs: 600_000,
  bounceAfterMs: 388_800_000,
  smtpHosts: [],
  defaultSmtpPort: 25,
  connectTimeoutMs: 120_000,
  smtpGreetingTimeoutMs: 300_000,
  dataSendTimeoutMs: 180_000,
  dataTerminationTimeoutMs: 600_000,
  multiLineResponseTimeoutMs: 300_000,
  connectionIdleTimeoutMs: 1_000,
  logConnections: false,
  logCommands: false,
  logData: false,
  logResolution: false,
  logTls: false,
  maxMsgRate: undefined,
  maxConnectRate: undefined,
  maxDataVolumeRate: undefined,
  backoffMaxMsgRate: 'normal',
  backoffMaxConnectRate: 'normal',
  backoffMaxDataVolumeRate: 'normal',
  backoffMaxSmtpOut: 20,
  backoffRetryAfterMs: [3_600_000],
  sourceIpMaxSmtpOut: [],
  sourceIpMaxMsgRate: [],
  sourceIpMaxConnectRate: [],
  sourceIpMaxDataVolumeRate: [],
  smtpOutRampupIntervalMs: 0,
  maxErrorsPerConnection: 0,
  retryAfterDnsErrorMs: 60_000,
  retryUponNewMail: false,
  bounceUponNoMx: false,
  bounceUpon5xxGreeting: true,
  smtp421MeansMxUnavailable: false,
  smtp553MeansInvalidMailbox: true,
  replaceSmtp421ServiceResponse: false,
  assumeDeliveryUponDataTerminationTimeout: false,
  smtpPatternList: '',
  backoffNotify: [],
  backoffToNormalAfterMs: undefined,
  backoffToNormalAfterDelivery: false,
  backoffUponAllSourcesDisabled: false,
  reenableSourceIpAfterMs: undefined,
  disabledSourceIpNotify: [],
  backoffRerouteToVirtualMta: '',
  rerouteToVirtualMta: '',
  mxConnectionAttempts: 10,
  allowLoopbackMx: false,
  useStarttls: true,
  requireStarttls: false,
  ignore8bitmime: false,
  ignoreChunking: false,
  ignorePipelining: false,
  ignoreDsn: false,
  smtpTlsCiphers: '',
  smtpTlsCaFile: '',
  smtpTlsAllowTlsv12: true,
  smtpTlsAllowTlsv13: true,
  reuseSslSession: true,
};

export type AcctRecordType = 'd' | 'b' | 't' | 'tq' | 'r';

export interface AcctFileConfig {
  readonly origin: Origin;
  /** As written; files are named from it (powermta d.5). */
  readonly path: string;
  readonly records: Setting<readonly AcctRecordType[]>;
  readonly maxSizeBytes: Setting<number>;
  readonly moveTo: Setting<string> | undefined;
  readonly moveIntervalMs: Setting<number>;
  /** undefined value: never. */
  readonly deleteAfterMs: Setting<number | undefined>;
}
