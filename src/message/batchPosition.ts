/**
 * A batch's place in spool order: what the engine publishes as synced, what a cursor remembers.
 * Epochs rise with every start, batch numbers within an epoch; together they are one ordered number.
 */
export interface BatchPosition {
  readonly epoch: number;
  readonly batch: number;
}

/** Before everything the spool ever held. */
export const beforeAll: BatchPosition = { epoch: 0, batch: 0 };

/** Negative, zero or positive as `a` comes before, with or after `b`. */
export function comparePositions(a: BatchPosition, b: BatchPosition): number {
  return a.epoch - b.epoch || a.batch - b.batch;
}

/** Later than `other`, or than nothing. */
export function isAfter(position: BatchPosition, other: BatchPosition | undefined): boolean {
  return other === undefined || comparePositions(position, other) > 0;
}

/** The engine's word to the recorder: everything up to this batch of this segment is synced. */
export interface Watermark extends BatchPosition {
  readonly segment: number;
}
