import type { Clock } from '../base/ports.ts';
import type { RemoteCause } from '../delivery/outcome.ts';
import type { QueueName } from '../message/names.ts';
import type { Batch } from '../queue/schedule.ts';
import type { SpoolReadFailure } from '../spool/spool.ts';
import type { HeldMessage } from './heldContent.ts';
import type { Outgoing } from './outgoing.ts';

export interface BouncingSetup {
  readonly clock: Clock;
  opened(bouncing: Outgoing): void;
  closed(bouncing: Outgoing, wasOpened: boolean): void;
  take(bouncing: Outgoing): Batch | 'wait' | 'close';
  /** How long ago its message was queued. */
  ageMs(batch: Batch): number;
  held(batch: Batch): HeldMessage | undefined;
  load(batch: Batch): Promise<HeldMessage | SpoolReadFailure>;
  unreadable(batch: Batch, failure: SpoolReadFailure): void;
  returned(batch: Batch): void;
  /** Each recipient of the batch fails for that cause. */
  bounced(batch: Batch, message: HeldMessage, cause: RemoteCause): void;
  /** Something happened: the scheduler may have more to start. */
  changed(): void;
}

/** Which messages it is about; without either all that the queue holds. */
export interface BouncingBounds {
  /** Only who has waited so long. */
  readonly leastAgeMs?: number;
  /** No more than so many. */
  readonly messagesMax?: number;
}

/** Others get their turn after so many messages. */
const messagesPerTurn = 50;
const idleMs = 1000;

/**
 * Stands in for a connection where there is nobody to connect to: takes what the scheduler gives, and every
 * recipient of it fails. Limits, slots and fairness hold as for a connection.
 */
export class Bouncing implements Outgoing {
  readonly queue: QueueName;
  readonly isOpening = false;
  readonly #setup: BouncingSetup;
  readonly #cause: RemoteCause;
  readonly #leastAgeMs: number;
  readonly #messagesMax: number;
  #state: 'working' | 'idle' | 'over' = 'working';
  #idleSinceMs = 0;
  /** A batch whose content is being read from the spool. */
  #loading: Batch | undefined;

  constructor(setup: BouncingSetup, queue: QueueName, cause: RemoteCause, bounds: BouncingBounds = {}) {
    this.#setup = setup;
    this.queue = queue;
    this.#cause = cause;
    this.#leastAgeMs = bounds.leastAgeMs ?? 0;
    this.#messagesMax = bounds.messagesMax ?? Number.POSITIVE_INFINITY;
  }

  get isIdle(): boolean {
    return this.#state === 'idle';
  }

  start(): void {
    this.#setup.opened(this);
    void this.#work();
  }

  offer(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'working';
    void this.#work();
  }

  quit(): void {
    if (this.#state === 'idle') this.#end();
  }

  tick(nowMs: number): void {
    if (nowMs - this.#idleSinceMs >= idleMs) this.quit();
  }

  abort(): void {
    if (this.#state !== 'over') this.#end();
  }

  async #work(): Promise<void> {
    const { clock } = this.#setup;
    for (let messages = 1; this.#state === 'working'; messages++) {
      const batch = this.#setup.take(this);
      if (batch === 'close') this.#end();
      else if (batch === 'wait') {
        this.#state = 'idle';
        this.#idleSinceMs = clock.monotonicMs();
      } else if (this.#setup.ageMs(batch) < this.#leastAgeMs) {
        this.#setup.returned(batch);
        this.#end();
      } else await this.#bounce(batch);
      if (messages >= this.#messagesMax && this.#state === 'working') this.#end();
      if (messages % messagesPerTurn === 0) await new Promise<void>((resolve) => clock.soon(resolve));
    }
    this.#setup.changed();
  }

  async #bounce(batch: Batch): Promise<void> {
    const held = this.#setup.held(batch);
    if (held !== undefined) return this.#setup.bounced(batch, held, this.#cause);
    this.#loading = batch;
    const message = await this.#setup.load(batch);
    if (this.#loading === undefined) return;
    this.#loading = undefined;
    if ('envelope' in message) this.#setup.bounced(batch, message, this.#cause);
    else this.#setup.unreadable(batch, message);
  }

  #end(): void {
    this.#state = 'over';
    if (this.#loading !== undefined) this.#setup.returned(this.#loading);
    this.#loading = undefined;
    this.#setup.closed(this, true);
  }
}
