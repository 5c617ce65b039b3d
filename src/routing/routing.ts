import { assert } from '../base/assert.ts';
import type { Config, PoolConfig, Setting, SmtpSourceHost, VirtualMtaConfig } from '../config/config.ts';
import { defaultVirtualMta } from '../message/names.ts';

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

export interface Routing {
  /**
   * The virtual MTA of one message. The first of these that is set decides (powermta c):
   * 1. the listener's default-virtual-mta;
   * 2. `injectionSourceDefault`: default-virtual-mta of the effective source (the listener's named
   *    source already laid over the address sources), '' for none;
   * 3. `{default}`.
   * Call it once a message: a pool gives its members in turn.
   */
  route(listenerIndex: number, injectionSourceDefault: string): Route;
  /**
   * The source host of the next connection of a virtual MTA: its own hosts in turn, without any the
   * global ones in turn. EHLO name: the host's, else the virtual MTA's host-name, else the main host-name.
   * undefined: no such virtual MTA (it may have left the configuration while mail was queued); nothing
   * may be sent then, for any other address would be the wrong one.
   */
  nextSourceHost(vmta: string): SourceHost | undefined;
}

/** Names compare without case. Asserts that every name the configuration refers to exists in it. */
export function compileRouting(config: Config): Routing {
  const vmtas = new Map<string, VirtualMta>();
  for (const vmta of [undefined, ...config.virtualMtas]) {
    const compiled = compileVirtualMta(vmta, config);
    vmtas.set(key(compiled.name), compiled);
  }
  const targets = new Map<string, () => Route>();
  for (const { name } of vmtas.values()) {
    const route = { vmta: name, vmtaPool: '' };
    targets.set(key(name), () => route);
  }
  for (const pool of config.pools) targets.set(key(pool.name), inTurn(poolRoutes(pool, vmtas)));

  const target = (name: string): (() => Route) => {
    const found = targets.get(key(name));
    assert(found !== undefined, `"${name}" is a virtual MTA or pool of the configuration`);
    return found;
  };
  const byListener = config.listeners.map(
    (listener) => listener.defaultVirtualMta && target(listener.defaultVirtualMta.value),
  );
  for (const { settings } of config.injectionSources)
    target(settings.defaultVirtualMta?.value || defaultVirtualMta);

  return {
    route: (listenerIndex, injectionSourceDefault) =>
      (byListener[listenerIndex] ?? target(injectionSourceDefault || defaultVirtualMta))(),
    nextSourceHost: (vmta) => vmtas.get(key(vmta))?.nextSourceHost(),
  };
}

interface VirtualMta {
  readonly name: string;
  readonly nextSourceHost: () => SourceHost;
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
    nextSourceHost: inTurn(
      sourceHosts.length > 0 ? sourceHosts : [{ localAddress: undefined, ehloName: hostName }],
    ),
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
