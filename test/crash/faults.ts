/** Faults that the disk or the clock of a daemon's process shows, told by numbers drawn from a seed. */
import type { Passing, Verdict } from './doors.ts';
import { mulberry32 } from './random.ts';

export interface FaultOrder {
  /**
   * `eio`: an operation in so many fails, having done nothing, half or all. `slow`: each sync takes longer.
   * `lie`: synced writes are not done at all and nobody is told: the ledger must see it.
   */
  readonly kind: 'eio' | 'slow' | 'lie';
  readonly seed: number;
  /** `eio`: how many operations one fails of. */
  readonly oneIn: number;
}

const slowSyncMs = 50;
const failing: readonly Passing['door'][] = [
  'write',
  'sync',
  'syncFolder',
  'rename',
  'unlink',
  'truncate',
  'open',
  'read',
];

/** What happens to a passing; undefined: nothing of the kind. */
export function faultsOf(order: FaultOrder): (passing: Passing) => Verdict | undefined {
  const random = mulberry32(order.seed);
  if (order.kind === 'slow') {
    return ({ door, isSynced }) =>
      isSynced || door === 'sync' || door === 'syncFolder' ? { delayMs: slowSyncMs } : undefined;
  }
  if (order.kind === 'lie') return (passing) => (passing.isSynced ? { does: 'nothing' } : undefined);
  return ({ door }) => {
    if (!failing.includes(door) || random() * order.oneIn >= 1) return undefined;
    if (door === 'write')
      return { code: 'EIO', does: (['nothing', 'half', 'all'] as const)[draw(random, 3)]! };
    // A failed open holds no descriptor; the rest may have been done before it failed.
    return { code: 'EIO', does: door !== 'open' && draw(random, 2) === 0 ? 'all' : 'nothing' };
  };
}

function draw(random: () => number, below: number): number {
  return Math.floor(random() * below);
}
