import type { Clock, Timer } from '../base/ports.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import { type AcctError, diskFailure } from './acctError.ts';
import type { AcctBatch, AcctFile } from './acctWriter.ts';

/**
 * Where batches come from, in order for each engine, each one synced and published before (architecture 5).
 * It starts behind `Recorder.durable`; giving a batch again does no harm.
 */
export interface BatchSource {
  /** What there is now, at most `maxBatches`; empty when there is nothing. Rejects with the disk's error. */
  next(maxBatches: number): Promise<readonly AcctBatch[]>;
}

/** What the recorder tells its owner. */
export interface RecorderEvents {
  /** These positions may be reported to the engines' spools. */
  recorded(positions: ReadonlyMap<string, BatchPosition>): void;
  /** Something failed. Rows wait in the spool and are tried again unless the code says that they are lost. */
  alarm(error: AcctError): void;
  /** Every file takes rows again after an alarm. */
  recovered(): void;
}

export interface RecorderPolicy {
  /** How long rows may gather before they are written, milliseconds. */
  readonly gatherMs: number;
  readonly commitAfterMs: number;
  readonly commitAfterRows: number;
  readonly batchesAtOnce: number;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
}

/** Rows are visible within 100 ms (gathering, then the write) and durable within about a second. */
export const recorderPolicy: RecorderPolicy = {
  gatherMs: 50,
  commitAfterMs: 1_000,
  commitAfterRows: 10_000,
  batchesAtOnce: 4,
  firstRetryMs: 100,
  longestRetryMs: 10_000,
};

const longestSleepMs = 3_600_000;

/**
 * Feeds the same batches to every acct-file. It pulls: while a file does not take rows nothing more is
 * fetched, so memory stays bounded and what waits, waits in the spool. Without any file everything counts as
 * recorded.
 */
export class Recorder {
  readonly #files: readonly AcctFile[];
  readonly #batches: BatchSource;
  readonly #clock: Clock;
  readonly #events: RecorderEvents;
  readonly #policy: RecorderPolicy;

  /** The last batch fetched of each engine. */
  readonly #fetched = new Map<string, BatchPosition>();
  #durable: ReadonlyMap<string, BatchPosition>;
  /** Monotonic time of the oldest batch that no cursor covers. */
  #oldestUncommittedMs: number | undefined;
  #failures = 0;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(
    files: readonly AcctFile[],
    batches: BatchSource,
    clock: Clock,
    events: RecorderEvents,
    policy: RecorderPolicy = recorderPolicy,
  ) {
    this.#files = files;
    this.#batches = batches;
    this.#clock = clock;
    this.#events = events;
    this.#policy = policy;
    this.#durable = commonPositions(files.map((file) => file.durable));
  }

  /** For each engine the last batch that every acct-file holds durably; an engine without one is absent. */
  get durable(): ReadonlyMap<string, BatchPosition> {
    return this.#durable;
  }

  /** The last batch of that engine that was read since the start. */
  fetched(engine: string): BatchPosition | undefined {
    return this.#fetched.get(engine);
  }

  /** There may be new batches. Cheap; call it whenever an engine publishes. Call it once to begin. */
  wake(): void {
    // While files stand, the retry that is due fetches as well.
    if (this.#failures === 0) this.#wakeAfter(this.#policy.gatherMs);
  }

  /** Records and commits everything there is now; undefined when all of it is durable. */
  async commitNow(): Promise<AcctError | undefined> {
    while (this.#running !== undefined) await this.#running;
    let failed: AcctError | undefined;
    await this.#start(async () => {
      failed = await this.#record(true);
    });
    return failed;
  }

  /** Commits what there is, then stops and closes the files. */
  async close(): Promise<AcctError | undefined> {
    this.#isClosed = true;
    this.#forgetTimer();
    const failed = await this.commitNow();
    for (const file of this.#files) await file.close();
    return failed;
  }

  #wakeAfter(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    if (this.#isClosed || dueMs >= this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#forgetTimer();
      if (this.#running === undefined) {
        void this.#start(async () => {
          await this.#record(false);
        });
      } else {
        this.#wakeAfter(this.#policy.gatherMs);
      }
    });
  }

  #forgetTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = Number.POSITIVE_INFINITY;
  }

  #start(work: () => Promise<void>): Promise<void> {
    this.#running = work().finally(() => {
      this.#running = undefined;
      this.#wakeAfter(this.#restMs());
    });
    return this.#running;
  }

  #restMs(): number {
    const { commitAfterMs, firstRetryMs, longestRetryMs } = this.#policy;
    if (this.#failures > 0) return Math.min(longestRetryMs, firstRetryMs * 2 ** (this.#failures - 1));
    const nowMs = this.#clock.wallMs();
    const dueMs = Math.min(longestSleepMs, ...this.#files.map((file) => file.nextDueMs(nowMs)));
    if (this.#oldestUncommittedMs === undefined) return dueMs;
    return Math.max(0, this.#oldestUncommittedMs + commitAfterMs - this.#clock.monotonicMs());
  }

  /** Until the engines have nothing more: rows on their way first, then the next batches. */
  async #record(commitAll: boolean): Promise<AcctError | undefined> {
    let failed = await this.#write(commitAll);
    while (failed === undefined) {
      const batches = await this.#fetch();
      if ('code' in batches) {
        failed = batches;
        this.#events.alarm(failed);
        break;
      }
      if (batches.length === 0) break;
      for (const batch of batches) {
        if (isAfter(batch.position, this.#fetched.get(batch.engine))) {
          this.#fetched.set(batch.engine, batch.position);
        }
        for (const file of this.#files) file.append(batch);
      }
      this.#oldestUncommittedMs ??= this.#clock.monotonicMs();
      failed = await this.#write(commitAll);
    }
    if (failed === undefined && this.#failures > 0) this.#events.recovered();
    this.#failures = failed === undefined ? 0 : this.#failures + 1;
    return failed;
  }

  async #fetch(): Promise<readonly AcctBatch[] | AcctError> {
    try {
      return await this.#batches.next(this.#policy.batchesAtOnce);
    } catch (thrown) {
      return diskFailure('batches-failed', 'spool', thrown);
    }
  }

  async #write(commitAll: boolean): Promise<AcctError | undefined> {
    // After a failure only a commit shows that the disk works again.
    const commits = commitAll || this.#failures > 0 || this.#commitIsDue();
    const nowMs = this.#clock.wallMs();
    let failed: AcctError | undefined;
    for (const file of this.#files) {
      const error = await (commits ? file.commit(nowMs) : file.flush(nowMs));
      for (const alarm of file.takeAlarms()) this.#events.alarm(alarm);
      if (error === undefined) continue;
      this.#events.alarm(error);
      failed ??= error;
    }
    if (commits && failed === undefined) this.#oldestUncommittedMs = undefined;
    this.#report();
    return failed;
  }

  #commitIsDue(): boolean {
    const { commitAfterMs, commitAfterRows } = this.#policy;
    if (this.#files.some((file) => file.uncommittedRows >= commitAfterRows)) return true;
    // With nothing waiting this is the hour of a rotation or of delete-after.
    const waitedMs = this.#clock.monotonicMs() - (this.#oldestUncommittedMs ?? Number.NEGATIVE_INFINITY);
    return waitedMs >= commitAfterMs;
  }

  #report(): void {
    const positions =
      this.#files.length === 0
        ? new Map(this.#fetched)
        : commonPositions(this.#files.map((file) => file.durable));
    const isNews = [...positions].some(([engine, at]) => isAfter(at, this.#durable.get(engine)));
    this.#durable = positions;
    if (isNews) this.#events.recorded(positions);
  }
}

/** For each engine that all know, the least position. */
function commonPositions(
  all: readonly ReadonlyMap<string, BatchPosition>[],
): ReadonlyMap<string, BatchPosition> {
  const [first, ...others] = all;
  const common = new Map<string, BatchPosition>();
  for (const [engine, position] of first ?? []) {
    const positions = [position, ...others.map((other) => other.get(engine))];
    if (positions.includes(undefined)) continue;
    common.set(engine, positions.reduce((least, at) => (isAfter(least!, at) ? at : least))!);
  }
  return common;
}
