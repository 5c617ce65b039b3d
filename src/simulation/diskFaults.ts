export type Fault = 'write' | 'sync' | 'syncFolder' | 'open' | 'read' | 'list' | 'unlink';

interface PlannedFault {
  readonly fault: Fault;
  readonly under: string;
  left: number;
}

/** Which of a disk's next operations fail. */
export class DiskFaults {
  #planned: PlannedFault[] = [];
  /** Operations that failed. */
  met = 0;

  /** The next `count` operations of that kind on paths that begin with `under`. */
  plan(fault: Fault, count: number, under: string): void {
    this.#planned.push({ fault, under, left: count });
  }

  /** Whether this operation is one of them; it counts as such. */
  take(fault: Fault, path: string): boolean {
    const at = this.#planned.findIndex((one) => one.fault === fault && path.startsWith(one.under));
    const found = this.#planned[at];
    if (found === undefined) return false;
    found.left -= 1;
    if (found.left === 0) this.#planned.splice(at, 1);
    this.met += 1;
    return true;
  }

  clear(): void {
    this.#planned = [];
  }
}
