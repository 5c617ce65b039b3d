/** Which `<source>` settings hold for a client, and which line set each (powermta a.4 item 4). */

import { assert } from '../base/assert.ts';
import { addressBits, type IpAddress, parseCidr } from '../base/ip.ts';
import {
  type Config,
  type InjectionSourceConfig,
  type InjectionSourceSettings,
  injectionSourceDefaults,
  type ListenerConfig,
  type Setting,
} from '../config/config.ts';
import { meansEveryone } from './addressSpace.ts';

/** Every source setting as it holds for one client, with the line that set it. */
export type EffectiveSource = {
  readonly [K in keyof InjectionSourceSettings]: Setting<InjectionSourceSettings[K]>;
};

export interface Overlay {
  readonly effective: EffectiveSource;
  /** The blocks laid over each other, from the general to the specific, the listener's source last. */
  readonly blocks: readonly InjectionSourceConfig[];
}

export type OverlayFor = (listener: ListenerConfig, client: IpAddress) => Overlay;

/** All blocks of one prefix length, by their leading bits. */
interface PrefixTable {
  readonly hostBits: bigint;
  readonly blocks: Map<bigint, InjectionSourceConfig[]>;
}

/** The answer for a client costs one look-up per prefix length in use, however many blocks there are. */
export function compileOverlay(config: Config): OverlayFor {
  const everyone: InjectionSourceConfig[] = [];
  const byName = new Map<string, InjectionSourceConfig[]>();
  const byFamily: Record<4 | 6, PrefixTable[]> = { 4: [], 6: [] };

  for (const block of config.injectionSources) {
    if (block.over.kind === 'name') append(byName, nameKey(block.over.name), block);
    else if (meansEveryone(block.over.cidr)) everyone.push(block);
    else {
      const cidr = parseCidr(`${block.over.cidr.address}/${block.over.cidr.bits}`);
      assert(cidr !== undefined, 'a source range is canonical');
      const hostBits = BigInt(addressBits(cidr.family) - cidr.bits);
      const tables = byFamily[cidr.family];
      let table = tables.find((candidate) => candidate.hostBits === hostBits);
      if (table === undefined) {
        table = { hostBits, blocks: new Map() };
        tables.push(table);
      }
      append(table.blocks, cidr.first >> hostBits, block);
    }
  }
  for (const family of [4, 6] as const) byFamily[family].sort((a, b) => (a.hostBits > b.hostBits ? -1 : 1));

  return (listener, client) => {
    const blocks = [...everyone];
    for (const table of byFamily[client.family]) {
      const covering = table.blocks.get(client.value >> table.hostBits);
      if (covering !== undefined) blocks.push(...covering);
    }
    if (listener.source !== undefined) blocks.push(...(byName.get(nameKey(listener.source.value)) ?? []));
    return { blocks, effective: layered(blocks, listener.defaultVirtualMta) };
  };
}

/** PowerMTA compares names without case (powermta a.1). */
function nameKey(name: string): string {
  return name.toLowerCase();
}

const builtIn = Object.fromEntries(
  Object.entries(injectionSourceDefaults).map(([name, value]) => [name, { value, origin: undefined }]),
) as EffectiveSource;

/** Later blocks win. A listener's own pool stands for a default-virtual-mta in its source (powermta b.2). */
function layered(
  blocks: readonly InjectionSourceConfig[],
  listenerPool: Setting<string> | undefined,
): EffectiveSource {
  let effective = builtIn;
  for (const block of blocks) effective = { ...effective, ...block.settings };
  return listenerPool === undefined ? effective : { ...effective, defaultVirtualMta: listenerPool };
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
