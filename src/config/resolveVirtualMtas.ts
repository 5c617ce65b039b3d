import { defaultVirtualMta } from '../message/names.ts';
import type {
  InjectionSourceConfig,
  ListenerConfig,
  PoolConfig,
  Setting,
  VirtualMtaConfig,
} from './config.ts';
import type { Finding } from './finding.ts';
import { host, sourceHost } from './hostValues.ts';
import { NearestNames } from './nearest.ts';
import { argumentOf, readSettings, sectionsNamed, settingOf, settingsOf } from './nodes.ts';
import type { ConfigNode, SectionNode } from './parser.ts';
import { placeOf, sayError, writtenAt } from './say.ts';
import { count, dataRate, name, rate } from './values.ts';

/** Virtual MTAs and pools share one name space, compared without case (powermta a.1, b.7). */
export interface SendingNames {
  readonly virtualMtas: readonly VirtualMtaConfig[];
  readonly pools: readonly PoolConfig[];
  /** The spelling a name was declared with, by its lower case. */
  readonly declared: ReadonlyMap<string, string>;
  readonly nearest: NearestNames;
}

export function resolveVirtualMtas(nodes: readonly ConfigNode[], findings: Finding[]): SendingNames {
  const groups = groupedByName(sectionsNamed(nodes, 'virtual-mta-pool'));
  const poolLimits = poolLimitsByMember(groups);
  const virtualMtas = groupedByName(sectionsNamed(nodes, 'virtual-mta')).map((group) =>
    virtualMtaOf(group, poolLimits.get(group.name.toLowerCase()) ?? {}),
  );
  const byName = new Map(virtualMtas.map((virtualMta) => [virtualMta.name.toLowerCase(), virtualMta]));
  const declared = new Map(virtualMtas.map((virtualMta) => [virtualMta.name.toLowerCase(), virtualMta.name]));
  const nearest = new NearestNames();
  const pools = groups.map((group): PoolConfig => {
    const clash = byName.get(group.name.toLowerCase());
    if (clash !== undefined) {
      const message = `${group.name} is a virtual MTA already, in ${placeOf(clash.origin, group.origin)}.`;
      findings.push(
        sayError('E-NAME-CLASH', message, group.origin, {
          underline: writtenAt(group.origin).length,
          fix: 'pools and virtual MTAs share one name space: give it another name',
        }),
      );
    }
    declared.set(group.name.toLowerCase(), clash?.name ?? group.name);
    const members = membersOf(group, { declared, nearest }, byName, findings);
    return { name: group.name, origin: group.origin, members };
  });
  return { virtualMtas, pools, declared, nearest };
}

/** Sections of one name, merged: their contents one behind the other. */
export interface Group {
  readonly name: string;
  readonly origin: SectionNode['origin'];
  readonly children: readonly ConfigNode[];
}

/** In the order of their first. */
export function groupedByName(sections: readonly SectionNode[]): readonly Group[] {
  const groups = new Map<string, Group & { readonly children: ConfigNode[] }>();
  for (const section of sections) {
    const written = argumentOf(section, name);
    if (written === undefined) continue;
    const key = written.toLowerCase();
    const group = groups.get(key) ?? { name: written, origin: section.origin, children: [] };
    for (const child of section.children) group.children.push(child);
    groups.set(key, group);
  }
  return [...groups.values()];
}

type VirtualMtaLimits = Pick<VirtualMtaConfig, 'maxSmtpOut' | 'maxSmtpMsgRate' | 'maxSmtpDataVolumeRate'>;

const noLimits: VirtualMtaLimits = {
  maxSmtpOut: { value: 0, origin: undefined },
  maxSmtpMsgRate: { value: undefined, origin: undefined },
  maxSmtpDataVolumeRate: { value: undefined, origin: undefined },
};

/** What virtual MTAs that do not set it have of their pools (powermta b.7), by the member's name in lower case. */
function poolLimitsByMember(pools: readonly Group[]): ReadonlyMap<string, Partial<VirtualMtaLimits>> {
  const found = new Map<string, Partial<VirtualMtaLimits>>();
  for (const { children } of pools) {
    const limits = readSettings(children, limitTable);
    for (const { value } of settingsOf(children, 'virtual-mta', name)) {
      const key = value.toLowerCase();
      found.set(key, { ...found.get(key), ...limits });
    }
  }
  return found;
}

const limitTable = {
  maxSmtpOut: { names: ['max-smtp-out'], reader: count },
  maxSmtpMsgRate: { names: ['max-smtp-msg-rate'], reader: rate },
  maxSmtpDataVolumeRate: { names: ['max-smtp-data-volume-rate'], reader: dataRate },
};

function virtualMtaOf(
  { name, origin, children }: Group,
  ofPools: Partial<VirtualMtaLimits>,
): VirtualMtaConfig {
  return {
    name,
    origin,
    smtpSourceHosts: settingsOf(children, 'smtp-source-host', sourceHost),
    hostName: settingOf(children, 'host-name', host),
    ...noLimits,
    ...ofPools,
    ...readSettings(children, limitTable),
  };
}

function membersOf(
  pool: Group,
  { declared, nearest }: Pick<SendingNames, 'declared' | 'nearest'>,
  virtualMtas: ReadonlyMap<string, VirtualMtaConfig>,
  findings: Finding[],
): readonly Setting<string>[] {
  const written = settingsOf(pool.children, 'virtual-mta', name);
  if (written.length === 0) {
    findings.push(
      sayError('E-POOL-EMPTY', `Pool ${pool.name} has no members.`, pool.origin, {
        underline: writtenAt(pool.origin).length,
        fix: 'add lines virtual-mta NAME',
      }),
    );
  }
  return written.flatMap((setting) => {
    const member = virtualMtas.get(setting.value.toLowerCase());
    if (member !== undefined) return [{ ...setting, value: member.name }];
    const isPool = declared.has(setting.value.toLowerCase());
    const message = isPool
      ? `${setting.value} is a pool; only virtual MTAs can be members.`
      : `There is no virtual MTA ${setting.value}.`;
    const meant = nearest.find(setting.value, namesOf(virtualMtas));
    findings.push(missing('E-POOL-MISSING', message, setting, meant));
    return [];
  });
}

/** One by one: few are looked at when many are missing. */
function* namesOf(virtualMtas: ReadonlyMap<string, VirtualMtaConfig>): Generator<string> {
  for (const virtualMta of virtualMtas.values()) yield virtualMta.name;
}

/** A reference to a virtual MTA or pool: the spelling it was declared with, or an error. */
export function checkedName(
  setting: Setting<string>,
  { declared, nearest }: SendingNames,
  findings: Finding[],
): Setting<string> {
  if (setting.value === '' || setting.value === defaultVirtualMta) return setting;
  const known = declared.get(setting.value.toLowerCase());
  if (known !== undefined) return { ...setting, value: known };
  const message = `There is no virtual MTA or pool ${setting.value}.`;
  const meant = nearest.find(setting.value, declared.values());
  findings.push(missing('E-VMTA-MISSING', message, setting, meant));
  return setting;
}

export function checkListenerNames(
  listeners: readonly ListenerConfig[],
  names: SendingNames,
  findings: Finding[],
): readonly ListenerConfig[] {
  return listeners.map((listener) =>
    listener.defaultVirtualMta === undefined
      ? listener
      : { ...listener, defaultVirtualMta: checkedName(listener.defaultVirtualMta, names, findings) },
  );
}

/** One `<source 0/0>` stands for two ranges with the same settings: each line is judged once. */
export function checkSourceNames(
  injectionSources: readonly InjectionSourceConfig[],
  names: SendingNames,
  findings: Finding[],
): readonly InjectionSourceConfig[] {
  const checked = new Map<Setting<string>, Setting<string>>();
  const checkedAll = new Map<
    Setting<readonly string[] | undefined>,
    Setting<readonly string[] | undefined>
  >();
  return injectionSources.map((injectionSource) => {
    const { defaultVirtualMta: one, allowedVirtualMtas: several } = injectionSource.settings;
    const settings = { ...injectionSource.settings };
    if (one !== undefined) {
      settings.defaultVirtualMta = checked.get(one) ?? checkedName(one, names, findings);
      checked.set(one, settings.defaultVirtualMta);
    }
    if (several !== undefined) {
      settings.allowedVirtualMtas = checkedAll.get(several) ?? checkedNames(several, names, findings);
      checkedAll.set(several, settings.allowedVirtualMtas);
    }
    return { ...injectionSource, settings };
  });
}

function checkedNames(
  { value, origin }: Setting<readonly string[] | undefined>,
  names: SendingNames,
  findings: Finding[],
): Setting<readonly string[] | undefined> {
  const known = value?.map((one) => checkedName({ value: one, origin }, names, findings).value);
  return { value: known, origin };
}

export function missing(
  code: string,
  message: string,
  setting: Setting<string>,
  meant: string | undefined,
): Finding {
  const fix = meant === undefined ? '' : `did you mean ${meant}?`;
  return sayError(code, message, setting.origin, { underline: writtenAt(setting.origin!).length, fix });
}
