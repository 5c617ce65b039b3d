import { compileAccess } from '../access/access.ts';
import type { Clock, Digest, Disk, Dns, Listening, Log, Net, Random } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { compileDomainSettings } from '../config/domainSettings.ts';
import { DnsCache } from '../delivery/dnsCache.ts';
import { compileOwnHosts } from '../delivery/ownHosts.ts';
import { planListeners } from '../listener/listenerPlan.ts';
import type { BatchPosition, Watermark } from '../message/batchPosition.ts';
import type { Content, Envelope, SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import { wholeShare } from '../queue/limitShares.ts';
import { PauseRules } from '../queue/pauseRules.ts';
import { Scheduler } from '../queue/scheduler.ts';
import { compileRouting } from '../routing/routing.ts';
import type { SpoolSizes } from '../spool/frame.ts';
import type { FoundQueueState } from '../spool/owedIndex.ts';
import { type Recovered, recover } from '../spool/recovery.ts';
import { SegmentSpool } from '../spool/segmentSpool.ts';
import { Bounces } from './bounces.ts';
import { Deletions } from './deletions.ts';
import { HeldContent } from './heldContent.ts';
import { LastErrors } from './lastErrors.ts';
import { LocalMail } from './localMail.ts';
import { Operations, type QueueState } from './operations.ts';
import { OperatorNotices } from './operatorNotices.ts';
import { EngineMail } from './owedMail.ts';
import { isRuleState, ruleOfState } from './pauseStates.ts';
import { noGuard, type PoisonGuard, takeDeadly } from './poisonGuard.ts';
import { Quarantine, type QuarantinedSummary, quarantinedSummary } from './quarantine.ts';
import { type ListenerCounts, Receptions } from './reception.ts';
import { ReplyPolicies } from './replyPolicies.ts';
import { Routes } from './routes.ts';
import { queueSettings, vmtaSettings } from './schedulerSettings.ts';
import { type OutcomeCounts, Sendings } from './sendings.ts';
import { Submissions } from './submissions.ts';
import { Tracing } from './tracing.ts';

export interface EnginePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  readonly dns: Dns;
  readonly digest: Digest;
  readonly log: Log;
}

export interface EngineOptions {
  readonly config: Config;
  /** This engine's own folder. */
  readonly spoolFolder: string;
  /** The last batch of it that any accounting file has read. */
  readonly recorded: BatchPosition;
  /** false: deliver what the folder owes, listen nowhere. */
  readonly accepts: boolean;
  /** Watches for messages that the engine dies of. */
  readonly guard?: PoisonGuard;
  /** Smaller ones for simulations. */
  readonly spoolSizes?: SpoolSizes;
  /** Simulations put one with a mistake in its place, to see that they notice. */
  readonly parts?: Partial<EngineParts>;
  published(watermark: Watermark): void;
}

/** What an engine is made of. */
export interface EngineParts {
  readonly recover: typeof recover;
  readonly Spool: typeof SegmentSpool;
  readonly Scheduler: typeof Scheduler;
}

export interface EngineReport {
  readonly listeners: readonly ListenerCounts[];
  /** Scheduled for delivery, or past bounce-after and about to be given up. */
  readonly messages: number;
  readonly recipients: number;
  /** Messages of which something is kept back from delivery. */
  readonly held: number;
  readonly queues: number;
  readonly outgoingConnections: number;
  readonly outcomes: OutcomeCounts;
  readonly unsyncedOutcomes: number;
  /** How long the oldest outcome, queue state or hold has waited to be durable; 0: all are. */
  readonly unsyncedForMs: number;
  /** No new mail is taken: the disk is full but for a reserve. */
  readonly isFull: boolean;
  readonly segments: number;
  /** What is paused: see `Operations.pauseRules`. */
  readonly pauseRules: readonly string[];
}

/** What is kept back from delivery: the first messages, and how many there are. */
export interface QuarantineView {
  readonly total: number;
  readonly messages: readonly QuarantinedSummary[];
}

export interface ReleaseCounts {
  readonly messages: number;
  readonly recipients: number;
}

/** Why an engine did not start; nothing was accepted. */
export interface EngineFailure {
  readonly kind: 'failed';
  readonly message: string;
  /** The system's code where one is behind it. */
  readonly code: string;
}

const heldContentBytes = 32 * 1024 * 1024;
const tickMs = 1000;
const ownParts: EngineParts = { recover, Spool: SegmentSpool, Scheduler };
/** How long a stop waits for transactions under way. */
const stopGraceMs = 10_000;

/** The stations of one process, wired. Pure: the world comes in through its ports. */
export class Engine {
  readonly #ports: EnginePorts;
  readonly #config: Config;
  readonly #pauseRules = new PauseRules();
  readonly #scheduler: Scheduler;
  readonly #spool: SegmentSpool;
  readonly #held = new HeldContent(heldContentBytes);
  readonly #receptions: Receptions;
  readonly #sendings: Sendings;
  readonly #quarantine: Quarantine;
  readonly #mail: EngineMail;
  readonly #deletions: Deletions;
  /** What an operator asks of its queues. */
  readonly operations: Operations;
  #listening: readonly Listening[] = [];
  #isStopped = false;
  #wasFull = false;

  private constructor(
    ports: EnginePorts,
    config: Config,
    spool: SegmentSpool,
    guard: PoisonGuard,
    parts: EngineParts,
  ) {
    const plan = planListeners(config);
    const settingsFor = compileDomainSettings(config);
    this.#ports = ports;
    this.#config = config;
    this.#spool = spool;
    this.#quarantine = new Quarantine(spool);
    const routing = compileRouting(config);
    this.#scheduler = new parts.Scheduler({
      settingsFor: queueSettings(settingsFor),
      vmtaFor: vmtaSettings(config, routing),
      connectionLeases: wholeShare(config.totalMaxSmtpOut.value),
      isPaused: (queue) => this.#pauseRules.isPaused(queue),
    });
    const submissions = new Submissions({
      clock: ports.clock,
      config,
      spool,
      routing,
      durabilities: plan.endpoints.map(({ durability }) => durability.value),
      owed: (envelope, content, location) => this.#owed(envelope, content, location),
    });
    this.#receptions = new Receptions({
      clock: ports.clock,
      log: ports.log,
      access: compileAccess(config),
      plan,
      hostName: config.hostNames.value[0]!,
      pendingBytes: () => this.#spool.pendingBytes,
      isFull: () => this.#isFull(),
      store: (message, injector, answer) => submissions.store(message, injector, answer),
    });
    const { clock } = ports;
    const hostName = config.hostNames.value[0]!;
    const localMail = new LocalMail({
      clock,
      spool,
      hostName,
      owed: (envelope, content, location) => this.#owed(envelope, content, location),
    });
    const lastErrors = new LastErrors();
    const notices = new OperatorNotices({
      ...ports,
      settingsFor,
      localMail,
      lastError: (queue) => lastErrors.of(queue),
    });
    const tracing = new Tracing(ports.clock, ports.log, settingsFor);
    this.#sendings = new Sendings(
      { ...ports, log: tracing },
      {
        scheduler: this.#scheduler,
        spool,
        routing,
        routes: new Routes({
          cache: new DnsCache(ports.dns, ports.clock),
          own: compileOwnHosts(config),
          random: ports.random,
        }),
        settingsFor: tracing.settingsFor,
        replies: new ReplyPolicies(config),
        notices,
        lastErrors,
        wantsQueueEvents: config.acctFiles.some(({ records }) => records.value.includes('tq')),
        held: this.#held,
        bounces: new Bounces({
          clock,
          spool,
          localMail,
          hostName,
          fromHeader: config.customDsnFromHeader.value,
        }),
        quarantine: this.#quarantine,
        guard,
      },
    );
    this.#deletions = new Deletions({
      clock: ports.clock,
      log: ports.log,
      scheduler: this.#scheduler,
      spool,
      held: this.#held,
      quarantine: this.#quarantine,
      counts: this.#sendings.counts,
    });
    this.operations = new Operations({
      clock: ports.clock,
      log: ports.log,
      scheduler: this.#scheduler,
      spool,
      rules: this.#pauseRules,
      held: this.#held,
      sendings: this.#sendings,
      deletions: this.#deletions,
      quarantine: this.#quarantine,
      tracing,
    });
    this.#mail = new EngineMail({
      clock: ports.clock,
      scheduler: this.#scheduler,
      overdue: this.#sendings.overdue,
      deleted: this.#deletions.reading,
      quarantine: this.#quarantine,
      log: ports.log,
    });
    spool.ownedBy(this.#mail);
  }

  /** Recovers the spool, takes up what it owes, then listens. */
  static async start(ports: EnginePorts, options: EngineOptions): Promise<Engine | EngineFailure> {
    const { config, spoolFolder } = options;
    // Without syncs accounting may have read what a power loss takes.
    const { epoch, batch } = options.recorded;
    const isSynced = config.durability.value === 'sync';
    const parts = { ...ownParts, ...options.parts };
    const recovered = await parts.recover(ports, spoolFolder, { epoch, batch: isSynced ? batch : 0 });
    if (recovered.kind === 'damaged') {
      const where = `${spoolFolder}/${recovered.segment} at byte ${recovered.at}`;
      return { kind: 'failed', code: 'damaged', message: `mail that was on disk is damaged: ${where}` };
    }
    if (recovered.kind === 'otherVersion') {
      const message = `${recovered.segment} has format ${recovered.version}, which this release does not read`;
      return { kind: 'failed', code: 'version', message };
    }
    if (recovered.kind === 'disk') {
      return { kind: 'failed', code: recovered.code, message: `${spoolFolder}: ${recovered.code}` };
    }
    let started: Engine | undefined;
    const spool = new parts.Spool(
      ports,
      spoolFolder,
      recovered,
      {
        durability: config.durability.value,
        minFreeBytes: config.minFreeSpaceBytes.value,
        sizes: options.spoolSizes,
      },
      {
        published: (watermark) => {
          options.published(watermark);
          if (started === undefined) return;
          started.#sendings.published();
          started.#deletions.tick();
        },
        failed: (code, segment) => ports.log.write('error', 'spool.failed', { code, segment }),
      },
    );
    await spool.started;
    // Without an answer of the disk nobody is held.
    const deadly = await takeDeadly(ports.disk, spoolFolder).catch(() => new Set<string>());
    const engine = new Engine(ports, config, spool, options.guard ?? noGuard, parts);
    started = engine;
    engine.#restorePauses(recovered.owed.queueStates.values());
    for (const owed of recovered.owed) engine.#mail.takeUp(owed, deadly);
    engine.#mail.dropDeleted();
    tellRecovered(ports.log, recovered, options.recorded, engine.#quarantine.size);
    engine.#restoreQueues(recovered.owed.queueStates.values());
    try {
      if (options.accepts) await engine.#listen();
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      await spool.close();
      return { kind: 'failed', code: code ?? 'unknown', message };
    }
    engine.#sendings.changed();
    engine.#tick();
    return engine;
  }

  /**
   * Stops accepting, lets transactions under way finish for a while, publishes what they brought and
   * closes the spool. Nothing accepted is lost: the rest is taken up at the next start.
   */
  async stop(graceMs = stopGraceMs): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.operations.stop();
    const { clock } = this.#ports;
    for (const listening of this.#listening) await listening.close();
    this.#receptions.shutDown();
    this.#sendings.stop();
    const untilMs = clock.monotonicMs() + graceMs;
    while (this.#receptions.open + this.#sendings.open > 0 && clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => void clock.after(50, resolve));
      this.#receptions.tick(clock.monotonicMs());
      this.#sendings.tick(clock.monotonicMs());
      this.#sendings.stop();
    }
    this.#receptions.resetAll();
    this.#sendings.abortAll();
    this.#deletions.stop();
    await this.#spool.close();
  }

  /** Every cursor has passed this batch. */
  recorded(position: BatchPosition): void {
    this.#spool.recorded(position);
  }

  get listening(): readonly Listening[] {
    return this.#listening;
  }

  report(): EngineReport {
    const { messages, recipients, queues } = this.#scheduler.counts();
    const { overdue } = this.#sendings;
    return {
      listeners: this.#receptions.counts,
      messages: messages + overdue.messages,
      recipients: recipients + overdue.recipients,
      held: this.#quarantine.size,
      queues,
      outgoingConnections: this.#sendings.open,
      outcomes: this.#sendings.counts,
      unsyncedOutcomes: this.#spool.unsyncedEvents,
      unsyncedForMs: this.#spool.unsyncedForMs(this.#ports.clock.monotonicMs()),
      isFull: this.#wasFull,
      segments: this.#spool.segments,
      pauseRules: this.operations.pauseRules,
    };
  }

  /** The first of them. */
  queues(): readonly QueueState[] {
    const any = { selector: '*', pausedOnly: false, mode: undefined, all: true } as const;
    return this.operations.list({ ...any, sort: 'name', queuesMax: 1000 }).queues;
  }

  /** The oldest of what is kept back, at most so many messages. */
  quarantined(messagesMax: number): QuarantineView {
    const first = this.#quarantine.all().slice(0, messagesMax);
    return { total: this.#quarantine.size, messages: first.map(quarantinedSummary) };
  }

  /** Lets what is kept back of a message be tried again, now; of all of them without an id. */
  release(id?: MessageId): ReleaseCounts {
    const ids = id === undefined ? this.#quarantine.all().map((message) => message.id) : [id];
    const recipients = this.#isStopped ? [] : ids.map((one) => this.#mail.release(one));
    this.#sendings.changed();
    return {
      messages: recipients.filter((count) => count > 0).length,
      recipients: recipients.reduce((sum, count) => sum + count, 0),
    };
  }

  async #listen(): Promise<void> {
    const listening: Listening[] = [];
    try {
      for (const [index, { at }] of planListeners(this.#config).endpoints.entries()) {
        const accept = this.#ports.net.listen(at, (connection) => this.#receptions.accept(index, connection));
        listening.push(await accept);
      }
    } catch (error) {
      for (const one of listening) await one.close();
      throw error;
    }
    this.#listening = listening;
  }

  /** Said in the log when it changes: refused clients see it only as 452. */
  #isFull(): boolean {
    const { isFull } = this.#spool;
    if (isFull !== this.#wasFull) {
      this.#ports.log.write(isFull ? 'error' : 'info', isFull ? 'spool.full' : 'spool.roomAgain');
    }
    this.#wasFull = isFull;
    return isFull;
  }

  /** Before the mail: queues ask when they come into being. */
  #restorePauses(states: Iterable<FoundQueueState>): void {
    this.#pauseRules.restore([...states].flatMap(({ state }) => ruleOfState(state) ?? []));
  }

  #restoreQueues(states: Iterable<FoundQueueState>): void {
    for (const { state } of states) if (!isRuleState(state)) this.#sendings.records.restore(state);
  }

  /** It is durable: into its queues. */
  #owed(envelope: Envelope, content: Content, location: SpoolLocation): void {
    const { id, vmta } = envelope;
    const recipients = envelope.recipients.map(({ domain }, index) => ({
      index,
      domain,
      attempts: 0,
      nextTryInMs: 0,
    }));
    const { sizeBytes } = content;
    const owed = { id, location, sizeBytes, vmta, ageMs: 0, recipients };
    const handle = this.#scheduler.add(owed, this.#ports.clock.monotonicMs());
    this.#held.hold(handle, { envelope, content });
    this.#sendings.changed();
  }

  /** One timer for every deadline of every connection: they are bounds, not appointments. */
  #tick(): void {
    this.#ports.clock.after(tickMs, () => {
      const nowMs = this.#ports.clock.monotonicMs();
      this.#receptions.tick(nowMs);
      this.#sendings.tick(nowMs);
      this.#deletions.tick();
      this.#spool.tick();
      this.#isFull();
      if (!this.#isStopped) this.#tick();
    });
  }
}

/** What a start found, and what of it is no more. */
function tellRecovered(
  log: Log,
  { owed, segments, ...recovered }: Recovered,
  recorded: BatchPosition,
  held: number,
): void {
  const { droppedBatches, epoch, damages, isCutShort } = recovered;
  for (const { segment, at, sizeBytes } of damages) {
    if (sizeBytes > 0) log.write('error', 'spool.damaged', { segment, at, sizeBytes });
  }
  // One without bytes stands for batches that are missing behind the end of their segment.
  if (isCutShort || damages.some(({ sizeBytes }) => sizeBytes === 0))
    log.write('error', 'spool.cutShort', { recorded });
  log.write('info', 'spool.recovered', {
    messages: owed.size,
    held,
    segments: segments.length,
    droppedBatches,
    damages: damages.length,
    epoch,
  });
}
