import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { EngineReport, QueueState } from '../engine/engine.ts';
import type { Watermark } from '../message/batchPosition.ts';
import type { FromEngine, ToEngine } from './engineMessages.ts';

/** How `main.js` is told to be an engine. Not for people. */
export const engineWord = 'engine';

const answerMaxMs = 5000;

/**
 * Messages live for milliseconds and are large: with V8's small nursery they are promoted only to be
 * collected the dear way. Measured: a tenth more messages a second, and less memory held.
 */
const engineFlags = ['--max-semi-space-size=64'];

export interface EngineChildEvents {
  published(watermark: Watermark): void;
  /** The process is gone; `expected` when it said so before. */
  exited(expected: boolean): void;
}

/** One engine process, as the supervisor holds it. */
export class EngineChild {
  readonly #worker: Worker;
  readonly #events: EngineChildEvents;
  readonly #asked = new Map<number, (answer: unknown) => void>();
  #nextAsk = 1;
  #isStopped = false;
  #failure: { readonly code: string; readonly message: string } | undefined;
  readonly exited: Promise<unknown>;

  constructor(events: EngineChildEvents) {
    // The listening handle is shared, sockets are never passed: that costs too much (architecture 4).
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      exec: fileURLToPath(import.meta.url),
      args: [engineWord],
      execArgv: [...process.execArgv, ...engineFlags],
      serialization: 'advanced',
    });
    this.#events = events;
    this.#worker = cluster.fork();
    // Not events.once: a message to an engine that has just died is an `error` here, and no end of ours.
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', resolve);
      this.#worker.on('error', () => {
        if (this.#worker.process.pid === undefined) resolve(undefined);
      });
    });
  }

  /** Resolves once it accepts mail. Rejects with the system's code when it cannot. */
  start(order: Omit<Extract<ToEngine, { kind: 'start' }>, 'kind'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromEngine) => {
        if (message.kind === 'ready') this.tell({ kind: 'start', ...order });
        else if (message.kind === 'started') resolve();
        else if (message.kind === 'failed') this.#failure = message;
        else if (message.kind === 'published') this.#events.published(message.watermark);
        else if (message.kind === 'answer') this.#answered(message.ask, message.answer);
        else this.#isStopped = true;
      });
      void this.exited.then(() => {
        for (const ask of [...this.#asked.keys()]) this.#answered(ask, undefined);
        this.#events.exited(this.#isStopped);
        const { code, message } = this.#failure ?? {
          code: 'engine',
          message: 'the engine ended while it started',
        };
        reject(Object.assign(new Error(message), { code }));
      });
    });
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  tell(message: ToEngine): void {
    if (this.#worker.isConnected()) this.#worker.send(message);
  }

  /** undefined: it does not answer. */
  report(): Promise<EngineReport | undefined> {
    return this.#ask('report') as Promise<EngineReport | undefined>;
  }

  async queues(): Promise<readonly QueueState[]> {
    return ((await this.#ask('queues')) as readonly QueueState[] | undefined) ?? [];
  }

  /** Asks it to finish; after `maxMs` it is killed. What it accepted is in its spool either way. */
  async stop(maxMs: number): Promise<void> {
    this.tell({ kind: 'stop' });
    const timer = setTimeout(() => this.#worker.process.kill('SIGKILL'), maxMs);
    await this.exited;
    clearTimeout(timer);
  }

  #ask(about: 'report' | 'queues'): Promise<unknown> {
    return new Promise((resolve) => {
      const ask = this.#nextAsk++;
      const timer = setTimeout(() => this.#answered(ask, undefined), answerMaxMs);
      this.#asked.set(ask, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.tell({ kind: 'ask', ask, about });
    });
  }

  #answered(ask: number, answer: unknown): void {
    this.#asked.get(ask)?.(answer);
    this.#asked.delete(ask);
  }
}
