import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';

/** How long a new engine waits for its predecessor, whose supervisor may have died, to close the spool. */
const waitSeconds = 15;

/**
 * Locks an engine's folder for the life of this process: the lock belongs to the open file that flock(1)
 * inherits, so the kernel frees it however the process ends. Returns why not, or undefined.
 */
export function lockSpool(folder: string): string | undefined {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = openSync(`${folder}/lock`, 'a', 0o600);
  const { error, status } = spawnSync('flock', ['-w', String(waitSeconds), '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
  });
  if (status === 0) return undefined;
  closeSync(file);
  if (error !== undefined) return `flock(1) is needed to lock ${folder}: ${error.message}`;
  return `${folder} belongs to another engine that is running`;
}
