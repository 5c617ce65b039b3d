import type { Clock, Log } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import type { EngineStateReport } from '../control/reports.ts';
import type { EngineReport } from '../engine/engine.ts';
import type { Recording } from '../engine/recording.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import { EngineChild, type EngineEnd } from './engineChild.ts';
import type { Answers, Question } from './engineMessages.ts';
import { asLeft, carriedOn } from './lifeTotals.ts';

/** What one engine needs of its supervisor. */
export interface EngineSurroundings {
  readonly config: Config;
  readonly recording: Recording;
  readonly clock: Clock;
  readonly log: Log;
  /** For who watches the start. */
  notice(text: string): void;
}

/** An engine as its supervisor sees it at this moment. */
export interface EngineView {
  readonly state: EngineStateReport;
  /** The latest known, totals of ended lives included; undefined: it never told any. */
  readonly report: EngineReport | undefined;
}

interface State {
  readonly name: Exclude<EngineStateReport['state'], 'draining'>;
  readonly sinceMs: number;
  readonly waitsFor?: string;
  readonly restartMs?: number;
}

/** How long an engine may take to finish; then it is killed and its spool recovered at the next start. */
const stopMaxMs = 20_000;
const restartDelayMs = { first: 1000, last: 30_000 };
/** An engine that lived this long starts the delays over. */
const healthyMs = 60_000;
/** How old the numbers of an engine that dies may be. */
const reportEveryMs = 1000;

/** One engine over its lives: started again when it dies, with growing delays. */
export class SupervisedEngine {
  readonly name: string;
  readonly #folder: string;
  readonly #accepts: boolean;
  readonly #around: EngineSurroundings;
  #child: EngineChild | undefined;
  #state: State;
  #restart: NodeJS.Timeout | undefined;
  #nextReport: NodeJS.Timeout | undefined;
  #delayMs = restartDelayMs.first;
  #hasStarted = false;
  #runningSinceMs = 0;
  #isStopping = false;
  #deaths = 0;
  #diedOf: string | undefined;
  /** The last report of the lives that ended; what a new life counts is added to it. */
  #ended: EngineReport | undefined;
  #latest: { readonly report: EngineReport; readonly atMs: number } | undefined;

  /** `accepts` false: its folder is drained, nothing new comes in. */
  constructor(number: number, spool: string, accepts: boolean, around: EngineSurroundings) {
    this.name = `engine-${number}`;
    this.#folder = `${spool}/${this.name}`;
    this.#accepts = accepts;
    this.#around = around;
    this.#state = { name: 'starting', sinceMs: around.clock.wallMs() };
    around.recording.feed(this.name, this.#folder);
  }

  async start(): Promise<void> {
    const { config, recording, clock, log } = this.#around;
    const startedMs = clock.monotonicMs();
    const child = new EngineChild({
      published: (watermark) => recording.published(this.name, watermark),
      waits: (message) => this.#waits(message),
      exited: (end) => this.#exited(end, clock.monotonicMs() - startedMs),
    });
    this.#child = child;
    this.#enter('starting');
    await child.start({
      config,
      spoolFolder: this.#folder,
      recorded: recording.readThrough(this.name),
      accepts: this.#accepts,
      isCareful: this.#deaths > 0,
    });
    this.#hasStarted = true;
    this.#runningSinceMs = clock.wallMs();
    this.#enter('running');
    log.write('info', 'engine.started', { engine: this.name, pid: child.pid });
    void this.#watch(child);
  }

  recorded(position: BatchPosition | undefined): void {
    if (position !== undefined) this.#child?.tell({ kind: 'recorded', position });
  }

  /** Asks it, unless it is known not to answer. */
  async view(): Promise<EngineView> {
    if (this.#child !== undefined && this.#mayAnswer()) await this.#ask(this.#child);
    const { name, sinceMs, waitsFor, restartMs } = this.#state;
    const nowMs = this.#around.clock.wallMs();
    return {
      state: {
        name: this.name,
        state: name === 'running' && !this.#accepts ? 'draining' : name,
        pid: this.#child?.pid,
        sinceMs,
        waitsFor,
        restartInMs: restartMs === undefined ? undefined : Math.max(0, restartMs - nowMs),
        deaths: this.#deaths,
        diedOf: this.#diedOf,
        reportedMs: this.#latest?.atMs,
      },
      report: this.#latest?.report,
    };
  }

  /** undefined: it does not answer. */
  async ask<Q extends Question>(question: Q): Promise<Answers[Q['about']] | undefined> {
    return this.#mayAnswer() ? this.#child?.ask(question) : undefined;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    this.#state = { name: 'stopping', sinceMs: this.#around.clock.wallMs() };
    await this.#child?.stop(stopMaxMs);
    this.#state = { name: 'stopped', sinceMs: this.#around.clock.wallMs() };
  }

  /** One that starts may have come so far without having said so. */
  #mayAnswer(): boolean {
    return this.#state.name === 'running' || this.#state.name === 'starting';
  }

  #enter(name: State['name'], more: Partial<State> = {}): void {
    if (this.#isStopping) return;
    this.#state = { name, sinceMs: this.#around.clock.wallMs(), ...more };
  }

  #waits(message: string): void {
    if (this.#state.name !== 'starting') return;
    this.#state = { ...this.#state, waitsFor: message };
    this.#around.log.write('warn', 'engine.waits', { engine: this.name, message });
    this.#around.notice(`${this.name} ${message}`);
  }

  #exited({ isOrderly, why }: EngineEnd, livedMs: number): void {
    const { recording, clock, log } = this.#around;
    // What it published before an orderly end is all there is, and is recorded yet.
    if (!isOrderly) recording.engineGone(this.name);
    this.#child = undefined;
    clearTimeout(this.#nextReport);
    if (this.#latest !== undefined) {
      this.#latest = { ...this.#latest, report: asLeft(this.#latest.report) };
      this.#ended = this.#latest.report;
    }
    if (this.#isStopping || !this.#hasStarted) return;
    this.#deaths++;
    this.#diedOf = why;
    if (livedMs > healthyMs) this.#delayMs = restartDelayMs.first;
    log.write('error', 'engine.died', {
      engine: this.name,
      isOrderly,
      why,
      restartInMs: this.#delayMs,
    });
    this.#enter('restarting', { restartMs: clock.wallMs() + this.#delayMs });
    this.#restart = setTimeout(() => {
      this.start().catch(({ code, message }) =>
        log.write('error', 'engine.notStarted', { engine: this.name, code, message }),
      );
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.last);
  }

  /** Keeps its numbers, should it die, and notices when it stands still. */
  async #watch(child: EngineChild): Promise<void> {
    await this.#ask(child);
    if (this.#child === child) {
      this.#nextReport = setTimeout(() => void this.#watch(child), reportEveryMs);
    }
  }

  async #ask(child: EngineChild): Promise<void> {
    const report = await child.ask({ about: 'report' });
    if (this.#child !== child) return;
    if (report !== undefined) {
      this.#latest = { report: carriedOn(this.#ended, report), atMs: this.#around.clock.wallMs() };
      if (this.#state.name === 'notAnswering') {
        this.#enter('running', { sinceMs: this.#runningSinceMs });
        this.#around.log.write('info', 'engine.answers', { engine: this.name });
      }
    } else if (this.#state.name === 'running') {
      this.#enter('notAnswering');
      this.#around.log.write('error', 'engine.notAnswering', { engine: this.name, pid: child.pid });
    }
  }
}
