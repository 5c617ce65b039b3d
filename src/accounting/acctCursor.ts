import type { Digest, Disk, DiskError } from '../base/ports.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import { unlessMissing } from './acctError.ts';
import { inFolder, parentFolder, splitAcctPath } from './fileNames.ts';

/** How far one accounting file has got: every batch up to `positions` has its rows within `lengthBytes`. */
export interface AcctCursor {
  /** The acct-file's path as configured. */
  readonly path: string;
  /** The file being written, its inode number and how many of its bytes count. */
  readonly fileName: string;
  readonly fileIdentity: number;
  readonly lengthBytes: number;
  /** Wall time at which that file was begun. */
  readonly begunMs: number;
  /** Engine key -> last batch recorded. */
  readonly positions: ReadonlyMap<string, BatchPosition>;
}

const version = 1;
const maxCursorBytes = 1 << 20;

/** Strict charset whatever the path holds (reliability A22): its base name to read, its CRC to tell apart. */
export function cursorFileName(path: string, digest: Digest): string {
  const stem = splitAcctPath(path)
    .stem.replace(/[^A-Za-z0-9_-]/g, '_')
    .slice(0, 64);
  return `${stem}-${checksum(path, digest)}.cursor`;
}

export function encodeCursor(cursor: AcctCursor, digest: Digest): Uint8Array {
  const positions = [...cursor.positions].map(([engine, at]) => [engine, at.epoch, at.batch]);
  const text = JSON.stringify({ version, ...cursor, positions });
  return new TextEncoder().encode(`${text}\n${checksum(text, digest)}\n`);
}

/** A string says what is wrong with the bytes. */
export function decodeCursor(bytes: Uint8Array, digest: Digest): AcctCursor | string {
  const [text, crc, end] = new TextDecoder().decode(bytes).split('\n');
  if (text === undefined || end !== '' || crc !== checksum(text, digest))
    return 'its checksum does not match';
  const stored = JSON.parse(text) as StoredCursor;
  if (stored.version !== version) return `it has format version ${stored.version}, not ${version}`;
  return {
    path: stored.path,
    fileName: stored.fileName,
    fileIdentity: stored.fileIdentity,
    lengthBytes: stored.lengthBytes,
    begunMs: stored.begunMs,
    positions: new Map(stored.positions.map(([engine, epoch, batch]) => [engine, { epoch, batch }])),
  };
}

type StoredCursor = Omit<AcctCursor, 'positions'> & {
  readonly version: number;
  readonly positions: readonly (readonly [string, number, number])[];
};

/** The stored bytes, or undefined when there is no cursor. */
export async function readCursorBytes(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  const file = await unlessMissing(disk.open(path, 'read'));
  if (file === undefined) return undefined;
  try {
    return await file.read(0, maxCursorBytes);
  } finally {
    await file.close();
  }
}

/** Temporary file, sync, rename, folder sync: afterwards the cursor may be reported (architecture 5). */
export async function storeCursor(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  // What an interrupted or failed attempt left is never built upon: its pages may be clean and not on disk.
  await unlessMissing(disk.unlink(temporary));
  const file = await disk.open(temporary, 'create');
  try {
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncFolder(parentFolder(path));
}

/**
 * Creates a missing folder. Its own entry is made durable each time: a former process may have made it and
 * not lived to sync that, and with the folder all that is in it would be gone.
 */
export async function ensureFolder(disk: Disk, folder: string): Promise<void> {
  await disk.makeFolder(folder);
  await disk.syncFolder(parentFolder(folder)).catch((error: DiskError) => {
    // Who may not read the folder above has not made this one.
    if (error.code !== 'EACCES') throw error;
  });
}

/** The last batch of each engine that any accounting file has read. Cursors that cannot be read count for nothing. */
export async function readThrough(
  disk: Disk,
  cursorFolder: string,
  digest: Digest,
): Promise<ReadonlyMap<string, BatchPosition>> {
  const through = new Map<string, BatchPosition>();
  for (const name of (await unlessMissing(disk.list(cursorFolder))) ?? []) {
    if (!name.endsWith('.cursor')) continue;
    const bytes = await readCursorBytes(disk, inFolder(cursorFolder, name));
    const cursor = bytes === undefined ? '' : decodeCursor(bytes, digest);
    if (typeof cursor === 'string') continue;
    for (const [engine, position] of cursor.positions) {
      if (isAfter(position, through.get(engine))) through.set(engine, position);
    }
  }
  return through;
}

export function cursorPath(folder: string, acctPath: string, digest: Digest): string {
  return inFolder(folder, cursorFileName(acctPath, digest));
}

function checksum(text: string, digest: Digest): string {
  return digest.crc32(new TextEncoder().encode(text), 0).toString(16).padStart(8, '0');
}
