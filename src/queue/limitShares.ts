/**
 * A budget of connection slots that may span engines or machines (architecture 4). One owner grants the
 * slots; a slot is given back before it is granted again, so the sum of all holders never exceeds the
 * limit. A share can be zero: there is no "minimum one each".
 */
export interface LimitShares {
  /** Takes one slot. False: none is free now; whoever holds the shares steps the scheduler when one is. */
  lease(): boolean;
  /** Gives back one leased slot. */
  release(): void;
}

/** All of `limit` for a single process. */
export function wholeShare(limit: number): LimitShares {
  let leased = 0;
  return {
    lease() {
      if (leased >= limit) return false;
      leased++;
      return true;
    },
    release() {
      leased--;
    },
  };
}
