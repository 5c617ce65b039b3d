import { spawn } from 'node:child_process';
import { close, ftruncate, mkdir, open, write } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** How long a new engine waits for its predecessor, whose supervisor may have died, to close the spool. */
const waitSeconds = 15;
/** A wait this long is said. */
const silentMaxMs = 1000;

export interface SpoolLockFailure {
  readonly kind: 'notLocked';
  /** The system's; EBUSY: another engine has the folder. */
  readonly code: string;
  readonly message: string;
}

export interface SpoolLockOptions {
  /** Gives up. */
  readonly signal: AbortSignal;
  /** Told once, when the wait has become noticeable. */
  waits(message: string): void;
}

const makeFolder = promisify(mkdir);
// No FileHandle: one that is collected closes its file, and this one stays open for life.
const openFile = promisify(open);
const closeFile = promisify(close);
const truncate = promisify(ftruncate);
const writeBytes = promisify(write);

/**
 * Locks an engine's folder for the life of this process: the lock belongs to the open file that flock(1)
 * inherits, so the kernel frees it however the process ends. The file holds our pid, for others to read.
 * Returns why not, or undefined.
 */
export async function lockSpool(
  folder: string,
  { signal, waits }: SpoolLockOptions,
): Promise<SpoolLockFailure | undefined> {
  const path = `${folder}/lock`;
  try {
    await makeFolder(folder, { recursive: true, mode: 0o700 });
    const file = await openFile(path, 'a', 0o600);
    const noticing = setTimeout(async () => waits(`waits for ${path}${await holder(path)}`), silentMaxMs);
    const status = await flock(file, signal).finally(() => clearTimeout(noticing));
    if (status !== 0) {
      const message = `cannot lock ${path}${await holder(path)}: another engine has it`;
      return status === 1
        ? failure('EBUSY', message)
        : failure('flock', `flock(1) cannot lock ${path}: it ended with ${status}`);
    }
    // A full disk does not keep an engine from its spool.
    await truncate(file)
      .then(() => writeBytes(file, Buffer.from(`${process.pid}\n`)))
      .catch(() => undefined);
    return undefined;
  } catch (error) {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    const isFlock = (error as NodeJS.ErrnoException).syscall?.startsWith('spawn') === true;
    return failure(code, isFlock ? `flock(1) is needed to lock ${folder}: ${message}` : message);
  }
}

/** Whether an engine has the folder locked at this moment. Never waits; a lock is taken for that moment only. */
export async function isSpoolLocked(folder: string): Promise<boolean> {
  const file = await openForReading(`${folder}/lock`);
  if (file === undefined) return false;
  try {
    const child = spawn('flock', ['-n', '-s', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] });
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => resolve(status === 1));
    });
  } finally {
    await closeFile(file);
  }
}

/** undefined: there is none. */
async function openForReading(path: string): Promise<number | undefined> {
  try {
    return await openFile(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function failure(code: string, message: string): SpoolLockFailure {
  return { kind: 'notLocked', code, message };
}

/** flock(1)'s exit status: 0 locked, 1 taken. Rejects when it cannot be run, or is given up. */
function flock(file: number, signal: AbortSignal): Promise<number | string> {
  const child = spawn('flock', ['-w', String(waitSeconds), '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
    signal,
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, name) => resolve(status ?? String(name)));
  });
}

/** `, held by pid 7`, as far as the file tells. */
async function holder(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\d+\n$/.test(text) ? `, held by pid ${text.trim()}` : '';
}
