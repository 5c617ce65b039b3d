import type { Config } from './config.ts';
import type { ConfigFiles } from './configFiles.ts';
import type { Finding } from './finding.ts';
import { domainPattern, host, ip, sourceHost } from './hostValues.ts';
import { settingOf, settingsOf } from './nodes.ts';
import { notYetFindings } from './notYet.ts';
import type { ConfigNode } from './parser.ts';
import { precedenceFindings } from './precedence.ts';
import { checkPoolDomains, resolveDomains } from './resolveDomains.ts';
import { resolveListeners } from './resolveListeners.ts';
import { resolvePatternLists } from './resolvePatternLists.ts';
import { checkPatternListNames, resolveReplyRules } from './resolveReplyRules.ts';
import { resolveInjectionSources } from './resolveSources.ts';
import {
  listSetting,
  resolveAcctFiles,
  resolveLogFile,
  resolveMinFreeSpace,
  resolveSpools,
  settingOr,
} from './resolveStorage.ts';
import {
  checkedName,
  checkListenerNames,
  checkSourceNames,
  resolveVirtualMtas,
} from './resolveVirtualMtas.ts';
import { address, domainPrecedence, durability, ednsUdpLength, name, positive, text } from './values.ts';

/** What the tree means. The configuration is complete even when findings forbid its use. */
export function resolve(
  mainFile: string,
  nodes: readonly ConfigNode[],
  files: ConfigFiles,
): { readonly config: Config; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [...notYetFindings(nodes, files)];
  const names = resolveVirtualMtas(nodes, findings);
  const injectionSources = checkSourceNames(resolveInjectionSources(nodes), names, findings);
  const listeners = checkListenerNames(resolveListeners(nodes, injectionSources, findings), names, findings);
  const domains = resolveDomains(nodes, names, findings);
  checkPoolDomains(names.pools, domains, findings);
  const config: Config = {
    file: mainFile,
    postmaster: listSetting(settingsOf(nodes, 'postmaster', address), []),
    hostNames: listSetting(settingsOf(nodes, 'host-name', host), [files.systemName]),
    listeners,
    injectionSources,
    relayDomains: settingsOf(nodes, 'relay-domain', domainPattern).flatMap(({ value, origin }) =>
      value.map((pattern) => ({ value: pattern, origin })),
    ),
    virtualMtas: names.virtualMtas,
    pools: names.pools,
    patternLists: resolvePatternLists(nodes, names, findings),
    invalidVirtualMtaFallback: checkedName(
      settingOr(settingOf(nodes, 'invalid-virtual-mta-fallback', name), ''),
      names,
      findings,
    ),
    domains,
    ...resolveReplyRules(nodes),
    acctFiles: resolveAcctFiles(nodes, findings),
    spools: resolveSpools(nodes, mainFile, findings),
    minFreeSpaceBytes: resolveMinFreeSpace(nodes),
    logFile: resolveLogFile(nodes, mainFile, findings),
    totalMaxSmtpIn: settingOr(settingOf(nodes, 'total-max-smtp-in', positive), 100),
    totalMaxSmtpOut: settingOr(settingOf(nodes, 'total-max-smtp-out', positive), 1200),
    durability: settingOr(settingOf(nodes, 'durability', durability), 'sync'),
    engines: settingOr(settingOf(nodes, 'engines', positive), 1),
    domainPrecedence: settingOr(settingOf(nodes, 'domain-precedence', domainPrecedence), 'specificity'),
    customDsnFromHeader: settingOr(settingOf(nodes, 'custom-dsn-from-header', text), ''),
    nameServers: settingsOf(nodes, 'name-server', ip),
    ednsUdpLength: settingOr(settingOf(nodes, 'edns-udp-length', ednsUdpLength), 1232),
    smtpSourceHosts: settingsOf(nodes, 'smtp-source-host', sourceHost),
  };
  checkPatternListNames(config, findings);
  findings.push(...precedenceFindings(config));
  return { config, findings };
}
