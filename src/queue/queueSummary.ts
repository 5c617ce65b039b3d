import type { Queue } from './queue.ts';
import { retryClock } from './retryClocks.ts';
import type { QueueSummary } from './schedule.ts';

export function queueSummary(queue: Queue, nowMs: number): QueueSummary {
  const { name, mode, recipients, ready, inDelivery, isPaused } = queue;
  return {
    name,
    mode,
    recipients,
    ready,
    waiting: recipients - ready - inDelivery,
    inDelivery,
    isPaused,
    connections: queue.connections(),
    ...retryClock(queue, nowMs),
  };
}
