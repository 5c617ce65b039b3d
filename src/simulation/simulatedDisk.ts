import type { Disk, DiskError, DiskFile, DiskSpace } from '../base/ports.ts';
import type { SeededRandom } from './seededRandom.ts';

const pageBytes = 512;

/** A file's content, as processes see it and as the disk has it. */
interface Inode {
  readonly number: number;
  cache: Uint8Array;
  disk: Uint8Array;
  /** Pages that differ from the disk and would be written by a sync. */
  readonly dirty: Set<number>;
  /** Pages a failed sync marked clean although the disk never got them. */
  readonly falselyClean: Set<number>;
  /** Synced writes under way. */
  syncedWrites: number;
  /** The next of them loses pages, and is told of success. */
  losesNext: boolean;
}

interface DirectoryEntry {
  readonly path: string;
  /** undefined: the name goes away. */
  readonly inode: Inode | undefined;
}

/** A directory change that is visible but not durable yet. A rename is one change of two names. */
interface DirectoryChange {
  readonly folders: ReadonlySet<string>;
  readonly entries: readonly DirectoryEntry[];
}

interface Operation {
  readonly run: () => void;
  /** What may be left of it when the process dies in the middle. */
  readonly tear: (() => void) | undefined;
}

export type Fault = 'write' | 'sync' | 'syncFolder' | 'open' | 'read' | 'list' | 'unlink';

/**
 * A disk with a page cache. Writes are visible at once and durable with a sync; a failed sync leaves
 * clean pages that the disk never got, and the cache may drop those at any moment; a failed write leaves
 * a part. Creations, renames and unlinks, and new folders, are durable when their folder is synced.
 * Operations complete one at a time when `step` is called, in an order the seed chooses.
 */
export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #folders = new Set<string>(['/']);
  readonly #durableFolders = new Set<string>(['/']);
  readonly #visible = new Map<string, Inode>();
  readonly #durable = new Map<string, Inode>();
  #changes: DirectoryChange[] = [];
  #pending: Operation[] = [];
  readonly #faults = new Map<Fault, number>();
  #nextInode = 1;
  /** Rises when the process dies: operations of the dead are dropped. */
  #life = 0;
  syncs = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The next `count` operations of that kind fail with EIO. */
  fail(fault: Fault, count = 1): void {
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + count);
  }

  /** Failures that were asked for and have not come do not come any more. */
  heal(): void {
    this.#faults.clear();
  }

  get pendingOperations(): number {
    return this.#pending.length;
  }

  /** Completes one pending operation. False when there is none. */
  step(): boolean {
    if (this.#random.oneIn(200)) for (const inode of this.#visible.values()) this.#evict(inode);
    if (this.#pending.length === 0) return false;
    const [operation] = this.#pending.splice(this.#random.below(this.#pending.length), 1);
    operation!.run();
    return true;
  }

  /** The process dies; the kernel and its cache live on. Half of a write under way may have happened. */
  kill(): void {
    this.#life += 1;
    for (const inode of this.#visible.values()) inode.syncedWrites = 0;
    const pending = this.#pending;
    this.#pending = [];
    for (const operation of pending) {
      if (operation.tear !== undefined && this.#random.oneIn(3)) operation.tear();
      else if (this.#random.oneIn(2)) operation.run();
    }
    for (const inode of this.#visible.values()) this.#evict(inode);
  }

  /** Power goes: of what was not synced any part survives, page by page, name by name. */
  powerLoss(): void {
    this.kill();
    for (const inode of new Set([...this.#visible.values(), ...this.#durable.values()])) {
      const survives = this.#luck();
      for (const page of inode.dirty) if (survives()) writePage(inode, page);
      inode.dirty.clear();
      inode.falselyClean.clear();
      inode.cache = inode.disk.slice();
    }
    const survives = this.#luck();
    for (const change of this.#changes) if (survives()) this.#settle(change);
    this.#changes = [];
    for (const folder of this.#folders) {
      if (this.#durableFolders.has(folder) || survives()) this.#durableFolders.add(folder);
      else this.#folders.delete(folder);
    }
    this.#visible.clear();
    for (const [path, inode] of this.#durable) {
      if (this.#folders.has(folderOf(path))) this.#visible.set(path, inode);
      else this.#durable.delete(path);
    }
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#do(() => {
      this.#mayFail('list');
      if (!this.#folders.has(folder)) throw diskError('ENOENT');
      const prefix = `${folder}/`;
      return [...this.#visible.keys()]
        .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
        .map((path) => path.slice(prefix.length));
    });
  }

  makeFolder(folder: string): Promise<void> {
    return this.#do(() => void this.#folders.add(folder));
  }

  open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    return this.#do(() => {
      this.#mayFail('open');
      const there = this.#visible.get(path);
      if (how === 'create') {
        if (there !== undefined) throw diskError('EEXIST');
        if (!this.#folders.has(folderOf(path))) throw diskError('ENOENT');
        const inode: Inode = {
          number: this.#nextInode++,
          cache: new Uint8Array(0),
          disk: new Uint8Array(0),
          dirty: new Set(),
          falselyClean: new Set(),
          syncedWrites: 0,
          losesNext: false,
        };
        this.#change({ path, inode });
        return this.#file(inode);
      }
      if (there === undefined) throw diskError('ENOENT');
      return this.#file(there);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => {
      const inode = this.#visible.get(from);
      if (inode === undefined) throw diskError('ENOENT');
      this.#change({ path: from, inode: undefined }, { path: to, inode });
    });
  }

  unlink(path: string): Promise<void> {
    return this.#do(() => {
      this.#mayFail('unlink');
      if (!this.#visible.has(path)) throw diskError('ENOENT');
      this.#change({ path, inode: undefined });
    });
  }

  async space(): Promise<DiskSpace> {
    return { freeBytes: Number.MAX_SAFE_INTEGER, totalBytes: Number.MAX_SAFE_INTEGER };
  }

  syncFolder(folder: string): Promise<void> {
    // What changes while it runs is not promised by it.
    const begun = new Set(this.#changes.filter((change) => change.folders.has(folder)));
    const inside = [...this.#folders].filter((one) => folderOf(one) === folder);
    return this.#do(() => {
      this.#mayFail('syncFolder');
      for (const change of begun) this.#settle(change);
      this.#changes = this.#changes.filter((change) => !begun.has(change));
      for (const one of inside) this.#durableFolders.add(one);
    });
  }

  #file(inode: Inode): DiskFile {
    return {
      write: (chunks, position) => {
        // Bytes are taken when the write begins; a kill may leave any part of it behind.
        const bytes = concat(chunks);
        const tear = (): void => this.#tear(inode, bytes, position);
        return this.#do(() => {
          if (this.#takeFault('write')) {
            tear();
            throw diskError('EIO');
          }
          writeCache(inode, bytes, position);
        }, tear);
      },
      writeSynced: (chunks, position) => {
        const bytes = concat(chunks);
        const tear = (): void => this.#tear(inode, bytes, position);
        inode.syncedWrites += 1;
        return this.#do(() => {
          inode.syncedWrites -= 1;
          if (this.#takeFault('write')) {
            tear();
            throw diskError('EIO');
          }
          this.syncs += 1;
          const failing = this.#takeFault('sync');
          // A descriptor reports an error once: the write that lost its pages may hear of success.
          const isOthers = failing && inode.syncedWrites > 0 && this.#random.oneIn(2);
          const loses = inode.losesNext || (failing && !isOthers);
          inode.losesNext = isOthers;
          const reaches = this.#luck();
          for (const page of writeCache(inode, bytes, position)) {
            inode.dirty.delete(page);
            if (loses && !reaches()) inode.falselyClean.add(page);
            else writePage(inode, page);
          }
          if (failing) throw diskError('EIO');
        }, tear);
      },
      read: (position, lengthBytes) =>
        this.#do(() => {
          this.#mayFail('read');
          return inode.cache.slice(position, position + lengthBytes);
        }),
      sync: () => {
        // What is written while a sync runs is not promised by it.
        const pages = [...inode.dirty];
        return this.#do(() => {
          this.syncs += 1;
          const failing = this.#takeFault('sync');
          const reaches = this.#luck();
          for (const page of pages) {
            if (!inode.dirty.delete(page)) continue;
            if (failing && !reaches()) inode.falselyClean.add(page);
            else writePage(inode, page);
          }
          if (failing) throw diskError('EIO');
        });
      },
      sizeBytes: () => this.#do(() => inode.cache.length),
      identity: () => this.#do(() => inode.number),
      truncate: (lengthBytes) =>
        this.#do(() => {
          inode.cache = resized(inode.cache, lengthBytes);
          inode.disk = resized(inode.disk, Math.min(inode.disk.length, lengthBytes));
          for (const pages of [inode.dirty, inode.falselyClean]) {
            for (const page of pages) if (page * pageBytes >= lengthBytes) pages.delete(page);
          }
        }),
      close: () => this.#do(() => undefined),
    };
  }

  /** A write that was not finished: all of it is in the cache, or a part. */
  #tear(inode: Inode, bytes: Uint8Array, position: number): void {
    const length = this.#random.oneIn(2) ? bytes.length : this.#random.below(bytes.length + 1);
    writeCache(inode, bytes.subarray(0, length), position);
  }

  /** The kernel may drop pages it believes clean. */
  #evict(inode: Inode): void {
    if (inode.falselyClean.size === 0) return;
    const stays = this.#luck();
    for (const page of inode.falselyClean) {
      if (stays()) continue;
      inode.falselyClean.delete(page);
      const from = page * pageBytes;
      const onDisk = new Uint8Array(Math.min(pageBytes, inode.cache.length - from));
      onDisk.set(inode.disk.subarray(from, from + onDisk.length));
      inode.cache.set(onDisk, from);
    }
  }

  /** Whether one of several things comes through a mishap: all do, none does, or each by itself. */
  #luck(): () => boolean {
    const kind = this.#random.below(4);
    return () => (kind < 2 ? kind === 0 : this.#random.oneIn(2));
  }

  #change(...entries: readonly DirectoryEntry[]): void {
    for (const { path, inode } of entries) {
      if (inode === undefined) this.#visible.delete(path);
      else this.#visible.set(path, inode);
    }
    this.#changes.push({ folders: new Set(entries.map(({ path }) => folderOf(path))), entries });
  }

  #settle(change: DirectoryChange): void {
    for (const { path, inode } of change.entries) {
      if (inode === undefined) this.#durable.delete(path);
      else this.#durable.set(path, inode);
    }
  }

  #mayFail(fault: Fault): void {
    if (this.#takeFault(fault)) throw diskError('EIO');
  }

  #takeFault(fault: Fault): boolean {
    const left = this.#faults.get(fault) ?? 0;
    if (left > 0) this.#faults.set(fault, left - 1);
    return left > 0;
  }

  #do<T>(action: () => T, tear?: () => void): Promise<T> {
    const life = this.#life;
    return new Promise((resolve, reject) => {
      this.#pending.push({
        tear,
        run: () => {
          try {
            const result = action();
            if (life === this.#life) resolve(result);
          } catch (error) {
            if (life === this.#life) reject(error);
          }
        },
      });
    });
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** The pages it touched, dirty now. */
function writeCache(inode: Inode, bytes: Uint8Array, position: number): readonly number[] {
  if (bytes.length === 0) return [];
  if (inode.cache.length < position + bytes.length)
    inode.cache = resized(inode.cache, position + bytes.length);
  inode.cache.set(bytes, position);
  const first = Math.floor(position / pageBytes);
  const last = Math.floor((position + bytes.length - 1) / pageBytes);
  const pages: number[] = [];
  for (let page = first; page <= last; page++) {
    pages.push(page);
    inode.dirty.add(page);
    inode.falselyClean.delete(page);
  }
  return pages;
}

function writePage(inode: Inode, page: number): void {
  const from = page * pageBytes;
  const bytes = inode.cache.subarray(from, from + pageBytes);
  if (inode.disk.length < from + bytes.length) inode.disk = resized(inode.disk, from + bytes.length);
  inode.disk.set(bytes, from);
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const other = new Uint8Array(length);
  other.set(bytes.subarray(0, length));
  return other;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function diskError(code: string): DiskError {
  return Object.assign(new Error(code), { code });
}
