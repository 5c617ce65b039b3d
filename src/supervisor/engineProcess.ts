import cluster from 'node:cluster';
import { systemClock } from '../base/node/clock.ts';
import { systemDigest } from '../base/node/digest.ts';
import { systemDisk } from '../base/node/disk.ts';
import { openLog, type SystemLog, standardErrorLog } from '../base/node/log.ts';
import { systemNet } from '../base/node/net.ts';
import { systemRandom } from '../base/node/random.ts';
import { scratchFile } from '../base/node/scratch.ts';
import { configuredDns } from '../config/node/configuredDns.ts';
import { Engine } from '../engine/engine.ts';
import { PoisonGuard, suspectFile } from '../engine/poisonGuard.ts';
import type { Watermark } from '../message/batchPosition.ts';
import type { Answers, FromEngine, Question, ToEngine } from './engineMessages.ts';
import { lockSpool } from './spoolLock.ts';

/** Watermarks are told at most this often: the recorder gathers anyway. */
const watermarkDelayMs = 20;
/** How long a stop waits for a start under way; one that takes longer is given up as a crash would. */
const startGraceMs = 2000;
/** Once the supervisor is gone there is nobody to account to: finish quickly. */
const orphanGraceMs = 2000;

/** The life of an engine process: waits for its configuration, serves, and ends when told or orphaned. */
export async function runEngine(): Promise<void> {
  // The supervisor decides when an engine stops; a Ctrl-C reaches the whole process group.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const engine = new EngineProcess();
  process.on('message', (message: ToEngine) => engine.obey(message));
  cluster.worker?.on('disconnect', () => {
    // Or Node's cluster module would end this process at once.
    cluster.worker!.exitedAfterDisconnect = true;
    void engine.end(orphanGraceMs);
  });
  tell({ kind: 'ready' });
}

class EngineProcess {
  #engine: Engine | undefined;
  #starting: Promise<void> | undefined;
  readonly #ending = new AbortController();
  /** Published and not yet told. */
  #watermark: Watermark | undefined;

  obey(message: ToEngine): void {
    if (message.kind === 'start') this.#starting ??= this.#start(message);
    else if (message.kind === 'recorded') this.#engine?.recorded(message.position);
    else if (message.kind === 'ask') {
      const { ask, question } = message;
      void this.#answer(question).then((answer) => tell({ kind: 'answer', ask, answer }));
    } else if (message.kind === 'stop') void this.end();
  }

  /** Stops, tells the last watermark and leaves. */
  async end(graceMs?: number): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    // It may have begun to accept: then it ends as any other.
    await Promise.race([this.#starting, new Promise((resolve) => setTimeout(resolve, startGraceMs))]);
    await this.#engine?.stop(graceMs);
    this.#tellWatermark();
    if (!process.connected) process.exit(0);
    process.send?.({ kind: 'stopped' } satisfies FromEngine, () => process.exit(0));
  }

  async #start(order: Extract<ToEngine, { kind: 'start' }>): Promise<void> {
    const { config, spoolFolder, recorded, accepts, isCareful } = order;
    const guard = new PoisonGuard(scratchFile(`${spoolFolder}/${suspectFile}`), isCareful);
    const log = await this.#openLog(config.logFile.value);
    process.on('uncaughtException', (error) => {
      // A broken promise of our own code: the spool survives, the supervisor starts another engine.
      guard.died();
      log.write('error', 'engine.crashed', { message: error.message, stack: error.stack });
      log.flush();
      tell({ kind: 'failed', code: 'crashed', message: error.message });
      process.exit(70);
    });
    const refusal = await lockSpool(spoolFolder, {
      signal: this.#ending.signal,
      waits: (message) => tell({ kind: 'waits', message }),
    });
    const engine =
      refusal ??
      (await Engine.start(
        {
          clock: systemClock(),
          random: systemRandom(),
          disk: systemDisk(),
          net: systemNet(),
          dns: configuredDns(config),
          digest: systemDigest(),
          log,
        },
        {
          config,
          spoolFolder,
          recorded,
          accepts,
          guard,
          published: (watermark) => this.#published(watermark),
        },
      ));
    if (engine instanceof Engine) {
      this.#engine = engine;
      tell({ kind: 'started' });
      return;
    }
    // Told to end meanwhile: `end` leaves.
    if (this.#ending.signal.aborted) return;
    const { code, message } = engine;
    log.write('error', 'engine.failed', { code, message });
    process.send?.({ kind: 'failed', code, message } satisfies FromEngine, () => process.exit(1));
  }

  /** The supervisor could open it. If that has changed meanwhile, mail goes on. */
  async #openLog(file: string): Promise<SystemLog> {
    const opened = await openLog({ file, level: 'info' });
    if (!('kind' in opened)) return opened;
    const log = standardErrorLog('info');
    log.write('error', 'log.unwritable', { code: opened.code, path: opened.path, message: opened.message });
    return log;
  }

  #published(watermark: Watermark): void {
    if (this.#watermark === undefined) setTimeout(() => this.#tellWatermark(), watermarkDelayMs);
    this.#watermark = watermark;
  }

  #tellWatermark(): void {
    if (this.#watermark !== undefined) tell({ kind: 'published', watermark: this.#watermark });
    this.#watermark = undefined;
  }

  /** undefined: there is nothing to tell yet. */
  async #answer(question: Question): Promise<Answers[keyof Answers] | undefined> {
    const engine = this.#engine;
    // What is asked of an engine that ends may come too late for its spool.
    if (this.#ending.signal.aborted && question.about !== 'report') return undefined;
    return engine && answers[question.about](engine, question as never);
  }
}

const answers: {
  readonly [A in Question['about']]: (
    engine: Engine,
    question: Extract<Question, { readonly about: A }>,
  ) => Answers[A] | Promise<Answers[A]>;
} = {
  report: (engine) => engine.report(),
  queues: ({ operations }, { selection }) => operations.list(selection),
  queue: ({ operations }, { queue }) => operations.find(queue),
  pause: ({ operations }, { selector, isPaused }) => operations.setPause(selector, isPaused),
  retry: ({ operations }, { selector }) => operations.retry(selector),
  why: ({ operations }, { queue }) => operations.why(queue),
  whyMessage: async ({ operations }, { id }) => (await operations.whyMessage(id)) ?? 'unknown',
  trace: ({ operations }, { queue, withData }) => operations.trace(queue, withData),
  traced: ({ operations }, { queue }) => operations.traced(queue),
  delete: ({ operations }, { order }) => operations.delete(order),
  quarantined: (engine, { messagesMax }) => engine.quarantined(messagesMax),
  release: (engine, { id }) => engine.release(id),
};

function tell(message: FromEngine): void {
  // With a callback an error is the caller's, without one it would end the process.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
