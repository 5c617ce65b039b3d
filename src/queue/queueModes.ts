import { type QueueName, splitQueueName } from '../message/names.ts';
import type { ConnectionSlots } from './connectionSlots.ts';
import type { Queue } from './queue.ts';
import type { QueueHost } from './queueHost.ts';
import type { QueueRegistry } from './queueRegistry.ts';
import type { ModeCause, ModeChange, ModeState, QueueMode, Step } from './schedule.ts';

type ModeNews = Pick<Step, 'modes' | 'changedModes' | 'withoutSource'>;

const noNews: ModeNews = { modes: [], changedModes: [], withoutSource: [] };

/** Backoff mode and disabled local addresses: what remotes, people and time change about a queue's limits. */
export class QueueModes {
  readonly #registry: QueueRegistry;
  readonly #slots: ConnectionSlots;
  #changes: ModeChange[] = [];
  #withoutSource: QueueName[] = [];
  readonly #changed = new Set<QueueName>();

  constructor(registry: QueueRegistry, slots: ConnectionSlots) {
    this.#registry = registry;
    this.#slots = slots;
  }

  /** What changed since the last call. */
  news(): ModeNews {
    if (this.#changed.size === 0) return noNews;
    const changedModes = [...this.#changed];
    const news = { modes: this.#changes, changedModes, withoutSource: this.#withoutSource };
    this.#changes = [];
    this.#withoutSource = [];
    this.#changed.clear();
    return news;
  }

  /** undefined: nothing is known of such a queue, so it is in normal mode and uses every address. */
  state(name: QueueName, nowMs: number): ModeState | undefined {
    const queue = this.#registry.anyOf(name);
    if (queue === undefined) return undefined;
    return {
      mode: queue.mode,
      ageMs: nowMs - queue.modeSinceMs,
      endsInMs: queue.backoffUntilMs - nowMs,
      disabled: queue.hosts.flatMap(({ address, disabledUntilMs }) =>
        address === undefined || disabledUntilMs === undefined
          ? []
          : [{ address, enabledInMs: disabledUntilMs - nowMs }],
      ),
    };
  }

  /**
   * After a restart, once the mail has been added: as it stood. A queue without mail is remembered for the
   * mail that comes.
   */
  restore(name: QueueName, { mode, ageMs, endsInMs, disabled }: ModeState, nowMs: number): void {
    const { domain, vmta } = splitQueueName(name);
    const queue = this.#registry.queueFor(domain, vmta);
    if (mode === 'backoff' && endsInMs > 0) {
      queue.mode = mode;
      queue.modeSinceMs = nowMs - ageMs;
      queue.backoffUntilMs = nowMs + endsInMs;
    }
    for (const { address, enabledInMs } of disabled) {
      if (enabledInMs <= 0) continue;
      const hosts = this.#hostsAt(queue, address);
      if (hosts.length > 0) queue.tellHostsApart();
      for (const host of hosts) host.disabledUntilMs = nowMs + enabledInMs;
    }
    // What has ended meanwhile is to be forgotten.
    this.#changed.add(name);
    this.#slots.review(queue, nowMs);
    if (queue.abandoned()) this.#registry.drop(queue, nowMs);
  }

  /** See `Scheduler.setMode`. */
  set(name: QueueName, mode: QueueMode, nowMs: number, normalAfterMs: number | undefined): boolean {
    const queue = this.#registry.anyOf(name);
    if (queue !== undefined) this.#change(queue, mode, 'asked', nowMs, normalAfterMs);
    return queue !== undefined;
  }

  /** See `Scheduler.disableSource`. */
  disable(name: QueueName, address: string, untilMs: number | undefined, nowMs: number): boolean {
    const queue = this.#registry.anyOf(name);
    const hosts = queue === undefined ? [] : this.#hostsAt(queue, address);
    if (queue === undefined || hosts.length === 0) return false;
    const hadSource = this.#hasSource(queue);
    queue.tellHostsApart();
    for (const host of hosts) host.disabledUntilMs = untilMs ?? Number.POSITIVE_INFINITY;
    this.#changed.add(name);
    if (!this.#registry.has(queue)) return true;
    for (const host of hosts) this.#slots.disabled(queue, host, nowMs);
    if (hadSource && !this.#hasSource(queue)) {
      this.#withoutSource.push(name);
      if (queue.settings.backoffUponAllSourcesDisabled) this.#change(queue, 'backoff', 'sources', nowMs);
    }
    return true;
  }

  /** See `Scheduler.enableSource`. */
  enable(name: QueueName, address: string | undefined, nowMs: number): boolean {
    const queue = this.#registry.anyOf(name);
    const disabled = (queue?.hosts ?? []).filter(
      (host) => host.disabledUntilMs !== undefined && (address === undefined || host.address === address),
    );
    for (const host of disabled) host.disabledUntilMs = undefined;
    if (disabled.length > 0) this.#changed.add(name);
    if (queue !== undefined && this.#registry.has(queue)) this.#slots.review(queue, nowMs);
    return disabled.length > 0;
  }

  /** A recipient was delivered in a batch that was taken in that mode. */
  delivered(queue: Queue, takenIn: QueueMode, nowMs: number): void {
    // What was on its way before the remote complained says nothing about it.
    if (takenIn !== 'backoff' || queue.mode !== 'backoff') return;
    if (queue.settings.backoffToNormalAfterDelivery) this.#change(queue, 'normal', 'delivery', nowMs);
  }

  /** Ends what time ends. */
  passTime(queue: Queue, nowMs: number): void {
    if (queue.backoffUntilMs <= nowMs) this.#change(queue, 'normal', 'time', nowMs);
    for (const host of queue.hosts) {
      if (host.disabledUntilMs === undefined || host.disabledUntilMs > nowMs) continue;
      host.disabledUntilMs = undefined;
      this.#changed.add(queue.name);
    }
  }

  #change(queue: Queue, mode: QueueMode, cause: ModeCause, nowMs: number, normalAfterMs?: number): void {
    const isSame = queue.mode === mode;
    if (isSame && (mode === 'normal' || normalAfterMs === undefined)) return;
    const afterMs = normalAfterMs ?? queue.settings.backoffToNormalAfterMs ?? Number.POSITIVE_INFINITY;
    queue.mode = mode;
    queue.backoffUntilMs = mode === 'normal' ? Number.POSITIVE_INFINITY : nowMs + afterMs;
    if (!isSame) {
      queue.modeSinceMs = nowMs;
      this.#changes.push({ queue: queue.name, mode, cause });
    }
    this.#changed.add(queue.name);
    if (this.#registry.has(queue)) this.#slots.review(queue, nowMs);
  }

  #hostsAt(queue: Queue, address: string): readonly QueueHost[] {
    const { sourceAddresses } = this.#registry.vmtaOf(queue);
    return sourceAddresses.flatMap((one, i) => (one === address ? [queue.hostFor(i, one)] : []));
  }

  #hasSource(queue: Queue): boolean {
    const { sourceAddresses } = this.#registry.vmtaOf(queue);
    return sourceAddresses.some((_, i) => queue.host(i)?.disabledUntilMs === undefined);
  }
}
