import { assert } from '../base/assert.ts';
import type { DomainSettings } from '../config/config.ts';
import type { QueueName } from '../message/names.ts';
import { none } from './columns.ts';
import { hasSourceIpLimits, QueueHost } from './queueHost.ts';
import { noRates, RateSet } from './rateSet.ts';
import type { QueueMode } from './schedule.ts';

/** The domain settings the scheduler keeps, by their names: each is asked for once when a queue comes into being. */
export const queueSettingNames = [
  'maxSmtpOut',
  'retryAfterMs',
  'retryRecipientsAfterMs',
  'bounceAfterMs',
  'maxRcptPerMessage',
  'maxMsgRate',
  'maxConnectRate',
  'maxDataVolumeRate',
  'backoffMaxSmtpOut',
  'backoffMaxMsgRate',
  'backoffMaxConnectRate',
  'backoffMaxDataVolumeRate',
  'backoffRetryAfterMs',
  'backoffToNormalAfterMs',
  'backoffToNormalAfterDelivery',
  'backoffUponAllSourcesDisabled',
  'smtpOutRampupIntervalMs',
  'sourceIpMaxSmtpOut',
  'sourceIpMaxMsgRate',
  'sourceIpMaxConnectRate',
  'sourceIpMaxDataVolumeRate',
  'retryAfterDnsErrorMs',
  'retryUponNewMail',
] as const satisfies readonly (keyof DomainSettings)[];

/** What the scheduler asks of the domain settings. `maxRcptPerMessage` 0: no limit. */
export type QueueSettings = Pick<DomainSettings, (typeof queueSettingNames)[number]>;

const normalDirectives = {
  msg: 'max-msg-rate',
  connect: 'max-connect-rate',
  data: 'max-data-volume-rate',
};
const backoffDirectives = {
  msg: 'backoff-max-msg-rate',
  connect: 'backoff-max-connect-rate',
  data: 'backoff-max-data-volume-rate',
};

/**
 * One queue: domain x virtual MTA. Lives while it has recipients, connections or a retry clock running. Then
 * all of it is forgotten but what a rate has counted, the mode and the disabled addresses (queueMemory.ts).
 */
export class Queue {
  readonly name: QueueName;
  readonly id: number;
  /** Place of its virtual MTA among the scheduler's. */
  readonly vmta: number;
  readonly settings: QueueSettings;
  readonly maxRcptPerBatch: number;

  /** All that are owed here: ready, waiting and in delivery. */
  recipients = 0;
  inDelivery = 0;
  /** The ready list (readyList.ts): recipients, the messages they belong to, its two ends. */
  ready = 0;
  readyMessages = 0;
  readyHead = none;
  readyTail = none;
  /** Message slot -> its last recipient on the ready list; only for messages with several recipients here. */
  lastReady: Map<number, number> | undefined;
  /** While one message is added: how many recipients it has here. */
  adding = 0;

  opening = 0;
  open = 0;
  /** Of the open ones: told to close, to make room. */
  closing = 0;
  /** Batches under delivery. */
  batches = 0;
  /** Local addresses it has something to do with; few. */
  readonly hosts: QueueHost[] = [];
  /** Local addresses are not all alike: `source-ip-...` lines, or disabled ones. */
  hasUnlikeHosts: boolean;
  /** Something may keep it from opening or taking though it has mail, time and connections. */
  isBounded: boolean;

  /** Failures of the queue since its last delivery: the next one waits `retryAfterMs[retryStep]`. */
  retryStep = 0;
  /** undefined: not in retry. */
  retryAtMs: number | undefined;
  /** The spool knows a retry clock of it. */
  isClockStored = false;
  /** It waits for DNS alone: no remote has failed. */
  isDnsWait = false;
  /** Nothing new begins; what is under way ends. */
  isPaused = false;

  mode: QueueMode = 'normal';
  modeSinceMs = 0;
  /** While in backoff mode: when that ends by itself. */
  backoffUntilMs = Number.POSITIVE_INFINITY;
  /** What was delivered or attempted in normal mode counts for these, and in backoff mode for all. */
  readonly #normalRates: readonly RateSet[];
  readonly #allRates: readonly RateSet[];
  /** When it began to open a connection last. */
  openedAtMs = Number.NEGATIVE_INFINITY;

  /** Where it stands in line, if it wants something. */
  line: QueueLine | undefined;
  lineNext: Queue | undefined;
  linePrevious: Queue | undefined;
  inLineSinceMs = 0;
  /** Its turn has come at its virtual MTA's rates. */
  isAdmitted = false;
  /** The scheduler's set that holds it while it has idle connections. */
  idleSet: Set<Queue> | undefined;

  alarmAtMs = Number.POSITIVE_INFINITY;
  alarmPlace = -1;

  /** @param former the queue of this name that was dropped, if what it remembers still matters. */
  constructor(name: QueueName, id: number, vmta: number, settings: QueueSettings, former?: Queue) {
    this.name = name;
    this.id = id;
    this.vmta = vmta;
    this.settings = settings;
    this.maxRcptPerBatch = settings.maxRcptPerMessage || Number.POSITIVE_INFINITY;
    const formerRates = former === undefined ? noRates : former.#allRates;
    this.#normalRates = kept(normalRatesOf(settings), formerRates);
    const backoff = kept(backoffRatesOf(settings), formerRates);
    this.#allRates = backoff === noRates ? this.#normalRates : [...this.#normalRates, ...backoff];
    this.hasUnlikeHosts = hasSourceIpLimits(settings);
    this.isBounded = this.hasUnlikeHosts || this.#allRates.length > 0 || settings.smtpOutRampupIntervalMs > 0;
    if (former === undefined) return;
    this.mode = former.mode;
    this.modeSinceMs = former.modeSinceMs;
    this.backoffUntilMs = former.backoffUntilMs;
    this.openedAtMs = former.openedAtMs;
    this.hosts.push(...former.hosts);
    if (former.hasUnlikeHosts) this.tellHostsApart();
  }

  connections(): number {
    return this.opening + this.open;
  }

  /** Pipelining may put two batches on one connection, hence the floor. */
  idle(): number {
    return Math.max(0, this.open - this.batches - this.closing);
  }

  /** Something may go out, as far as this queue's own clock and its pause say. */
  runnable(): boolean {
    return this.ready > 0 && this.retryAtMs === undefined && !this.isPaused;
  }

  /** How many batches are ready, at least. */
  readyBatches(): number {
    return Math.max(this.readyMessages, Math.ceil(this.ready / this.maxRcptPerBatch));
  }

  wantsConnection(): boolean {
    return (
      this.runnable() &&
      this.connections() < this.maxSmtpOut() &&
      this.readyBatches() > this.opening + this.idle()
    );
  }

  /** In backoff mode both hold: what is looser there does not loosen anything. */
  maxSmtpOut(): number {
    const { maxSmtpOut, backoffMaxSmtpOut } = this.settings;
    return this.mode === 'normal' ? maxSmtpOut : Math.min(maxSmtpOut, backoffMaxSmtpOut);
  }

  /** The waits after failures in turn; the last one repeats. */
  retryAfterMs(): readonly number[] {
    return this.mode === 'normal' ? this.settings.retryAfterMs : this.settings.backoffRetryAfterMs;
  }

  /** Those that hold now, and that what happens now counts for. */
  rateSets(): readonly RateSet[] {
    return this.mode === 'normal' ? this.#normalRates : this.#allRates;
  }

  /** From now on local addresses are not all alike. */
  tellHostsApart(): void {
    this.hasUnlikeHosts = true;
    this.isBounded = true;
  }

  /** When something ends that runs by itself; Infinity: nothing does. */
  timersAtMs(): number {
    let atMs = this.retryAtMs ?? Number.POSITIVE_INFINITY;
    if (this.mode === 'backoff') atMs = Math.min(atMs, this.backoffUntilMs);
    if (this.hasUnlikeHosts) {
      for (const { disabledUntilMs } of this.hosts) atMs = Math.min(atMs, disabledUntilMs ?? atMs);
    }
    return atMs;
  }

  /** When its own rates let it take a batch of that size; see `RateLimit.freeAtMs`. */
  ratesFreeAtMs(sizeBytes: number, nowMs: number): number {
    let atMs = nowMs;
    for (const rates of this.rateSets()) atMs = Math.max(atMs, rates.takeAtMs(1, sizeBytes, nowMs));
    return atMs;
  }

  /** The same for one of its idle connections, their addresses' limits observed. */
  takeAtMs(sizeBytes: number, nowMs: number): number {
    const atMs = this.ratesFreeAtMs(sizeBytes, nowMs);
    if (!this.hasUnlikeHosts || atMs === Number.POSITIVE_INFINITY) return atMs;
    let hostAtMs = Number.POSITIVE_INFINITY;
    for (const host of this.hosts) {
      if (host.idle() > 0) hostAtMs = Math.min(hostAtMs, host.takeAtMs(sizeBytes, nowMs));
    }
    return Math.max(atMs, hostAtMs);
  }

  /** When it may open a connection for one more batch of that size, wherever from. */
  openAtMs(sizeBytes: number, nowMs: number): number {
    const batches = this.opening + this.idle() + 1;
    let atMs = Math.max(nowMs, this.openedAtMs + this.settings.smtpOutRampupIntervalMs);
    for (const rates of this.rateSets()) atMs = Math.max(atMs, rates.openAtMs(batches, sizeBytes, nowMs));
    return atMs;
  }

  /** A connection begins to open. */
  begin(host: QueueHost, nowMs: number): void {
    this.opening++;
    host.opening++;
    if (!this.isBounded) return;
    this.openedAtMs = nowMs;
    const rateSets = [...this.rateSets(), ...host.rateSets];
    for (const { connect } of rateSets) connect?.reserve(1);
    host.openings = [...host.openings, rateSets];
  }

  /** It opened, or will not. */
  opened(host: QueueHost, nowMs: number): void {
    assert(host.opening > 0, 'a connection that opened was opening');
    this.opening--;
    host.opening--;
    this.open++;
    host.open++;
    const [rateSets, ...others] = host.openings;
    if (rateSets === undefined) return;
    host.openings = others;
    for (const { connect } of rateSets) connect?.settle(1, 1, nowMs);
  }

  /** It failed at one remote. False: its rates do not let it go on to another. */
  mayConnectAgain(host: QueueHost, nowMs: number): boolean {
    const rateSets = host.openings[0] ?? noRates;
    if (rateSets.some(({ connect }) => connect !== undefined && connect.room(nowMs) < 1)) return false;
    for (const { connect } of rateSets) {
      connect?.settle(1, 1, nowMs);
      connect?.reserve(1);
    }
    return true;
  }

  /** An open connection is gone. */
  ended(host: QueueHost): void {
    this.open--;
    host.open--;
    if (host.connections() === 0 && !this.hasUnlikeHosts) this.hosts.splice(this.hosts.indexOf(host), 1);
  }

  host(sourceHost: number): QueueHost | undefined {
    for (const host of this.hosts) if (host.connection.sourceHost === sourceHost) return host;
    return undefined;
  }

  hostFor(sourceHost: number, address: string | undefined): QueueHost {
    const known = this.host(sourceHost);
    if (known !== undefined) return known;
    const host = new QueueHost(this.name, sourceHost, address, this.settings);
    this.hosts.push(host);
    return host;
  }

  abandoned(): boolean {
    return this.recipients === 0 && this.connections() === 0 && this.retryAtMs === undefined;
  }

  /** Nothing would be different for a new queue of this name; only for one that is abandoned. */
  isAtRest(nowMs: number): boolean {
    if (this.mode === 'normal' && !this.isBounded) return true;
    return (
      (this.mode === 'normal' || this.backoffUntilMs <= nowMs) &&
      this.openedAtMs + this.settings.smtpOutRampupIntervalMs <= nowMs &&
      this.#allRates.every((rates) => rates.isAtRest(nowMs)) &&
      this.hosts.every((host) => host.isAtRest(nowMs))
    );
  }
}

function normalRatesOf(settings: QueueSettings): readonly RateSet[] {
  const { maxMsgRate: msg, maxConnectRate: connect, maxDataVolumeRate: data } = settings;
  return RateSet.of({ msg, connect, data }, normalDirectives);
}

function backoffRatesOf(settings: QueueSettings): readonly RateSet[] {
  const { backoffMaxMsgRate: msg, backoffMaxConnectRate: connect, backoffMaxDataVolumeRate: data } = settings;
  const rates = { msg: ofItsOwn(msg), connect: ofItsOwn(connect), data: ofItsOwn(data) };
  return RateSet.of(rates, backoffDirectives);
}

function ofItsOwn<T>(rate: T | 'normal'): T | undefined {
  return rate === 'normal' ? undefined : rate;
}

/** What was counted goes on where the rates are the same. */
function kept(fresh: readonly RateSet[], former: readonly RateSet[]): readonly RateSet[] {
  if (former === noRates) return fresh;
  return fresh.map(
    (rates) => former.find((one) => one.directives === rates.directives && one.isLike(rates)) ?? rates,
  );
}

/** Queues that stand in line: first come, first served; leaving is O(1) from anywhere. */
export class QueueLine {
  head: Queue | undefined;
  size = 0;
  #tail: Queue | undefined;

  join(queue: Queue, nowMs: number): void {
    queue.line = this;
    queue.inLineSinceMs = nowMs;
    queue.linePrevious = this.#tail;
    queue.lineNext = undefined;
    if (this.#tail === undefined) this.head = queue;
    else this.#tail.lineNext = queue;
    this.#tail = queue;
    this.size++;
  }

  /** Before all others: one that had its turn already and could not use it. */
  joinFront(queue: Queue, nowMs: number): void {
    const { head } = this;
    queue.line = this;
    queue.inLineSinceMs = head?.inLineSinceMs ?? nowMs;
    queue.linePrevious = undefined;
    queue.lineNext = head;
    if (head === undefined) this.#tail = queue;
    else head.linePrevious = queue;
    this.head = queue;
    this.size++;
  }

  leave(queue: Queue): void {
    const { linePrevious: previous, lineNext: next } = queue;
    if (previous === undefined) this.head = next;
    else previous.lineNext = next;
    if (next === undefined) this.#tail = previous;
    else next.linePrevious = previous;
    queue.line = queue.linePrevious = queue.lineNext = undefined;
    this.size--;
  }
}
