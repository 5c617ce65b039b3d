import fc from 'fast-check';
import { expect, test } from 'vitest';
import { busiestWindow, type Happening } from '../base/anyWindow.ts';
import { domainDefaults, type Rate } from '../config/config.ts';
import { type QueueName, queueName, splitQueueName } from '../message/names.ts';
import { wholeShare } from './limitShares.ts';
import type { QueueSettings } from './queue.ts';
import type { Batch, QueueConnection, QueueMode, Settlement } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import type { VmtaSettings } from './sendingVmta.ts';

/*
 * Random histories under random limits. A watcher notes what the scheduler let happen, and when at the
 * earliest and the latest; at the end it puts everything at the worst moment a drawn number finds within
 * that, and looks at every window.
 */

/** Nothing expires here. */
const bounceAfterMs = 1e12;
const domains = ['a.example', 'b.example', 'c.example'];
const vmtas = ['v', 'w'];

/** Something that happened between two moments. */
interface Span {
  readonly queue: QueueName;
  readonly address: string;
  readonly mode: QueueMode;
  readonly amount: number;
  readonly fromMs: number;
  toMs: number;
}

interface WatchedConnection {
  readonly at: QueueConnection;
  readonly address: string;
  state: 'opening' | 'open';
  opening: Span;
  batch: Batch | undefined;
  left: number[];
  isNamed: boolean;
  /** Since when its batch is taken, and in which mode. */
  takenMs: number;
  mode: QueueMode;
}

interface Limits {
  readonly settings: readonly QueueSettings[];
  readonly vmtas: readonly VmtaSettings[];
  readonly total: number;
}

class Watcher {
  readonly #limits: Limits;
  readonly scheduler: Scheduler;
  readonly connections: WatchedConnection[] = [];
  readonly attempts: Span[] = [];
  readonly connects: Span[] = [];
  readonly deliveries: Span[] = [];
  readonly #openedMs = new Map<QueueName, number>();
  readonly #disabled = new Map<string, number>();
  nowMs = 0;
  wakeAtMs = 0;
  owed = 0;
  /** Counts connections that came and went, and recipients that were settled. */
  progress = 0;
  /** Whether the last step said anything. */
  wasQuiet = true;
  #sequence = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.scheduler = new Scheduler({
      settingsFor: (domain) => limits.settings[domains.indexOf(domain)]!,
      vmtaFor: (vmta) => limits.vmtas[vmtas.indexOf(vmta)]!,
      connectionLeases: wholeShare(limits.total),
    });
  }

  add(recipients: readonly number[], vmta: number): void {
    const sequence = this.#sequence++;
    const sizeBytes = sizeOf(sequence);
    const owed = recipients.map((domain, index) => ({
      index,
      domain: domains[domain]!,
      attempts: 0,
      nextTryInMs: 0,
    }));
    const location = { segment: 1, recordAt: sequence, recordBytes: 1 };
    this.scheduler.add(
      { id: { epoch: 1, sequence }, location, sizeBytes, vmta: vmtas[vmta]!, ageMs: 0, recipients: owed },
      this.nowMs,
    );
    this.owed += recipients.length;
  }

  step(): void {
    const step = this.scheduler.step(this.nowMs);
    for (const at of step.open) this.#began(at);
    this.wakeAtMs = step.wakeAtMs;
    expect(step.wakeAtMs).toBeGreaterThan(this.nowMs);
    this.wasQuiet = step.open.length + step.close.length + step.offer.length + step.modes.length === 0;
    for (const { name, ready, connections } of this.scheduler.queues(this.nowMs)) {
      const why = this.scheduler.why(name, this.nowMs);
      for (const { untilMs = Number.POSITIVE_INFINITY } of why) expect(untilMs).toBeGreaterThan(this.nowMs);
      if (ready > 0 && connections === 0) expect(why, 'what keeps it is known').not.toEqual([]);
    }
    for (const at of step.close) this.#close(at);
  }

  opened(connection: WatchedConnection): void {
    connection.opening.toMs = this.nowMs;
    connection.state = 'open';
    this.scheduler.connectionOpened(connection.at, this.nowMs);
  }

  connectAgain(connection: WatchedConnection): void {
    const fromMs = connection.opening.fromMs;
    if (!this.scheduler.connectAgain(connection.at, this.nowMs)) return;
    // The first attempt lay before this moment, the next one lies behind it.
    connection.opening.toMs = this.nowMs;
    connection.opening = { ...connection.opening, fromMs: Math.max(fromMs, this.nowMs), toMs: this.nowMs };
    this.connects.push(connection.opening);
  }

  end(connection: WatchedConnection, settlement: Settlement = 'unheard'): void {
    for (const index of [...connection.left]) this.settle(connection, index, settlement);
    this.connections.splice(this.connections.indexOf(connection), 1);
    this.progress++;
    if (connection.state === 'opening') {
      connection.opening.toMs = this.nowMs;
      this.scheduler.connectionAbandoned(connection.at, this.nowMs);
    } else this.scheduler.connectionClosed(connection.at, this.nowMs);
  }

  take(connection: WatchedConnection): void {
    const mode = this.#modeOf(connection.at.queue);
    const taken = this.scheduler.take(connection.at, this.nowMs);
    if (taken === 'wait') return;
    if (taken === 'close') {
      this.end(connection);
      return;
    }
    expect(this.#isDisabled(connection.at.queue, connection.address), 'a disabled address rests').toBe(false);
    expect(taken.recipientIndexes, 'a batch is for somebody').not.toEqual([]);
    connection.batch = taken;
    connection.left = [...taken.recipientIndexes];
    connection.isNamed = false;
    connection.takenMs = this.nowMs;
    connection.mode = mode;
  }

  contentBegins(connection: WatchedConnection): void {
    if (connection.isNamed) return;
    connection.isNamed = true;
    this.#attempted(connection, connection.left.length);
    this.scheduler.contentBegins(connection.batch!, sizeOf(connection.batch!.id.sequence), this.nowMs);
  }

  settle(connection: WatchedConnection, index: number, settlement: Settlement): void {
    connection.left.splice(connection.left.indexOf(index), 1);
    this.progress++;
    const batch = connection.batch!;
    if (!connection.isNamed && settlement !== 'returned') this.#attempted(connection, 1);
    const isFirst = !this.deliveries.some((one) => 'batch' in one && one.batch === batch);
    if (settlement === 'delivered' && isFirst) {
      this.deliveries.push({ ...this.#span(connection, sizeOf(batch.id.sequence)), batch } as Span);
    }
    if (settlement === 'delivered' || settlement === 'failed') this.owed--;
    this.scheduler.settle(batch, index, settlement, this.nowMs);
    if (connection.left.length === 0) connection.batch = undefined;
  }

  disable(queue: QueueName, place: number, forMs: number | undefined): void {
    const { sourceAddresses } = this.#limits.vmtas[vmtas.indexOf(splitQueueName(queue).vmta)]!;
    const address = sourceAddresses[place % sourceAddresses.length]!;
    const untilMs = forMs === undefined ? undefined : this.nowMs + forMs;
    const isDone = this.scheduler.disableSource(queue, address, untilMs, this.nowMs);
    if (isDone) this.#disabled.set(`${queue} ${address}`, untilMs ?? Number.POSITIVE_INFINITY);
  }

  enableAll(): void {
    for (const vmta of vmtas) {
      for (const domain of domains)
        this.scheduler.enableSource(queueName(domain, vmta), undefined, this.nowMs);
    }
    this.#disabled.clear();
  }

  /** Every window of every limit, with everything at a moment `within` its span. */
  judge(within: (span: Span) => number): void {
    for (const vmta of vmtas) {
      const shared = this.#limits.vmtas[vmtas.indexOf(vmta)]!;
      const ofVmta = ({ queue }: Span): boolean => splitQueueName(queue).vmta === vmta;
      const placed = (spans: readonly Span[], which: (span: Span) => boolean): Happening[] =>
        spans.filter(which).map((span) => ({ atMs: within(span), amount: span.amount }));
      holds('max-smtp-msg-rate', placed(this.attempts, ofVmta), shared.maxSmtpMsgRate);
      holds('max-smtp-data-volume-rate', placed(this.deliveries, ofVmta), shared.maxSmtpDataVolumeRate, 2);
      for (const [i, domain] of domains.entries()) {
        const settings = this.#limits.settings[i]!;
        const queue = queueName(domain, vmta);
        const ofQueue = (span: Span): boolean => span.queue === queue;
        const inBackoff = (span: Span): boolean => ofQueue(span) && span.mode === 'backoff';
        holds('max-msg-rate', placed(this.attempts, ofQueue), settings.maxMsgRate);
        holds('max-connect-rate', placed(this.connects, ofQueue), settings.maxConnectRate);
        holds('max-data-volume-rate', placed(this.deliveries, ofQueue), settings.maxDataVolumeRate, 2);
        const { backoffMaxMsgRate: msg, backoffMaxConnectRate: connect } = settings;
        holds('backoff-max-msg-rate', placed(this.attempts, inBackoff), msg === 'normal' ? undefined : msg);
        const connectRate = connect === 'normal' ? undefined : connect;
        holds('backoff-max-connect-rate', placed(this.connects, inBackoff), connectRate);
        for (const address of shared.sourceAddresses) {
          const fromThere = (span: Span): boolean => ofQueue(span) && span.address === address;
          const [msgs, connects] = [settings.sourceIpMaxMsgRate[0], settings.sourceIpMaxConnectRate[0]];
          holds('source-ip-max-msg-rate', placed(this.attempts, fromThere), msgs?.value);
          holds('source-ip-max-connect-rate', placed(this.connects, fromThere), connects?.value);
        }
      }
    }
  }

  #began(at: QueueConnection): void {
    const { domain, vmta } = splitQueueName(at.queue);
    const settings = this.#limits.settings[domains.indexOf(domain)]!;
    const shared = this.#limits.vmtas[vmtas.indexOf(vmta)]!;
    const address = shared.sourceAddresses[at.sourceHost]!;
    const mode = this.#modeOf(at.queue);
    const fromMs = this.nowMs;
    const opening: Span = { queue: at.queue, address, mode, amount: 1, fromMs, toMs: fromMs };
    this.connects.push(opening);
    const batch = undefined;
    const fresh = { at, address, opening, batch, left: [], isNamed: false, takenMs: 0, mode };
    this.connections.push({ ...fresh, state: 'opening' });
    const ofQueue = this.connections.filter((one) => one.at.queue === at.queue);
    const most = Math.min(
      settings.maxSmtpOut,
      mode === 'backoff' ? settings.backoffMaxSmtpOut : Number.POSITIVE_INFINITY,
    );
    expect(ofQueue.length, 'max-smtp-out').toBeLessThanOrEqual(most);
    const ofAddress = ofQueue.filter((one) => one.address === address);
    const perAddress = settings.sourceIpMaxSmtpOut[0]?.value ?? Number.POSITIVE_INFINITY;
    expect(ofAddress.length, 'source-ip-max-smtp-out').toBeLessThanOrEqual(perAddress);
    const ofVmta = this.connections.filter((one) => splitQueueName(one.at.queue).vmta === vmta);
    const perVmta = shared.maxSmtpOut || Number.POSITIVE_INFINITY;
    expect(ofVmta.length, 'max-smtp-out of the virtual MTA').toBeLessThanOrEqual(perVmta);
    expect(this.connections.length, 'total-max-smtp-out').toBeLessThanOrEqual(this.#limits.total);
    expect(this.#isDisabled(at.queue, address), 'a disabled address rests').toBe(false);
    const beforeMs = this.#openedMs.get(at.queue) ?? Number.NEGATIVE_INFINITY;
    // Fractions of milliseconds add up to a little more or less.
    const apartMs = fromMs - beforeMs + 1e-6;
    expect(apartMs, 'smtp-out-rampup-interval').toBeGreaterThanOrEqual(settings.smtpOutRampupIntervalMs);
    this.#openedMs.set(at.queue, fromMs);
  }

  #close(at: QueueConnection): void {
    const idle = this.connections.find(
      (one) =>
        one.at.queue === at.queue &&
        one.at.sourceHost === at.sourceHost &&
        one.state === 'open' &&
        one.batch === undefined,
    );
    expect(idle, 'only idle connections are closed').toBeDefined();
    this.end(idle!);
  }

  #attempted(connection: WatchedConnection, recipients: number): void {
    this.attempts.push(...Array.from({ length: recipients }, () => this.#span(connection, 1)));
  }

  #span({ at, address, mode, takenMs }: WatchedConnection, amount: number): Span {
    return { queue: at.queue, address, mode, amount, fromMs: takenMs, toMs: this.nowMs };
  }

  #modeOf(name: QueueName): QueueMode {
    return [...this.scheduler.queues(this.nowMs)].find((queue) => queue.name === name)?.mode ?? 'normal';
  }

  #isDisabled(queue: QueueName, address: string): boolean {
    return (this.#disabled.get(`${queue} ${address}`) ?? 0) > this.nowMs;
  }
}

function sizeOf(sequence: number): number {
  return 5 + ((sequence * 7) % 30);
}

/** `thingsLeast` 2: one thing alone may be more than the rate. */
function holds(name: string, happenings: readonly Happening[], rate: Rate, thingsLeast = 1): void {
  if (rate === undefined) return;
  expect(busiestWindow(happenings, rate.perMs, thingsLeast), name).toBeLessThanOrEqual(rate.count);
}

function maybe<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined, freq: 2 });
}

const rate = fc.record({ count: fc.integer({ min: 1, max: 6 }), perMs: fc.constantFrom(60, 200, 500) });
const dataRate = fc.record({ count: fc.integer({ min: 10, max: 120 }), perMs: fc.constantFrom(100, 400) });
const everywhere = [{ address: '0.0.0.0', bits: 0 }];
const perAddress = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.constant([]),
    value.map((one) => [{ ranges: everywhere, value: one }]),
  );
const few = fc.integer({ min: 1, max: 3 });

const roomy: QueueSettings = {
  ...domainDefaults,
  retryAfterMs: [10, 30],
  backoffRetryAfterMs: [20],
  retryAfterDnsErrorMs: 5,
  retryRecipientsAfterMs: 7,
  bounceAfterMs,
};

const queueSettings: fc.Arbitrary<QueueSettings> = fc
  .record({
    maxSmtpOut: few,
    maxRcptPerMessage: fc.integer({ min: 0, max: 3 }),
    maxMsgRate: maybe(rate),
    maxConnectRate: maybe(rate),
    maxDataVolumeRate: maybe(dataRate),
    backoffMaxSmtpOut: few,
    backoffMaxMsgRate: fc.oneof(fc.constant('normal' as const), maybe(rate)),
    backoffMaxConnectRate: fc.oneof(fc.constant('normal' as const), maybe(rate)),
    backoffMaxDataVolumeRate: fc.oneof(fc.constant('normal' as const), maybe(dataRate)),
    backoffToNormalAfterMs: maybe(fc.constantFrom(50, 300)),
    backoffToNormalAfterDelivery: fc.boolean(),
    backoffUponAllSourcesDisabled: fc.boolean(),
    smtpOutRampupIntervalMs: fc.constantFrom(0, 0, 30),
    sourceIpMaxSmtpOut: perAddress(few),
    sourceIpMaxMsgRate: perAddress(rate),
    sourceIpMaxConnectRate: perAddress(rate),
    retryUponNewMail: fc.boolean(),
  })
  .map((drawn) => ({ ...roomy, ...drawn }));

const vmtaSettings: fc.Arbitrary<VmtaSettings> = fc.record({
  sourceAddresses: fc.constantFrom(
    ['10.0.0.1'],
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  ),
  maxSmtpOut: fc.integer({ min: 0, max: 3 }),
  maxSmtpMsgRate: maybe(rate),
  maxSmtpDataVolumeRate: maybe(dataRate),
});

/** Of each kind of limit alone, and of all together: many limits at once hide each other. */
const limits: fc.Arbitrary<Limits> = fc
  .record({
    settings: fc.array(queueSettings, { minLength: 3, maxLength: 3 }),
    vmtas: fc.array(vmtaSettings, { minLength: 2, maxLength: 2 }),
    total: fc.integer({ min: 1, max: 6 }),
    only: fc.constantFrom('queues', 'vmtas', 'rates', 'all'),
  })
  .map(({ settings, vmtas: drawn, total, only }) => ({
    settings: only === 'vmtas' ? settings.map(() => roomy) : settings,
    vmtas: drawn.map((one) => ({
      ...one,
      ...(only === 'queues' ? { maxSmtpMsgRate: undefined, maxSmtpDataVolumeRate: undefined } : {}),
      ...(only === 'queues' || only === 'rates' ? { maxSmtpOut: 0 } : {}),
    })),
    total: only === 'all' ? total : 20,
  }));

const anyQueue = fc.record({ domain: fc.nat(2), vmta: fc.nat(1) });
const move = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      vmta: fc.nat(1),
      recipients: fc.array(fc.nat(2), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(90) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wake' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('again' as const), pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('end' as const), pick: fc.nat(), isTold: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('name' as const), pick: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      pick: fc.nat(),
      settlement: fc.constantFrom<Settlement>(
        'delivered',
        'delivered',
        'failed',
        'deferred',
        'returned',
        'unheard',
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      queue: anyQueue,
      of: fc.constantFrom('remote' as const, 'dns' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      queue: anyQueue,
      mode: fc.constantFrom<QueueMode>('normal', 'backoff'),
      afterMs: maybe(fc.constant(40)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('disable' as const),
      queue: anyQueue,
      place: fc.nat(2),
      forMs: maybe(fc.nat(100)),
    }),
  },
);
type Move = typeof move extends fc.Arbitrary<infer M> ? M : never;

function perform(watcher: Watcher, action: Move): void {
  const { connections, scheduler, nowMs } = watcher;
  const picked = (
    which: (one: WatchedConnection) => boolean,
    pick: number,
  ): WatchedConnection | undefined => {
    const found = connections.filter(which);
    return found[pick % Math.max(1, found.length)];
  };
  const named = ({ domain, vmta }: { domain: number; vmta: number }): QueueName =>
    queueName(domains[domain]!, vmtas[vmta]!);
  const moves: { readonly [K in Move['kind']]: (one: Extract<Move, { kind: K }>) => void } = {
    add: ({ recipients, vmta }) => watcher.add(recipients, vmta),
    pass: ({ ms }) => {
      watcher.nowMs += ms;
    },
    wake: () => {
      if (watcher.wakeAtMs < bounceAfterMs) watcher.nowMs = Math.max(nowMs, watcher.wakeAtMs);
    },
    open: ({ pick }) => {
      const opening = picked(({ state }) => state === 'opening', pick);
      if (opening !== undefined) watcher.opened(opening);
    },
    again: ({ pick }) => {
      const opening = picked(({ state }) => state === 'opening', pick);
      if (opening !== undefined) watcher.connectAgain(opening);
    },
    end: ({ pick, isTold }) => {
      const connection = picked(() => true, pick);
      if (connection !== undefined) watcher.end(connection, isTold ? 'unheard' : 'returned');
    },
    take: ({ pick }) => {
      const idle = picked(({ state, batch }) => state === 'open' && batch === undefined, pick);
      if (idle !== undefined) watcher.take(idle);
    },
    name: ({ pick }) => {
      const busy = picked(({ batch }) => batch !== undefined, pick);
      if (busy !== undefined) watcher.contentBegins(busy);
    },
    settle: ({ pick, settlement }) => {
      const busy = picked(({ batch }) => batch !== undefined, pick);
      if (busy !== undefined) watcher.settle(busy, busy.left[0]!, settlement);
    },
    fail: ({ queue, of }) => void scheduler.queueFailed(named(queue), nowMs, of),
    mode: ({ queue, mode, afterMs }) => void scheduler.setMode(named(queue), mode, nowMs, afterMs),
    disable: ({ queue, place, forMs }) => watcher.disable(named(queue), place, forMs),
  };
  (moves[action.kind] as (one: Move) => void)(action);
  watcher.step();
}

/** From here on every remote takes everything: how long until nothing is owed? */
function drain(watcher: Watcher, keepsIdle: boolean): void {
  watcher.enableAll();
  let quiet = 0;
  for (let round = 0; watcher.owed > 0; round++) {
    expect(round, 'nothing starves').toBeLessThan(5_000);
    const progress = watcher.progress;
    watcher.step();
    quiet = watcher.wasQuiet ? quiet + 1 : 0;
    expect(quiet, 'nobody is woken for nothing again and again').toBeLessThan(20);
    for (const connection of [...watcher.connections]) {
      if (connection.state === 'opening') watcher.opened(connection);
      if (connection.batch === undefined) watcher.take(connection);
      if (!watcher.connections.includes(connection)) continue;
      for (const index of [...connection.left]) watcher.settle(connection, index, 'delivered');
      if (connection.batch === undefined && !keepsIdle) watcher.end(connection);
    }
    const isBusy = watcher.progress > progress;
    watcher.nowMs += isBusy ? 1 : 0;
    if (isBusy) continue;
    watcher.step();
    if (!watcher.wasQuiet) continue;
    expect(watcher.wakeAtMs, 'what is owed has a time').toBeLessThan(bounceAfterMs);
    watcher.nowMs = watcher.wakeAtMs;
  }
}

test('no history makes any window of any limit too full, and all that is owed goes out in the end', () => {
  const story = fc.tuple(
    limits,
    fc.array(move, { maxLength: 150, size: 'max' }),
    fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    fc.boolean(),
  );
  fc.assert(
    fc.property(story, ([drawn, moves, shares, keepsIdle]) => {
      const watcher = new Watcher(drawn);
      for (const action of moves) perform(watcher, action);
      for (const connection of [...watcher.connections]) watcher.end(connection);
      drain(watcher, keepsIdle);
      for (const connection of [...watcher.connections]) watcher.end(connection);
      watcher.judge(({ fromMs }) => fromMs);
      watcher.judge(({ toMs }) => toMs);
      const share = (): number => shares.next().value ?? 0;
      watcher.judge(({ fromMs, toMs }) => fromMs + share() * (toMs - fromMs));
    }),
    { numRuns: Number(process.env.LIMIT_RUNS ?? 150) },
  );
});
