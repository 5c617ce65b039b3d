import type { QueueName } from '../message/names.ts';

/** What holds a connection slot of a queue: a delivery connection, or what stands in for one. */
export interface Outgoing {
  readonly queue: QueueName;
  /** Nothing was taken yet, and giving it up costs nothing. */
  readonly isOpening: boolean;
  /** It waits for mail. */
  readonly isIdle: boolean;
  /** There may be mail for an idle one. */
  offer(): void;
  /** Ends an idle one. */
  quit(): void;
  tick(nowMs: number): void;
  /** Ends it at once; what it carried goes back. */
  abort(): void;
}
