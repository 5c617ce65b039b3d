import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, statfs, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Disk, DiskFile } from '../ports.ts';

const openFlags = { create: 'wx+', write: 'r+', read: 'r' } as const;
/** Linux takes 1024 pieces a writev. */
const chunksMax = 1000;

/** The machine's file system. Rejections are Node's own errors; their `code` is the system's word. */
export function systemDisk(): Disk {
  return {
    list: (folder) => readdir(folder),
    async makeFolder(folder) {
      const first = await mkdir(folder, { recursive: true, mode: 0o700 });
      if (first === undefined) return;
      // A new folder is there for good only once the folders that name it are synced.
      // Node tells it as relative as it was asked for.
      const top = dirname(resolve(first));
      for (let made = resolve(folder); made !== top; made = dirname(made)) await syncFolder(dirname(made));
    },
    open: async (path, how, mode = 0o600) => new SystemFile(path, await open(path, openFlags[how], mode)),
    rename: (from, to) => rename(from, to),
    unlink: (path) => unlink(path),
    syncFolder,
    async space(folder) {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class SystemFile implements DiskFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  /**
   * The same file, each write of which waits for the disk; those that are not writing. Linux tells a lost
   * page once a descriptor, so two writes at a time must not share one.
   */
  readonly #idleSynced: FileHandle[] = [];

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    return writeAll(this.#handle, chunks, position);
  }

  async writeSynced(chunks: readonly Uint8Array[], position: number): Promise<void> {
    if (chunks.length > chunksMax) {
      // In several pieces each would wait for the disk.
      await this.write(chunks, position);
      await this.sync();
      return;
    }
    const handle = this.#idleSynced.pop() ?? (await open(this.#path, constants.O_RDWR | constants.O_DSYNC));
    try {
      await writeAll(handle, chunks, position);
    } finally {
      this.#idleSynced.push(handle);
    }
  }

  async read(position: number, lengthBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(lengthBytes);
    let filled = 0;
    while (filled < lengthBytes) {
      const { bytesRead } = await this.#handle.read(bytes, filled, lengthBytes - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled === lengthBytes ? bytes : bytes.subarray(0, filled);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async identity(): Promise<number> {
    return (await this.#handle.stat()).ino;
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#handle.truncate(lengthBytes);
  }

  async close(): Promise<void> {
    for (const handle of this.#idleSynced.splice(0)) await handle.close();
    await this.#handle.close();
  }
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let at = position;
  for (let from = 0; from < chunks.length; from += chunksMax) {
    let rest = chunks.slice(from, from + chunksMax);
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, at);
      at += bytesWritten;
      rest = afterBytes(rest, bytesWritten);
    }
  }
}

/** What of `chunks` is left when their first `written` bytes are gone; empty chunks go too. */
export function afterBytes(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let gone = written;
  for (const chunk of chunks) {
    if (gone < chunk.length) rest.push(gone === 0 ? chunk : chunk.subarray(gone));
    gone = Math.max(0, gone - chunk.length);
  }
  return rest;
}
