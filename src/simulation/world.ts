import type { Digest, Endpoint } from '../base/ports.ts';
import { Agenda } from './agenda.ts';
import type { Case, Violation } from './case.ts';
import { judge } from './checkers.ts';
import { Evidence } from './evidence.ts';
import { drawMix, drawReceiver, type FaultClass, type FaultMix, lessOf } from './faultMix.ts';
import { FaultPlan } from './faultPlan.ts';
import { politeInjector } from './injectorBehaviour.ts';
import { InjectorModel } from './injectorModel.ts';
import { Machine } from './machine.ts';
import { type Mistake, noMistake } from './mistake.ts';
import { perfectNet } from './netFaults.ts';
import type { WallTime } from './processClock.ts';
import { Receiver } from './receiver.ts';
import { friendlyReceiver } from './receiverBehaviour.ts';
import { SeededRandom } from './seededRandom.ts';
import { SimulatedDisk } from './simulatedDisk.ts';
import { perfectDns, SimulatedDns } from './simulatedDns.ts';
import { SimulatedNet } from './simulatedNet.ts';
import { Trace } from './trace.ts';
import { drawConfig, machineAddress, receiverPort, type WorldConfig } from './worldConfig.ts';
import { putIntoDns } from './worldRoutes.ts';

export interface SeedOptions {
  readonly seed: number;
  readonly digest: Digest;
  /** Instead of what the seed draws. */
  readonly mix?: Partial<FaultMix>;
  /** Fault classes this run does without. */
  readonly off?: ReadonlySet<FaultClass>;
  /** No more messages than that. */
  readonly messages?: number;
  readonly mistake?: Mistake;
  /** Keeps the last events in words. */
  readonly keepsTrace?: boolean;
}

export interface SeedReport {
  readonly seed: number;
  readonly mix: FaultMix;
  readonly configText: string;
  /** Broken promises; empty when the seed passed. */
  readonly violations: readonly Violation[];
  /** Of everything that could be seen from outside, in order. */
  readonly hash: number;
  readonly events: number;
  readonly faults: number;
  readonly crashes: number;
  /** Messages a client knows to be stored; recipients of all submissions; those given up. */
  readonly stored: number;
  readonly recipients: number;
  readonly expired: number;
  readonly virtualMs: number;
  readonly lastLines: readonly string[];
}

/** Some minutes before a midnight, when accounting begins new files. */
const wallStartMs = 1_767_225_600_000 - 240_000;
const spoolSizes = { batchBytes: 32 * 1024, overlapBytes: 8 * 1024 };
const stepsMax = 3_000_000;
const lookMs = 2000;
const stopMaxMs = 120_000;

/** One seed, from its first event to the verdict. Always ends: a world that does not drain is a finding. */
export function runSeed(options: SeedOptions): Promise<SeedReport> {
  return new World(options).run();
}

class World {
  readonly #options: SeedOptions;
  readonly #mix: FaultMix;
  readonly #config: WorldConfig;
  readonly #agenda: Agenda;
  readonly #trace: Trace;
  readonly #disk: SimulatedDisk;
  readonly #net: SimulatedNet;
  readonly #dns: SimulatedDns;
  readonly #machine: Machine;
  readonly #receivers: readonly Receiver[];
  readonly #injector: InjectorModel;
  readonly #plan: FaultPlan;
  readonly #evidence = new Evidence();
  readonly #wall: WallTime = { startMs: wallStartMs, steppedMs: 0, zoneOffsetMinutes: 0 };
  readonly #violations: Violation[] = [];
  #mostHeld = 0;
  readonly #mostHeldBy = new Map<string, number>();

  constructor(options: SeedOptions) {
    const { seed, digest, mistake = noMistake } = options;
    const master = new SeededRandom(seed * 2_654_435_761);
    const randomOf = (): SeededRandom => new SeededRandom(master.u32());
    this.#options = options;
    const drawn = drawMix(randomOf());
    const mix = { ...drawn, ...options.mix };
    this.#mix = lessOf(mix, options.off ?? new Set(), options.messages ?? mix.messages);
    this.#config = drawConfig(randomOf(), new SeededRandom(seed * 40_503 + 1));
    const agenda = new Agenda(randomOf());
    this.#agenda = agenda;
    this.#trace = new Trace(() => agenda.nowMs, options.keepsTrace);
    const planRandom = randomOf();
    this.#disk = new SimulatedDisk(randomOf(), {
      agenda,
      observe: (kind, path, result) => this.#sawDisk(kind, path, result),
    });
    this.#net = new SimulatedNet(agenda, randomOf(), (what, from, to, bytes) =>
      this.#sawNet(what, from, to, bytes),
    );
    this.#dns = new SimulatedDns(agenda, randomOf());
    const { domains, vmtas, ports } = this.#config;
    this.#machine = new Machine({
      agenda,
      random: randomOf(),
      disk: this.#disk,
      net: this.#net,
      dns: this.#dns,
      digest,
      trace: this.#trace,
      config: this.#config.config,
      spoolSizes: {
        ...spoolSizes,
        segmentBytes: this.#mix.segmentBytes,
        bodyFileBytes: this.#mix.bodyFileBytes,
      },
      wall: this.#wall,
      addresses: [machineAddress, ...vmtas.map(({ address }) => address)],
      mistake,
      watch: {
        bug: (error) => this.#bug(error),
        dying: (life) => this.#evidence.crashed(life, agenda.nowMs),
        connecting: (options) => this.#evidence.connecting(options, agenda.nowMs),
        connectFailed: (options) => this.#evidence.connectFailed(options, agenda.nowMs),
      },
    });
    for (const domain of domains) putIntoDns(this.#dns, domain);
    this.#receivers = domains.map(({ name, addresses, isTlsOnly }) => {
      const random = randomOf();
      const behaviour = drawReceiver(random, this.#mix, friendlyReceiver, isTlsOnly);
      const place = { agenda, net: this.#net, name, addresses, port: receiverPort };
      return new Receiver({ ...place, random, behaviour, isTlsOnly });
    });
    const random = randomOf();
    this.#injector = new InjectorModel({
      agenda,
      random,
      net: this.#net,
      to: { address: machineAddress, port: random.pick(ports) },
      addresses: ['10.9.0.1', '10.9.0.2'],
      domains: domains.map(({ name }) => name),
      mark: 's',
      messages: this.#mix.messages,
      connections: this.#mix.connections,
      maxRecipients: this.#mix.maxRecipients,
      pauseMs: this.#mix.pauseMs,
      behaviour: this.#mix.on.has('injectors')
        ? this.#mix.injectors
        : { ...politeInjector, reuseRate: this.#mix.injectors.reuseRate },
    });
    this.#plan = new FaultPlan({
      agenda,
      random: planRandom,
      mix: this.#mix,
      machine: this.#machine,
      disk: this.#disk,
      net: this.#net,
      wall: this.#wall,
      config: this.#config,
    });
  }

  async run(): Promise<SeedReport> {
    const { faultsMs } = this.#mix;
    this.#begin();
    await this.#until(() => this.#agenda.nowMs >= faultsMs);
    this.#calm();
    const longestMs = Math.max(...this.#config.domains.map(({ bounceAfterMs }) => bounceAfterMs));
    // What expires at the last moment is reported, and the report may expire, too.
    const drainMaxMs = this.#agenda.nowMs + 2 * longestMs + 1_800_000;
    let isDrained = false;
    let lookAtMs = 0;
    await this.#until(() => {
      if (this.#agenda.nowMs < lookAtMs) return false;
      lookAtMs = this.#agenda.nowMs + lookMs;
      isDrained = this.#isDrained();
      return isDrained || this.#agenda.nowMs > drainMaxMs;
    });
    if (!isDrained) this.#break('everything drains', this.#state());
    await this.#stop();
    if (this.#violations.length === 0) this.#violations.push(...judge(this.#case()));
    return this.#report();
  }

  #begin(): void {
    const { on, net, dns } = this.#mix;
    if (on.has('net')) this.#net.faults = net;
    else this.#net.faults = { ...perfectNet, latencyMs: net.latencyMs };
    if (on.has('dns')) this.#dns.faults = dns;
    this.#config.domains.forEach(({ isDead }, i) => {
      if (!isDead) void this.#receivers[i]!.start();
    });
    this.#machine.start();
    this.#injector.start();
    this.#plan.begin();
  }

  /** No fault begins any more: what is owed must go. */
  #calm(): void {
    this.#trace.note('calm');
    this.#plan.end();
    this.#disk.heal();
    this.#net.heal();
    this.#net.faults = { ...perfectNet, latencyMs: 5 };
    this.#dns.faults = perfectDns;
    this.#injector.behaviour = politeInjector;
    for (const receiver of this.#receivers) {
      const { extensions } = receiver.behaviour;
      receiver.behaviour = { ...friendlyReceiver, extensions };
    }
  }

  #isDrained(): boolean {
    const report = this.#machine.engine?.report();
    return (
      this.#injector.isDone &&
      report !== undefined &&
      report.recipients === 0 &&
      report.messages === 0 &&
      report.held === 0 &&
      report.unsyncedOutcomes === 0 &&
      report.outgoingConnections === 0 &&
      report.segments === 1
    );
  }

  /** An orderly stop; then nothing may be left to happen. */
  async #stop(): Promise<void> {
    const limitMs = this.#agenda.nowMs + stopMaxMs;
    const stopped = this.#machine.stop();
    stopped.catch((error: unknown) => this.#bug(error));
    await this.#until(
      () =>
        (this.#machine.supervisor === undefined && this.#machine.engines.size === 0) ||
        this.#agenda.nowMs > limitMs,
    );
    if (this.#machine.supervisor !== undefined || this.#machine.engines.size > 0) {
      this.#break('a stop ends', this.#state());
    }
    // What peers still wait for ends within an hour.
    const quietMs = this.#agenda.nowMs + 3_600_000;
    await this.#until(() => this.#agenda.nowMs > quietMs);
    if (this.#net.openEnds > 0) this.#break('no connection is left open', `${this.#net.openEnds} ends`);
  }

  async #until(isOver: () => boolean): Promise<void> {
    for (;;) {
      if (this.#violations.length > 0 || isOver()) return;
      if (this.#agenda.steps > stepsMax) return this.#break('everything drains', 'too many events');
      try {
        if (!this.#agenda.step()) return;
      } catch (error) {
        return this.#bug(error);
      }
      await drainMicrotasks();
      const [engine] = this.#machine.engines;
      this.#evidence.look(engine, this.#agenda.nowMs);
    }
  }

  #sawDisk(kind: string, path: string, result: string): void {
    this.#trace.note(kind, path + result);
    this.#plan.sawDisk(kind, path, result);
  }

  #sawNet(what: string, from: Endpoint, to: Endpoint, bytes: Uint8Array | undefined): void {
    const { nowMs } = this.#agenda;
    this.#trace.note(
      what,
      `${from.address}:${from.port} ${to.address}:${to.port}`,
      bytes === undefined ? 0 : this.#options.digest.crc32(bytes, 0),
    );
    if (bytes !== undefined && from.port === receiverPort) this.#evidence.arrived(to, bytes.length, nowMs);
    if (what !== 'opened') return;
    const held = this.#receivers.reduce((sum, receiver) => sum + receiver.held, 0);
    this.#mostHeld = Math.max(this.#mostHeld, held);
    for (const { address } of this.#config.vmtas) {
      const heldBy = this.#receivers.reduce((sum, receiver) => sum + receiver.heldBy(address), 0);
      this.#mostHeldBy.set(address, Math.max(heldBy, this.#mostHeldBy.get(address) ?? 0));
    }
  }

  #bug(error: unknown): void {
    const { message, stack } = error as Error;
    this.#break('no bug of our own', `${message}\n${stack}`);
  }

  #break(promise: string, detail: string): void {
    this.#violations.push({ promise, detail });
  }

  #state(): string {
    return JSON.stringify({
      engine: this.#machine.engine?.report(),
      queues: [...(this.#machine.engine?.queues() ?? [])],
      injectorIsDone: this.#injector.isDone,
      openEnds: this.#net.openEnds,
      diskOperations: this.#disk.pendingOperations,
    });
  }

  #case(): Case {
    const { domains, vmtas, totalMaxSmtpOut, acctFiles } = this.#config;
    const files = new Map<string, string>();
    const decoder = new TextDecoder();
    for (const { path, bytes } of this.#disk.files('/acct')) files.set(path, decoder.decode(bytes));
    return {
      submissions: this.#injector.submissions,
      injectorViolations: this.#injector.violations,
      receivers: this.#receivers.map((receiver, i) => ({ domain: domains[i]!, receiver })),
      vmtas,
      totalMaxSmtpOut,
      mostHeld: this.#mostHeld,
      mostHeldBy: this.#mostHeldBy,
      acctFiles,
      files,
      evidence: this.#evidence,
      absences: this.#dns.absences,
      wallStartMs,
      wallStepsMs: this.#plan.wallStepsMs,
      downMs: this.#evidence.downMs,
    };
  }

  #expired(): number {
    let expired = 0;
    for (const { path, bytes } of this.#disk.files('/acct')) {
      if (!path.startsWith('/acct/all')) continue;
      expired += new TextDecoder().decode(bytes).split(',4.4.7').length - 1;
    }
    return expired;
  }

  #report(): SeedReport {
    const { faultCount } = this.#net;
    const receiverFaults = this.#receivers.reduce((sum, receiver) => sum + receiver.faultCount, 0);
    return {
      seed: this.#options.seed,
      mix: this.#mix,
      configText: this.#config.text,
      violations: this.#violations,
      hash: this.#trace.hash,
      events: this.#trace.events,
      faults:
        faultCount +
        receiverFaults +
        this.#dns.faultCount +
        this.#injector.faultCount +
        this.#disk.failures +
        this.#plan.spells +
        this.#machine.crashes,
      crashes: this.#machine.crashes,
      stored: this.#injector.stored,
      recipients: this.#injector.submissions.length,
      expired: this.#expired(),
      virtualMs: this.#agenda.nowMs,
      lastLines: this.#trace.lastLines,
    };
  }
}

/** Lets every promise that can go on do so: as a process does between two events. */
async function drainMicrotasks(): Promise<void> {
  for (let hops = 0; hops < 24; hops++) await undefined;
}
