/**
 * The doors through which a Penstock process reaches the disk and the network, each with a watcher in
 * front. Runs inside the daemon's processes, before anything of theirs: the product knows nothing of it.
 */
import { constants, type PathLike, writeSync } from 'node:fs';
import fsPromises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';

export type Door =
  | 'open'
  | 'read'
  | 'write'
  /** fdatasync of a file. */
  | 'sync'
  /** fsync of a folder. */
  | 'syncFolder'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'send'
  | 'receive'
  /** A socket's end in an error; only `after` sees it. */
  | 'lost';

/** One operation about to be done, under way or done. */
export interface Passing {
  readonly door: Door;
  /** Of the file or folder, for a rename the new name; '' for sockets. */
  readonly path: string;
  /** `open`: makes the file. */
  readonly creates: boolean;
  /** `write`: with O_DSYNC. */
  readonly isSynced: boolean;
  /** `write`, `send`, `receive`. */
  readonly chunks: readonly Uint8Array[];
  /** `send`, `receive`: on a connection that we accepted. */
  readonly isServer: boolean;
  readonly socket: Socket | undefined;
  /** `write`: where to. */
  readonly fd: number;
  readonly position: number;
}

/** What happens instead of the operation, as far as it does not just happen. */
export interface Verdict {
  readonly delayMs?: number;
  /** The operation rejects with this code, */
  readonly code?: string;
  /** having done nothing, half of a write, or all of it. Without a code and `nothing`: a lie. */
  readonly does?: 'nothing' | 'half' | 'all';
}

export interface Watcher {
  before?(passing: Passing): Verdict | undefined;
  /** Begun and not awaited; disk only. */
  during?(passing: Passing): void;
  /** Done, and the daemon does not know yet. `code`: how it failed. */
  after?(passing: Passing, code: string | undefined): void;
}

const nothing: readonly Uint8Array[] = [];
const blank = {
  path: '',
  creates: false,
  isSynced: false,
  chunks: nothing,
  isServer: false,
  socket: undefined,
  fd: -1,
  position: 0,
};

interface OpenFile {
  readonly path: string;
  readonly isSynced: boolean;
}

type Method = (...args: never[]) => unknown;
type Wrapped = (self: unknown, args: readonly unknown[], original: () => unknown) => unknown;

export async function watchDoors(watcher: Watcher): Promise<void> {
  const handle = await fsPromises.open('/dev/null', 'r');
  await handle.close();
  watchDisk(watcher, Object.getPrototypeOf(handle));
  watchNetwork(watcher);
}

function watchDisk(watcher: Watcher, fileHandle: object): void {
  const open = new WeakMap<object, OpenFile>();
  const fileOf = (self: unknown): OpenFile => open.get(self as object) ?? { path: '', isSynced: false };

  wrap(fsPromises, 'open', (_, [path, flags], original) => {
    const isSynced = typeof flags === 'number' && (flags & constants.O_DSYNC) !== 0;
    const creates = flags === 'wx+';
    const named = textOf(path);
    return passed(watcher, { ...blank, door: 'open', path: named, creates }, async () => {
      const handle = (await original()) as FileHandle;
      open.set(handle, { path: named, isSynced });
      return handle;
    });
  });
  wrap(fsPromises, 'rename', (_, [, to], original) =>
    passed(watcher, { ...blank, door: 'rename', path: textOf(to) }, original),
  );
  wrap(fsPromises, 'unlink', (_, [path], original) =>
    passed(watcher, { ...blank, door: 'unlink', path: textOf(path) }, original),
  );
  wrap(fileHandle, 'writev', (self, [chunks, position], original) => {
    const { fd } = self as FileHandle;
    const passing: Passing = {
      ...blank,
      ...fileOf(self),
      door: 'write',
      chunks: chunks as readonly Uint8Array[],
      fd,
      position: position as number,
    };
    return passed(watcher, passing, original);
  });
  const plain: readonly (readonly [string, Door])[] = [
    ['read', 'read'],
    ['datasync', 'sync'],
    ['sync', 'syncFolder'],
    ['truncate', 'truncate'],
  ];
  for (const [name, door] of plain) {
    wrap(fileHandle, name, (self, _, original) =>
      passed(watcher, { ...blank, door, path: fileOf(self).path }, original),
    );
  }
  syncBuiltinESMExports();
}

async function passed(watcher: Watcher, passing: Passing, original: () => unknown): Promise<unknown> {
  const verdict = watcher.before?.(passing);
  if (verdict?.delayMs !== undefined) await new Promise((done) => setTimeout(done, verdict.delayMs));
  if (verdict?.does !== undefined) {
    const { code } = verdict;
    if (verdict.does === 'half') writeHalf(passing);
    if (verdict.does === 'all') await original();
    watcher.after?.(passing, code);
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
    return { bytesWritten: bytesOf(passing.chunks) };
  }
  try {
    const done = original();
    watcher.during?.(passing);
    const result = await done;
    watcher.after?.(passing, undefined);
    return result;
  } catch (error) {
    watcher.after?.(passing, (error as NodeJS.ErrnoException).code);
    throw error;
  }
}

/** The first half of a write's bytes, and no more. */
export function writeHalf({ fd, chunks, position }: Passing): void {
  const whole = Buffer.concat(chunks);
  writeSync(fd, whole, 0, Math.floor(whole.length / 2), position);
}

function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

function watchNetwork(watcher: Watcher): void {
  const about = (self: unknown, door: Door, chunks: readonly Uint8Array[]): Passing => {
    const socket = self as Socket & { server?: object };
    return { ...blank, door, chunks, socket, isServer: (socket.server ?? null) !== null };
  };
  const watched = (passing: Passing, original: () => unknown): unknown => {
    watcher.before?.(passing);
    const result = original();
    watcher.after?.(passing, undefined);
    return result;
  };
  const { prototype } = Socket;
  wrap(prototype, '_write', (self, [data], original) =>
    watched(about(self, 'send', [bytesFrom(data)]), original),
  );
  wrap(prototype, '_writev', (self, [parts], original) => {
    const chunks = (parts as readonly { chunk: unknown }[]).map(({ chunk }) => bytesFrom(chunk));
    return watched(about(self, 'send', chunks), original);
  });
  wrap(prototype, 'destroy', (self, [error], original) => {
    const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
    if (code !== undefined) watcher.after?.(about(self, 'lost', nothing), code);
    return original();
  });
  // Node hands every chunk that it has read to push; null is the end.
  wrap(prototype, 'push', (self, [data], original) =>
    data === null ? original() : watched(about(self, 'receive', [bytesFrom(data)]), original),
  );
}

function wrap(owner: object, name: string, wrapped: Wrapped): void {
  const methods = owner as Record<string, Method>;
  const original = methods[name]!;
  Object.defineProperty(owner, name, {
    value(this: unknown, ...args: never[]) {
      return wrapped(this, args, () => original.apply(this, args));
    },
    writable: true,
    configurable: true,
  });
}

function bytesFrom(data: unknown): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array);
}

function textOf(path: unknown): string {
  return String(path as PathLike);
}
