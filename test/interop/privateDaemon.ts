import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';

/** Ends a program that leads a process group of its own, with all that it started, and removes its folder. */
export async function endDaemon(daemon: ChildProcess, folder: string): Promise<void> {
  const { pid, exitCode, signalCode } = daemon;
  if (pid !== undefined && exitCode === null && signalCode === null) {
    const ended = once(daemon, 'exit');
    process.kill(pid, 'SIGTERM');
    await ended;
  }
  try {
    process.kill(-pid!, 'SIGKILL');
  } catch {
    // No child outlived it.
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
