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
}

const slowSyncMs = 50;
/** How many operations of a kind one fails of. */
const oneIn: Partial<Record<Passing['door'], number>> = {
  write: 6,
  sync: 6,
  syncFolder: 6,
  rename: 6,
  unlink: 6,
  truncate: 6,
  open: 20,
};

/** What happens to a passing; undefined: nothing of the kind. */
export function faultsOf(order: FaultOrder): (passing: Passing) => Verdict | undefined {
  const random = mulberry32(order.seed);
  if (order.kind === 'slow') {
    return ({ door, isSynced }) =>
      isSynced || door === 'sync' || door === 'syncFolder' ? { delayMs: slowSyncMs } : undefined;
  }
  if (order.kind === 'lie') return (passing) => (passing.isSynced ? { does: 'nothing' } : undefined);
  return ({ door }) => {
    const every = oneIn[door];
    if (every === undefined || random() * every >= 1) return undefined;
    if (door === 'write')
      return { code: 'EIO', does: (['nothing', 'half', 'all'] as const)[draw(random, 3)]! };
    // A failed open holds no descriptor; the rest may have been done before it failed.
    return { code: 'EIO', does: door !== 'open' && draw(random, 2) === 0 ? 'all' : 'nothing' };
  };
}

function draw(random: () => number, below: number): number {
  return Math.floor(random() * below);
}
