import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `leave` however this process ends, SIGKILL apart. It must be synchronous. */
export function whenEnding(leave: () => void): void {
  process.once('exit', leave);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
}

/** A new folder that goes when this process ends, or before. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'penstock-bench-'));
  // Processes that were just killed may still be writing.
  const remove = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 10 });
  whenEnding(remove);
  return { path, remove };
}
