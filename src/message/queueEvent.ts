import type { QueueName } from './names.ts';

/**
 * A queue as a whole could not go on and waits: what a tq row tells (powermta d.3), with everything that the
 * row needs.
 */
export interface QueueEvent {
  readonly kind: 'queueFailed';
  readonly queue: QueueName;
  readonly timeLoggedMs: number;
  /** RFC 3463 code alone, `4.4.1`. */
  readonly status: string;
  /** The remote's reply on one line, or what we say of a local cause. */
  readonly diagnostic: string;
  /** `mx.host (192.0.2.1)`, or '' when no remote was involved. */
  readonly dsnMta: string;
  /** '0.0.0.0' when never bound. */
  readonly dlvSourceIp: string;
  readonly dlvDestinationIp: string;
}
