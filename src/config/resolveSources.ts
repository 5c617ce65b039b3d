import type { InjectionSourceConfig, InjectionSourceSettings } from './config.ts';
import { sourceArgument } from './hostValues.ts';
import { argumentOf, readSettings, type SettingSource, sectionsNamed, settingsOf } from './nodes.ts';
import type { ConfigNode } from './parser.ts';
import {
  boolean,
  count,
  dateHeader,
  defaultVirtualMtaName,
  dsnReturnDefault,
  headerName,
  headerNames,
  jobPrefix,
  name,
  nameWords,
  positiveInterval,
  size,
  type ValueReader,
} from './values.ts';

/** How each honoured setting of a `<source>` is written. */
export const injectionSourceTable: {
  readonly [K in keyof InjectionSourceSettings]: SettingSource<InjectionSourceSettings[K]>;
} = {
  alwaysAllowRelaying: written('always-allow-relaying', boolean),
  smtpService: written('smtp-service', boolean),
  maxMessageSizeBytes: written('max-message-size', size),
  maxRcptPerMessage: written('max-rcpt-per-message', count),
  defaultVirtualMta: written('default-virtual-mta', defaultVirtualMtaName),
  logConnections: written('log-connections', boolean),
  logCommands: written('log-commands', boolean),
  logData: written('log-data', boolean),
  addReceivedHeader: written('add-received-header', boolean),
  hideMessageSource: written('hide-message-source', boolean),
  maxMessageHops: written('max-message-hops', count),
  allowChunking: written('allow-chunking', boolean),
  allowSmtputf8: written('allow-smtputf8', boolean),
  smtpCommandTimeoutMs: written('smtp-command-timeout', positiveInterval),
  smtpDataTimeoutMs: written('smtp-data-timeout', positiveInterval),
  processXVirtualMta: written('process-x-virtual-mta', boolean),
  retainXVirtualMta: written('retain-x-virtual-mta', boolean),
  allowEmptyXVirtualMta: written('allow-empty-x-virtual-mta', boolean),
  addXVirtualMtaHeader: written('add-x-virtual-mta-header', boolean),
  allowedVirtualMtas: written<readonly string[] | undefined>('allowed-virtual-mtas', nameWords),
  rejectInvalidVirtualMta: written('reject-invalid-virtual-mta', boolean),
  patternList: written('pattern-list', name),
  processXJob: written('process-x-job', boolean),
  retainXJob: written('retain-x-job', boolean),
  jobidHeader: written('jobid-header', headerName),
  jobidPrefix: written('jobid-prefix', jobPrefix),
  processXEnvid: written('process-x-envid', boolean),
  removeReceivedHeaders: written('remove-received-headers', boolean),
  removeHeader: written('remove-header', headerNames),
  addMessageIdHeader: written('add-message-id-header', boolean),
  addDateHeader: written('add-date-header', dateHeader),
  suppressLocalDsn: written('suppress-local-dsn', boolean),
  dsnReturnDefault: written('dsn-return-default', dsnReturnDefault),
};

function written<T>(name: string, reader: ValueReader<T>): SettingSource<T> {
  return { names: [name], reader };
}

/**
 * Every `<source>`, in the order each range or name first appears; blocks for the same one merge, the
 * later winning. `<source 0/0>` means both families, so it gives two.
 */
export function resolveInjectionSources(nodes: readonly ConfigNode[]): readonly InjectionSourceConfig[] {
  const merged = new Map<string, InjectionSourceConfig>();
  for (const section of sectionsNamed(nodes, 'source')) {
    const argument = argumentOf(section, sourceArgument);
    if (argument === undefined) continue;
    const settings = {
      ...readSettings(section.children, injectionSourceTable),
      ...linesAdded(section.children, 'allowedVirtualMtas', 'allowed-virtual-mtas', nameWords),
      ...linesAdded(section.children, 'removeHeader', 'remove-header', headerNames),
    };
    const ranges: readonly InjectionSourceConfig['over'][] =
      argument.kind === 'name' ? [argument] : argument.cidrs.map((cidr) => ({ kind: 'cidr', cidr }));
    for (const over of ranges) {
      const key = over.kind === 'name' ? over.name.toLowerCase() : `${over.cidr.address}/${over.cidr.bits}`;
      const before = merged.get(key);
      merged.set(key, {
        origin: before?.origin ?? section.origin,
        over: before?.over ?? over,
        settings: { ...before?.settings, ...settings },
      });
    }
  }
  return [...merged.values()];
}

/** Of these the lines of one block add up. */
function linesAdded(
  nodes: readonly ConfigNode[],
  key: 'allowedVirtualMtas' | 'removeHeader',
  directive: string,
  reader: ValueReader<readonly string[]>,
): InjectionSourceConfig['settings'] {
  const lines = settingsOf(nodes, directive, reader);
  if (lines.length === 0) return {};
  return { [key]: { value: lines.flatMap(({ value }) => value), origin: lines[0]!.origin } };
}
