import type { Queue } from './queue.ts';
import type { QueueHost } from './queueHost.ts';
import { noRates, type RateSet } from './rateSet.ts';
import type { Batch, QueueMode, Settlement } from './schedule.ts';

/** A batch under delivery, as its scheduler knows it. */
export interface OpenBatch extends Batch {
  readonly owner: Queue;
  readonly host: QueueHost;
  /** The queue's when it was taken. */
  readonly mode: QueueMode;
  /** Recipient slots; `none` once settled. */
  readonly slots: number[];
  unsettled: number;
  /** What it is counted with. */
  readonly rateSets: readonly RateSet[];
  /** Reserved for it. */
  sizeBytes: number;
  /** Its recipients have been counted; so have its octets. */
  isNamed: boolean;
  isCarried: boolean;
}

/** Those a batch of a queue counts for. */
export function ratesOf(queue: Queue, host: QueueHost, shared: RateSet | undefined): readonly RateSet[] {
  const own = queue.rateSets();
  if (own.length === 0 && host.rateSets.length === 0 && shared === undefined) return noRates;
  return [...own, ...host.rateSets, ...(shared === undefined ? [] : [shared])];
}

/** All recipients have been named to the remote; a content of so many octets follows. */
export function countNamed(batch: OpenBatch, sizeBytes: number, nowMs: number): void {
  if (batch.isNamed) return;
  batch.isNamed = true;
  for (const rates of batch.rateSets) {
    rates.named(batch.unsettled, batch.unsettled, nowMs);
    if (batch.isCarried) continue;
    rates.carried(batch.sizeBytes, 0, nowMs);
    rates.reserve(0, sizeBytes);
  }
  if (!batch.isCarried) batch.sizeBytes = sizeBytes;
}

const unnamed: ReadonlySet<Settlement> = new Set(['returned', 'withdrawn']);

/** One recipient is settled; the content is counted once, however many it was delivered to. */
export function countSettled(batch: OpenBatch, settlement: Settlement, nowMs: number): void {
  const isDelivered = settlement === 'delivered' && !batch.isCarried;
  const isOver = batch.unsettled === 0 && !batch.isCarried;
  for (const rates of batch.rateSets) {
    if (!batch.isNamed) rates.named(1, unnamed.has(settlement) ? 0 : 1, nowMs);
    if (isDelivered) rates.carried(batch.sizeBytes, batch.sizeBytes, nowMs);
    else if (isOver) rates.carried(batch.sizeBytes, 0, nowMs);
  }
  if (isDelivered) batch.isCarried = true;
}
