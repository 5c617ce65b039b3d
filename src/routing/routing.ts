import { assert } from '../base/assert.ts';
import type {
  Config,
  PatternRule,
  PoolConfig,
  Setting,
  SmtpSourceHost,
  VirtualMtaConfig,
} from '../config/config.ts';
import type { EnvelopeRecipient } from '../message/envelope.ts';
import { defaultVirtualMta, invalidVirtualMta, isInvalidVirtualMta } from '../message/names.ts';
import { type FieldFinder, fieldFinder } from '../protocol/headerFields.ts';
import { noSuchVirtualMta, replies, virtualMtaNotAllowed } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { type EffectiveSettings, type HeaderSays, headerControls } from './headerControls.ts';
import { compilePatternLists, type PatternSubjects } from './patternList.ts';

/** Under what a message is queued. `vmtaPool` is the pool that chose `vmta`, or ''. Names as their blocks spell them. */
export interface Route {
  readonly vmta: string;
  readonly vmtaPool: string;
}

/** The sending end of one connection. */
export interface SourceHost {
  /** Canonical IP to bind, or undefined for the system's choice. */
  readonly localAddress: string | undefined;
  readonly ehloName: string;
}

/** What of a message its routing depends on. */
export interface RoutedMail extends PatternSubjects {
  /** Not empty. */
  readonly recipients: readonly EnvelopeRecipient[];
}

/** Recipients of one message that go one way. */
export interface RouteGroup {
  readonly route: Route;
  /** Not empty, in the order of the message. */
  readonly recipients: readonly EnvelopeRecipient[];
}

export type RoutingVerdict =
  | { readonly kind: 'routed'; readonly groups: readonly RouteGroup[]; readonly header: HeaderSays }
  /** The message is not taken. */
  | { readonly kind: 'refused'; readonly reply: Reply };

/** What holds for mail of one kind of client. */
export interface RoutingRules {
  /** The fields that `route` asks for; quick where it asks for none. */
  readonly findFields: FieldFinder;
  /** Once for each message: a pool gives its members in turn. */
  route(mail: RoutedMail): RoutingVerdict;
}

export interface Routing {
  /** `effective`: the listener's named source already laid over the address sources. */
  rulesFor(listenerIndex: number, effective: EffectiveSettings): RoutingRules;
  /**
   * The source hosts that take turns for the connections of a virtual MTA: its own, without any the global
   * ones. EHLO name: the host's, else the virtual MTA's host-name, else the main host-name.
   * Empty: no such virtual MTA (it may have left the configuration while mail was queued); nothing
   * may be sent then, for any other address would be the wrong one.
   */
  sourceHosts(vmta: string): readonly SourceHost[];
}

/** What each asks for; '' for nothing. */
interface Asked {
  /** X-Virtual-MTA, where the source allows it. */
  readonly header: string;
  readonly patternList: string;
  /** The listener's default-virtual-mta-pool. */
  readonly listener: string;
  /** default-virtual-mta of the effective source. */
  readonly injectionSource: string;
}

/** Highest first (powermta c): the first that asks for anything decides. */
const selectionOrder: readonly ((asked: Asked) => string)[] = [
  (asked) => asked.header,
  (asked) => asked.patternList,
  // The source of an authenticated user belongs here.
  (asked) => asked.listener,
  (asked) => asked.injectionSource,
  () => defaultVirtualMta,
];

function selected(asked: Asked): string {
  for (const ask of selectionOrder) {
    const name = ask(asked);
    if (name !== '') return name;
  }
  return defaultVirtualMta;
}

/** Names compare without case. Asserts that every name the configuration refers to exists in it. */
export function compileRouting(config: Config): Routing {
  const vmtas = new Map<string, VirtualMta>();
  for (const vmta of [undefined, ...config.virtualMtas]) {
    const compiled = compileVirtualMta(vmta, config);
    vmtas.set(key(compiled.name), compiled);
  }
  const targets = compileTargets(config, vmtas);
  const patternLists = compilePatternLists(config.patternLists);
  for (const name of namesIn(config)) {
    assert(name === '' || targets.has(name), `"${name}" is a virtual MTA or pool of the configuration`);
  }
  for (const list of listsIn(config)) {
    assert(list === '' || patternLists.has(key(list)), `"${list}" is a pattern list of the configuration`);
  }

  return {
    rulesFor(listenerIndex, effective) {
      const controls = headerControls(effective);
      const list = patternLists.get(key(effective.patternList.value));
      const byHeader = headerChoice(effective, targets, config.invalidVirtualMtaFallback.value);
      const defaults = {
        listener: config.listeners[listenerIndex]?.defaultVirtualMta?.value ?? '',
        injectionSource: effective.defaultVirtualMta.value,
      };
      const silent = controls.read([]);
      const byDefault = targets.of(selected({ ...defaults, header: '', patternList: '' }));
      return {
        findFields: fieldFinder([...controls.names, ...(list?.headers ?? [])]),
        route(mail) {
          // Nearly all mail.
          if (mail.fields.length === 0 && list === undefined) {
            const groups = [{ route: byDefault(), recipients: mail.recipients }];
            return { kind: 'routed', groups, header: silent };
          }
          const header = controls.read(mail.fields);
          const asked = byHeader(header.virtualMta);
          if (typeof asked !== 'string') return { kind: 'refused', reply: asked };
          const ask = list === undefined || asked !== '' ? undefined : list.begin(mail);
          const nameFor = (recipient: EnvelopeRecipient): string =>
            selected({ ...defaults, header: asked, patternList: ask?.(recipient) ?? '' });
          const isOne = ask === undefined || !list!.dependsOnRecipient;
          const groups = isOne
            ? [{ route: targets.of(nameFor(mail.recipients[0]!))(), recipients: mail.recipients }]
            : grouped(mail.recipients, nameFor, targets);
          return { kind: 'routed', groups, header };
        },
      };
    },
    sourceHosts: (vmta) => vmtas.get(key(vmta))?.sourceHosts ?? [],
  };
}

/** One group for each name that is selected; each picks its route once. */
function grouped(
  recipients: readonly EnvelopeRecipient[],
  nameFor: (recipient: EnvelopeRecipient) => string,
  targets: Targets,
): readonly RouteGroup[] {
  const byName = new Map<string, EnvelopeRecipient[]>();
  for (const recipient of recipients) {
    const name = key(nameFor(recipient));
    const group = byName.get(name);
    if (group === undefined) byName.set(name, [recipient]);
    else group.push(recipient);
  }
  return Array.from(byName, ([name, group]) => ({ route: targets.of(name)(), recipients: group }));
}

/** What X-Virtual-MTA comes to: a name, '' for no choice, or a refusal. */
function headerChoice(
  effective: EffectiveSettings,
  targets: Targets,
  fallback: string,
): (written: string | undefined) => string | Reply {
  const allowed = effective.allowedVirtualMtas.value;
  const allowedKeys = allowed === undefined ? undefined : new Set(allowed.map(key));
  const allowsEmpty = effective.allowEmptyXVirtualMta.value;
  const rejects = effective.rejectInvalidVirtualMta.value;
  return (written) => {
    if (written === undefined) return '';
    const name = written === '' && allowsEmpty ? defaultVirtualMta : written;
    const isAllowed = allowedKeys === undefined || allowedKeys.has(key(name));
    if (isAllowed && targets.has(name)) return name;
    if (!rejects) return fallback || invalidVirtualMta(name);
    if (name === '') return replies.virtualMtaEmpty;
    return isAllowed ? noSuchVirtualMta(name) : virtualMtaNotAllowed(name);
  };
}

/** Virtual MTAs and pools, by name. */
interface Targets {
  has(name: string): boolean;
  /** The next of its members, of a pool. */
  of(name: string): () => Route;
}

function compileTargets(config: Config, vmtas: ReadonlyMap<string, VirtualMta>): Targets {
  const targets = new Map<string, () => Route>();
  for (const { name } of vmtas.values()) {
    const route = { vmta: name, vmtaPool: '' };
    targets.set(key(name), () => route);
  }
  for (const pool of config.pools) targets.set(key(pool.name), inTurn(poolRoutes(pool, vmtas)));
  return {
    has: (name) => targets.has(key(name)),
    of(name) {
      const found = targets.get(key(name));
      if (found === undefined && isInvalidVirtualMta(name)) return () => ({ vmta: name, vmtaPool: '' });
      assert(found !== undefined, `"${name}" is a virtual MTA or pool of the configuration`);
      return found;
    },
  };
}

/** Every virtual MTA and pool that mail may be directed to. */
function namesIn(config: Config): readonly string[] {
  return [
    config.invalidVirtualMtaFallback.value,
    ...config.listeners.map(({ defaultVirtualMta: name }) => name?.value ?? ''),
    ...config.injectionSources.flatMap(({ settings }) => [
      settings.defaultVirtualMta?.value ?? '',
      ...(settings.allowedVirtualMtas?.value ?? []),
    ]),
    ...config.patternLists
      .flatMap(({ rules }) => allRules(rules))
      .flatMap(({ result }) => (result.kind === 'virtualMta' ? [result.name] : [])),
  ];
}

function listsIn(config: Config): readonly string[] {
  return [
    ...config.injectionSources.map(({ settings }) => settings.patternList?.value ?? ''),
    ...config.patternLists
      .flatMap(({ rules }) => allRules(rules))
      .flatMap(({ result }) => (result.kind === 'call' ? [result.list] : [])),
  ];
}

function allRules(rules: readonly PatternRule[]): readonly PatternRule[] {
  return rules.flatMap((rule) =>
    rule.result.kind === 'rules' ? [rule, ...allRules(rule.result.rules)] : [rule],
  );
}

interface VirtualMta {
  readonly name: string;
  /** Never empty. */
  readonly sourceHosts: readonly SourceHost[];
}

/** `vmta` undefined: the built-in `{default}`, for which the global directives alone speak. */
function compileVirtualMta(vmta: VirtualMtaConfig | undefined, config: Config): VirtualMta {
  const own = vmta?.smtpSourceHosts ?? [];
  const hosts: readonly Setting<SmtpSourceHost>[] = own.length > 0 ? own : config.smtpSourceHosts;
  const hostName = vmta?.hostName?.value || config.hostNames.value[0]!;
  const sourceHosts: readonly SourceHost[] = hosts.map(({ value }) => ({
    localAddress: value.address,
    ehloName: value.hostName || hostName,
  }));
  return {
    name: vmta?.name ?? defaultVirtualMta,
    sourceHosts: sourceHosts.length > 0 ? sourceHosts : [{ localAddress: undefined, ehloName: hostName }],
  };
}

function poolRoutes(pool: PoolConfig, vmtas: ReadonlyMap<string, VirtualMta>): readonly Route[] {
  return pool.members.map(({ value }) => {
    const vmta = vmtas.get(key(value));
    assert(vmta !== undefined, `member "${value}" of pool "${pool.name}" is a virtual MTA`);
    return { vmta: vmta.name, vmtaPool: pool.name };
  });
}

/** Round robin over a list that is never empty. */
function inTurn<T>(items: readonly T[]): () => T {
  let turn = 0;
  return () => {
    const item = items[turn]!;
    turn = (turn + 1) % items.length;
    return item;
  };
}

function key(name: string): string {
  return name.toLowerCase();
}
