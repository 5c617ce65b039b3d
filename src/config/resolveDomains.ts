import type { DomainBlock, DomainPattern, DomainSettings, PoolConfig, Setting } from './config.ts';
import type { Finding } from './finding.ts';
import { type DomainMacro, domainMacro, domainTag, parseDomainPatterns, smtpHosts } from './hostValues.ts';
import { argumentOf, readSettings, type SettingSource, sectionsNamed, settingsOf } from './nodes.ts';
import type { ConfigNode, SectionNode } from './parser.ts';
import type { SendingNames } from './resolveVirtualMtas.ts';
import { sayError, writtenAt } from './say.ts';
import { sourceIpCount, sourceIpDataRate, sourceIpRate } from './sourceIpValues.ts';
import {
  boolean,
  booleanOrInterval,
  count,
  dataRate,
  idleInterval,
  interval,
  intervalOrNever,
  intervals,
  maxRcpt,
  name,
  path,
  port,
  positive,
  positiveInterval,
  rate,
  text,
  texts,
  type ValueReader,
} from './values.ts';

/** How each honoured setting of a `<domain>` is written. */
export const domainTable: { readonly [K in keyof DomainSettings]: SettingSource<DomainSettings[K]> } = {
  maxSmtpOut: written(positive, 'max-smtp-out'),
  maxMsgPerConnection: written(count, 'max-msg-per-connection'),
  maxRcptPerMessage: written(maxRcpt, 'max-rcpt-per-message', 'max-rcpt-per-transaction'),
  retryAfterMs: written(intervals, 'retry-after'),
  retryRecipientsAfterMs: written(positiveInterval, 'retry-recipients-after'),
  bounceAfterMs: written(positiveInterval, 'bounce-after'),
  smtpHosts: written(smtpHosts, 'smtp-hosts', 'route'),
  defaultSmtpPort: written(port, 'default-smtp-port'),
  connectTimeoutMs: written(positiveInterval, 'connect-timeout'),
  smtpGreetingTimeoutMs: written(positiveInterval, 'smtp-greeting-timeout'),
  dataSendTimeoutMs: written(positiveInterval, 'data-send-timeout'),
  dataTerminationTimeoutMs: written(positiveInterval, 'smtp-data-termination-timeout'),
  multiLineResponseTimeoutMs: written(positiveInterval, 'smtp-multiple-line-response-timeout'),
  connectionIdleTimeoutMs: written(idleInterval, 'connection-idle-timeout'),
  logConnections: written(boolean, 'log-connections'),
  logCommands: written(boolean, 'log-commands'),
  logData: written(boolean, 'log-data'),
  logResolution: written(boolean, 'log-resolution'),
  logTls: written(boolean, 'log-tls'),
  maxMsgRate: written(rate, 'max-msg-rate'),
  maxConnectRate: written(rate, 'max-connect-rate'),
  maxDataVolumeRate: written(dataRate, 'max-data-volume-rate'),
  backoffMaxMsgRate: written(rate, 'backoff-max-msg-rate'),
  backoffMaxConnectRate: written(rate, 'backoff-max-connect-rate'),
  backoffMaxDataVolumeRate: written(dataRate, 'backoff-max-data-volume-rate'),
  backoffMaxSmtpOut: written(positive, 'backoff-max-smtp-out'),
  backoffRetryAfterMs: written(intervals, 'backoff-retry-after'),
  sourceIpMaxSmtpOut: gathered(sourceIpCount, 'source-ip-max-smtp-out'),
  sourceIpMaxMsgRate: gathered(sourceIpRate, 'source-ip-max-msg-rate'),
  sourceIpMaxConnectRate: gathered(sourceIpRate, 'source-ip-max-connect-rate'),
  sourceIpMaxDataVolumeRate: gathered(sourceIpDataRate, 'source-ip-max-data-volume-rate'),
  smtpOutRampupIntervalMs: written(interval, 'smtp-out-rampup-interval'),
  maxErrorsPerConnection: written(count, 'max-errors-per-connection'),
  retryAfterDnsErrorMs: written(positiveInterval, 'retry-after-dns-error'),
  retryUponNewMail: written(boolean, 'retry-upon-new-mail'),
  bounceUponNoMx: written(booleanOrInterval, 'bounce-upon-no-mx'),
  bounceUpon5xxGreeting: written(boolean, 'bounce-upon-5xx-greeting'),
  smtp421MeansMxUnavailable: written(boolean, 'smtp-421-means-mx-unavailable'),
  smtp553MeansInvalidMailbox: written(boolean, 'smtp-553-means-invalid-mailbox'),
  replaceSmtp421ServiceResponse: written(boolean, 'replace-smtp-421-service-response'),
  assumeDeliveryUponDataTerminationTimeout: written(boolean, 'assume-delivery-upon-data-termination-timeout'),
  smtpPatternList: written(name, 'smtp-pattern-list'),
  backoffNotify: written(texts, 'backoff-notify'),
  backoffToNormalAfterMs: written(intervalOrNever, 'backoff-to-normal-after'),
  backoffToNormalAfterDelivery: written(boolean, 'backoff-to-normal-after-delivery'),
  backoffUponAllSourcesDisabled: written(boolean, 'backoff-upon-all-sources-disabled'),
  reenableSourceIpAfterMs: written(intervalOrNever, 'reenable-source-ip-after'),
  disabledSourceIpNotify: written(texts, 'disabled-source-ip-notify'),
  backoffRerouteToVirtualMta: written(name, 'backoff-reroute-to-virtual-mta'),
  rerouteToVirtualMta: written(name, 'reroute-to-virtual-mta'),
  mxConnectionAttempts: written(positive, 'mx-connection-attempts'),
  allowLoopbackMx: written(boolean, 'allow-loopback-mx'),
  useStarttls: written(boolean, 'use-starttls'),
  requireStarttls: written(boolean, 'require-starttls'),
  ignore8bitmime: written(boolean, 'ignore-8bitmime'),
  ignoreChunking: written(boolean, 'ignore-chunking'),
  ignorePipelining: written(boolean, 'ignore-pipelining'),
  ignoreDsn: written(boolean, 'ignore-dsn'),
  smtpTlsCiphers: written(text, 'smtp-tls-ciphers'),
  smtpTlsCaFile: written(path, 'smtp-tls-ca-file'),
  smtpTlsAllowTlsv12: written(boolean, 'smtp-tls-allow-tlsv1.2'),
  smtpTlsAllowTlsv13: written(boolean, 'smtp-tls-allow-tlsv1.3'),
  reuseSslSession: written(boolean, 'reuse-ssl-session'),
};

function written<T>(reader: ValueReader<T>, ...names: readonly string[]): SettingSource<T> {
  return { names, reader };
}

/** Its lines within one block add up. */
function gathered<T>(
  reader: ValueReader<readonly T[]>,
  ...names: readonly string[]
): SettingSource<readonly T[]> {
  return { names, reader, joined: (earlier, later) => [...earlier, ...later] };
}

/**
 * Every `<domain>` block of every scope. Those that a macro was expanded into come before the literal
 * ones, so that "the later wins" makes a literally listed domain beat an expanded one (powermta a.3).
 */
export function resolveDomains(
  nodes: readonly ConfigNode[],
  names: SendingNames,
  findings: Finding[],
): readonly DomainBlock[] {
  const macros = new Map<string, Setting<DomainMacro>>();
  for (const macro of settingsOf(nodes, 'domain-macro', domainMacro)) macros.set(macro.value.name, macro);
  const expanded: DomainBlock[] = [];
  const literal: DomainBlock[] = [];
  const addAll = (within: readonly ConfigNode[], scope: DomainBlock['scope']): void => {
    for (const section of sectionsNamed(within, 'domain')) {
      const tag = argumentOf(section, domainTag);
      if (tag === undefined) continue;
      const settings = readSettings(section.children, domainTable);
      const { origin } = section;
      for (const pattern of patternsOf(section, tag, macros, findings)) {
        (tag.includes('$') ? expanded : literal).push({ origin, pattern, scope, settings });
      }
    }
  };
  addAll(nodes, { kind: 'global' });
  for (const [sectionName, kind] of [
    ['virtual-mta-pool', 'pool'],
    ['virtual-mta', 'vmta'],
  ] as const) {
    for (const section of sectionsNamed(nodes, sectionName)) {
      const owner = argumentOf(section, name);
      if (owner === undefined) continue;
      addAll(section.children, { kind, name: names.declared.get(owner.toLowerCase()) ?? owner });
    }
  }
  return [...ofAllDomains(nodes), ...expanded, ...literal];
}

/** What is written outside any `<domain>` and speaks for all of them. */
function ofAllDomains(nodes: readonly ConfigNode[]): readonly DomainBlock[] {
  const { allowLoopbackMx } = readSettings(nodes, { allowLoopbackMx: domainTable.allowLoopbackMx });
  if (allowLoopbackMx?.origin === undefined) return [];
  const { origin } = allowLoopbackMx;
  return [{ origin, pattern: { kind: 'all' }, scope: { kind: 'global' }, settings: { allowLoopbackMx } }];
}

/** A macro list with more items than this, after expansion, is a mistake (or an attack by doubling). */
const maxExpansion = 50_000;

function patternsOf(
  section: SectionNode,
  tag: string,
  macros: ReadonlyMap<string, Setting<DomainMacro>>,
  findings: Finding[],
): readonly DomainPattern[] {
  const report = (code: string, message: string): readonly DomainPattern[] => {
    const { origin, underline } = section;
    findings.push(sayError(code, message, origin, { underline }));
    return [];
  };
  const texts = expand(tag, macros, []);
  if (!Array.isArray(texts)) return report(texts.code, texts.message);
  const patterns: DomainPattern[] = [];
  for (const text of texts) {
    const read = parseDomainPatterns(text);
    if (read === undefined) return report('E-BAD-VALUE', `${tag} stands for ${text}, which is no domain.`);
    patterns.push(...read);
  }
  return patterns;
}

interface ExpansionProblem {
  readonly code: string;
  readonly message: string;
}

/** Replaces the first macro by each of its items, and so on. `within` are the macros being expanded. */
function expand(
  text: string,
  macros: ReadonlyMap<string, Setting<DomainMacro>>,
  within: readonly string[],
): string[] | ExpansionProblem {
  const match = /\$(\w+)/.exec(text);
  if (match === null) return [text];
  const macroName = match[1]!.toLowerCase();
  const macro = macros.get(macroName);
  if (macro === undefined)
    return { code: 'E-MACRO-MISSING', message: `There is no domain-macro ${match[1]}.` };
  if (within.includes(macroName)) {
    const message = `domain-macro ${macroName} uses itself.`;
    return { code: 'E-MACRO-LOOP', message };
  }
  const before = text.slice(0, match.index);
  const after = expand(text.slice(match.index + match[0].length), macros, within);
  if (!Array.isArray(after)) return after;
  const texts: string[] = [];
  for (const item of macro.value.items) {
    const middle = expand(item, macros, [...within, macroName]);
    if (!Array.isArray(middle)) return middle;
    if (texts.length + middle.length * after.length > maxExpansion) {
      return { code: 'E-MACRO-LOOP', message: `$${macroName} stands for more than ${maxExpansion} domains.` };
    }
    for (const m of middle) for (const rest of after) texts.push(joined(before, m, rest));
  }
  return texts;
}

/** `yahoo.$tld` with the item `.co.uk` means one dot. */
function joined(before: string, middle: string, after: string): string {
  return before + (before.endsWith('.') && middle.startsWith('.') ? middle.slice(1) : middle) + after;
}

/** A virtual MTA inherits from one pool: two that both have `<domain>` blocks are refused (powermta a.4). */
export function checkPoolDomains(
  pools: readonly PoolConfig[],
  domains: readonly DomainBlock[],
  findings: Finding[],
): void {
  const withDomains = new Set(domains.flatMap(({ scope }) => (scope.kind === 'pool' ? [scope.name] : [])));
  const poolOf = new Map<string, string>();
  for (const pool of pools) {
    if (!withDomains.has(pool.name)) continue;
    for (const member of pool.members) {
      const other = poolOf.get(member.value);
      poolOf.set(member.value, pool.name);
      if (other === undefined || other === pool.name) continue;
      const message = `${member.value} is in the pools ${other} and ${pool.name}, and both have <domain> blocks.`;
      findings.push(
        sayError('E-POOL-DOMAINS', message, member.origin, {
          underline: writtenAt(member.origin!).length,
          fix: 'it can inherit from one of them only: move the blocks into its <virtual-mta>',
        }),
      );
    }
  }
}
