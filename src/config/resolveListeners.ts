import type { InjectionSourceConfig, ListenerConfig } from './config.ts';
import type { Finding } from './finding.ts';
import { cidrs, listenAddress, listenerLine } from './hostValues.ts';
import { argumentOf, settingOf, settingsOf } from './nodes.ts';
import type { ConfigNode } from './parser.ts';
import { placeOf, sayError, sayWarning, writtenAt } from './say.ts';
import { durability, name } from './values.ts';

/** `smtp-listener` lines and blocks, in file order; 127.0.0.1:25 when there is none (architecture 7). */
export function resolveListeners(
  nodes: readonly ConfigNode[],
  injectionSources: readonly InjectionSourceConfig[],
  findings: Finding[],
): readonly ListenerConfig[] {
  const listeners: ListenerConfig[] = [];
  const bound = new Map<string, ListenerConfig>();
  const declared = new Map<string, string>();
  for (const { over } of injectionSources) {
    const key = over.kind === 'name' ? over.name.toLowerCase() : '';
    if (over.kind === 'name' && !declared.has(key)) declared.set(key, over.name);
  }
  let written = false;
  for (const node of nodes) {
    if (node.definition.name !== 'smtp-listener') continue;
    written = true;
    const listener = node.kind === 'section' ? blockListener(node) : lineListener(node);
    if (listener === undefined) continue;
    const at = `${listener.address} port ${listener.port}`;
    const other = bound.get(at);
    if (other === undefined) {
      bound.set(at, listener);
      listeners.push(checkedSource(listener, declared, findings));
      continue;
    }
    const message = `A listener on ${at} is there already, in ${placeOf(other.origin!, node.origin)}.`;
    const { origin, underline } = node;
    findings.push(sayError('E-DUPLICATE-LISTENER', message, origin, { underline, fix: 'make it one' }));
  }
  if (written) return listeners;
  findings.push(
    sayWarning('W-IMPLICIT-LISTENER', 'No smtp-listener: mail is accepted on 127.0.0.1:25 only.', undefined, {
      fix: 'add a line such as smtp-listener 0.0.0.0:25',
    }),
  );
  return [{ ...plain, address: '127.0.0.1', port: 25, origin: undefined }];
}

const plain = {
  blockForm: false,
  source: undefined,
  allowedHosts: undefined,
  defaultVirtualMta: undefined,
  durability: undefined,
};

function lineListener(node: ConfigNode): ListenerConfig | undefined {
  const setting = settingOf([node], 'smtp-listener', listenerLine);
  if (setting === undefined) return undefined;
  const { value, origin } = setting;
  const source = value.source === undefined ? undefined : { value: value.source, origin };
  return { ...plain, address: value.address, port: value.port, origin, source };
}

function blockListener(node: ConfigNode & { kind: 'section' }): ListenerConfig | undefined {
  const at = argumentOf(node, listenAddress);
  if (at === undefined) return undefined;
  const hosts = settingsOf(node.children, 'allowed-hosts', cidrs);
  return {
    ...at,
    origin: node.origin,
    blockForm: true,
    source: settingOf(node.children, 'source', name),
    allowedHosts:
      hosts.length === 0
        ? undefined
        : { value: hosts.flatMap((setting) => setting.value), origin: hosts[0]!.origin },
    defaultVirtualMta: settingOf(node.children, 'default-virtual-mta-pool', name),
    durability: settingOf(node.children, 'durability', durability),
  };
}

/** The source a listener names must exist; it is given the spelling it was declared with first. */
function checkedSource(
  listener: ListenerConfig,
  declared: ReadonlyMap<string, string>,
  findings: Finding[],
): ListenerConfig {
  if (listener.source === undefined) return listener;
  const { value, origin } = listener.source;
  const spelling = declared.get(value.toLowerCase());
  if (spelling !== undefined) return { ...listener, source: { value: spelling, origin } };
  findings.push(
    sayError('E-SOURCE-MISSING', `There is no <source ${value}>.`, origin, {
      underline: writtenAt(origin!).length,
      fix: `add <source ${value}> ... </source>, or take the name out`,
    }),
  );
  return listener;
}
