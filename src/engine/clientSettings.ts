import { parseIp } from '../base/ip.ts';
import type { TlsClientOptions } from '../base/ports.ts';
import type { EffectiveDomainSettings } from '../config/domainSettings.ts';
import type { ClientSettings } from '../delivery/clientEffect.ts';
import type { PlannedEndpoint } from '../delivery/nextHop.ts';
import type { ReplySettings } from '../delivery/replySettings.ts';
import type { SourceHost } from '../routing/routing.ts';

/** Where one connection goes, and how. */
export interface DeliveryTarget {
  readonly endpoint: PlannedEndpoint;
  readonly sourceHost: SourceHost;
  readonly settings: EffectiveDomainSettings;
  /** TLS has failed there before: in the clear. */
  readonly isPlain: boolean;
  readonly replies: ReplySettings;
}

/** RFC 5321 section 4.5.3.2: PowerMTA has no directive for it. */
const commandTimeoutMs = 300_000;

/** What the session of one connection is told. */
export function clientSettings({ settings, sourceHost, isPlain, replies }: DeliveryTarget): ClientSettings {
  return {
    ehloName: sourceHost.ehloName,
    connectTimeoutMs: settings.connectTimeoutMs.value,
    greetingTimeoutMs: settings.smtpGreetingTimeoutMs.value,
    commandTimeoutMs,
    dataSendTimeoutMs: settings.dataSendTimeoutMs.value,
    dataTerminationTimeoutMs: settings.dataTerminationTimeoutMs.value,
    multiLineResponseTimeoutMs: settings.multiLineResponseTimeoutMs.value,
    starttls: starttlsOf(settings, isPlain),
    ignoredKeywords: ignoredKeywords(settings),
    maxErrors: settings.maxErrorsPerConnection.value,
    replies,
  };
}

/** require-starttls decides whatever use-starttls says. */
function starttlsOf(settings: EffectiveDomainSettings, isPlain: boolean): ClientSettings['starttls'] {
  if (settings.requireStarttls.value) return 'required';
  const mayUse = settings.useStarttls.value && (allowsTls12(settings) || allowsTls13(settings));
  return mayUse && !isPlain ? 'ifOffered' : 'never';
}

function ignoredKeywords(settings: EffectiveDomainSettings): ReadonlySet<string> {
  const ignored = new Set<string>();
  if (settings.ignore8bitmime.value) ignored.add('8BITMIME');
  if (settings.ignoreChunking.value) ignored.add('CHUNKING');
  if (settings.ignorePipelining.value) ignored.add('PIPELINING');
  if (settings.ignoreDsn.value) ignored.add('DSN');
  return ignored;
}

export function tlsOptions(settings: EffectiveDomainSettings, { host }: PlannedEndpoint): TlsClientOptions {
  return {
    // RFC 6066 section 3: no addresses.
    serverName: parseIp(host) === undefined ? host : '',
    authoritiesFile: settings.smtpTlsCaFile.value,
    ciphers: settings.smtpTlsCiphers.value,
    // RFC 8996: below 1.2 there is nothing, whatever smtp-tls-allow-tlsv1 and -tlsv1.1 say.
    minVersion: allowsTls12(settings) ? 'TLSv1.2' : 'TLSv1.3',
    maxVersion: allowsTls13(settings) ? 'TLSv1.3' : 'TLSv1.2',
    resumes: settings.reuseSslSession.value,
  };
}

const allowsTls12 = (settings: EffectiveDomainSettings): boolean => settings.smtpTlsAllowTlsv12.value;
const allowsTls13 = (settings: EffectiveDomainSettings): boolean => settings.smtpTlsAllowTlsv13.value;
