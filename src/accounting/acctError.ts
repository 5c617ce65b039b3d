import type { DiskError } from '../base/ports.ts';

/**
 * An operating error of accounting. Those of the disk pass when the disk does (the recorder tries again);
 * `cursor-damaged` stops the start; `csv-...` say that rows once recorded are gone from the file.
 */
export interface AcctError {
  readonly code: AcctErrorCode;
  /** The file it is about. */
  readonly path: string;
  /** The system's word (ENOSPC, EIO ...), or '' when there is none. */
  readonly systemCode: string;
  readonly message: string;
}

export type AcctErrorCode =
  | 'open-failed'
  | 'cursor-damaged'
  | 'csv-gone'
  | 'csv-replaced'
  | 'csv-short'
  | 'write-failed'
  | 'sync-failed'
  | 'cursor-failed'
  | 'rotate-failed'
  | 'sweep-failed'
  | 'batches-failed';

/** The disk's refusal as a value. Anything else that was thrown is a bug of ours and goes on up. */
export function diskFailure(code: AcctErrorCode, path: string, thrown: unknown): AcctError {
  if (!isDiskError(thrown)) throw thrown;
  return { code, path, systemCode: thrown.code, message: `${path}: ${code}: ${thrown.message}` };
}

export function isDiskError(thrown: unknown): thrown is DiskError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string';
}

/** The answer of a disk operation, or undefined where the file or folder does not exist. */
export async function unlessMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (thrown) {
    if (isDiskError(thrown) && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
}
