import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Watermark } from '../message/batchPosition.ts';
import type { Answers, FromEngine, Question, ToEngine } from './engineMessages.ts';

/** How `main.js` is told to be an engine. Not for people. */
export const engineWord = 'engine';

const answerMaxMs = 5000;

/**
 * Messages live for milliseconds and are large: with V8's small nursery they are promoted only to be
 * collected the dear way. Measured: a tenth more messages a second, and less memory held.
 */
const engineFlags = ['--max-semi-space-size=64'];

/**
 * For glibc: tables of megabytes that are outgrown go back to the system, and threads share their arenas.
 * Measured: a quarter less memory with 200,000 messages queued.
 */
const engineEnvironment = { MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_ARENA_MAX: '2' };

/** How an engine process ended. */
export interface EngineEnd {
  /** It said so before: what it published is all there is. */
  readonly isOrderly: boolean;
  /** `killed by SIGKILL`, `ended with exit code 70`, or in its own words. */
  readonly why: string;
}

export interface EngineChildEvents {
  published(watermark: Watermark): void;
  /** Its start takes longer, for this reason. */
  waits(message: string): void;
  exited(end: EngineEnd): void;
}

/** One engine process, as the supervisor holds it. */
export class EngineChild {
  readonly #worker: Worker;
  readonly #events: EngineChildEvents;
  readonly #asked = new Map<number, (answer: unknown) => void>();
  #nextAsk = 1;
  #isStopped = false;
  #failure: { readonly code: string; readonly message: string } | undefined;
  /** Resolves with how, in words. */
  readonly exited: Promise<string>;

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
    this.#worker = cluster.fork(engineEnvironment);
    // Not events.once: a message to an engine that has just died is an `error` here, and no end of ours.
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', (code: number | null, signal: string | null) => {
        const how = signal === null ? `ended with exit code ${code}` : `killed by ${signal}`;
        // What it said last may still be on its way; behind the end of the channel nothing is.
        if (this.#worker.isConnected()) this.#worker.once('disconnect', () => resolve(how));
        else resolve(how);
      });
      this.#worker.on('error', ({ message }) => {
        if (this.#worker.process.pid === undefined) resolve(`could not be started: ${message}`);
      });
    });
  }

  /** Resolves once it accepts mail. Rejects with the system's code when it cannot. */
  start(order: Omit<Extract<ToEngine, { kind: 'start' }>, 'kind'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromEngine) => {
        if (message.kind === 'ready') this.tell({ kind: 'start', ...order });
        else if (message.kind === 'started') resolve();
        else if (message.kind === 'waits') this.#events.waits(message.message);
        else if (message.kind === 'failed') this.#failure = message;
        else if (message.kind === 'published') this.#events.published(message.watermark);
        else if (message.kind === 'answer') this.#answered(message.ask, message.answer);
        else this.#isStopped = true;
      });
      void this.exited.then((how) => {
        for (const ask of [...this.#asked.keys()]) this.#answered(ask, undefined);
        const { code, message: why } = this.#failure ?? { code: 'engine', message: how };
        this.#events.exited({ isOrderly: this.#isStopped, why });
        reject(Object.assign(new Error(why), { code }));
      });
    });
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  tell(message: ToEngine): void {
    if (this.#worker.isConnected()) this.#worker.send(message);
  }

  /** undefined: it has not started, not answered for 5 s, or is gone. */
  ask<Q extends Question>(question: Q): Promise<Answers[Q['about']] | undefined> {
    return this.#ask(question) as Promise<Answers[Q['about']] | undefined>;
  }

  /** Asks it to finish; after `maxMs` it is killed. What it accepted is in its spool either way. */
  async stop(maxMs: number): Promise<void> {
    this.tell({ kind: 'stop' });
    const timer = setTimeout(() => this.#worker.process.kill('SIGKILL'), maxMs);
    await this.exited;
    clearTimeout(timer);
  }

  #ask(question: Question): Promise<unknown> {
    return new Promise((resolve) => {
      const ask = this.#nextAsk++;
      const timer = setTimeout(() => this.#answered(ask, undefined), answerMaxMs);
      this.#asked.set(ask, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.tell({ kind: 'ask', ask, question });
    });
  }

  #answered(ask: number, answer: unknown): void {
    this.#asked.get(ask)?.(answer);
    this.#asked.delete(ask);
  }
}
