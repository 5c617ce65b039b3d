import type { Disk, DiskError, DiskFile } from '../base/ports.ts';
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
}

/** A directory change that is visible but not durable yet. */
interface DirectoryChange {
  readonly folder: string;
  readonly path: string;
  /** undefined: the name goes away. */
  readonly inode: Inode | undefined;
}

interface Operation {
  readonly run: () => void;
  /** What may be left of it when the process dies in the middle. */
  readonly tear: (() => void) | undefined;
}

export type Fault = 'write' | 'sync' | 'syncFolder' | 'open';

/**
 * A disk with a page cache. Writes are visible at once and durable with a sync; a failed sync leaves
 * clean pages that the disk never got; creations, renames and unlinks are durable when their folder is
 * synced. Operations complete one at a time when `step` is called, in an order the seed chooses.
 */
export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #folders = new Set<string>(['/']);
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

  get pendingOperations(): number {
    return this.#pending.length;
  }

  /** Completes one pending operation. False when there is none. */
  step(): boolean {
    if (this.#pending.length === 0) return false;
    const [operation] = this.#pending.splice(this.#random.below(this.#pending.length), 1);
    operation!.run();
    return true;
  }

  /** The process dies; the kernel and its cache live on. Half of a write under way may have happened. */
  kill(): void {
    this.#life += 1;
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
    for (const inode of this.#visible.values()) {
      for (const page of inode.dirty) if (this.#random.oneIn(2)) writePage(inode, page);
      inode.dirty.clear();
      inode.falselyClean.clear();
      inode.cache = inode.disk.slice();
    }
    for (const change of this.#changes) if (this.#random.oneIn(2)) this.#settle(change);
    this.#changes = [];
    this.#visible.clear();
    for (const [path, inode] of this.#durable) {
      inode.cache = inode.disk.slice();
      inode.dirty.clear();
      inode.falselyClean.clear();
      this.#visible.set(path, inode);
    }
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#do(() => {
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
        const inode: Inode = {
          number: this.#nextInode++,
          cache: new Uint8Array(0),
          disk: new Uint8Array(0),
          dirty: new Set(),
          falselyClean: new Set(),
        };
        this.#change(path, inode);
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
      this.#change(from, undefined);
      this.#change(to, inode);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#do(() => {
      if (!this.#visible.has(path)) throw diskError('ENOENT');
      this.#change(path, undefined);
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#do(() => {
      this.#mayFail('syncFolder');
      for (const change of this.#changes.filter((one) => one.folder === folder)) this.#settle(change);
      this.#changes = this.#changes.filter((change) => change.folder !== folder);
    });
  }

  #file(inode: Inode): DiskFile {
    return {
      write: (chunks, position) => {
        // Bytes are taken when the write begins; a kill may leave any part of it behind.
        const bytes = concat(chunks);
        return this.#do(
          () => {
            this.#mayFail('write');
            writeCache(inode, bytes, position);
          },
          () => writeCache(inode, bytes.subarray(0, 1 + this.#random.below(bytes.length)), position),
        );
      },
      writeSynced: (chunks, position) => {
        const bytes = concat(chunks);
        return this.#do(
          () => {
            this.#mayFail('write');
            this.syncs += 1;
            const failing = this.#takeFault('sync');
            for (const page of writeCache(inode, bytes, position)) {
              inode.dirty.delete(page);
              if (failing && this.#random.oneIn(2)) inode.falselyClean.add(page);
              else writePage(inode, page);
            }
            if (failing) throw diskError('EIO');
          },
          () => void writeCache(inode, bytes.subarray(0, 1 + this.#random.below(bytes.length)), position),
        );
      },
      read: (position, lengthBytes) => this.#do(() => inode.cache.slice(position, position + lengthBytes)),
      sync: () => {
        // What is written while a sync runs is not promised by it.
        const pages = [...inode.dirty];
        return this.#do(() => {
          this.syncs += 1;
          const failing = this.#takeFault('sync');
          for (const page of pages) {
            inode.dirty.delete(page);
            if (failing && this.#random.oneIn(2)) inode.falselyClean.add(page);
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
        }),
      close: () => this.#do(() => undefined),
    };
  }

  /** The kernel may drop pages it believes clean. */
  #evict(inode: Inode): void {
    for (const page of inode.falselyClean) {
      if (this.#random.oneIn(2)) continue;
      inode.falselyClean.delete(page);
      const from = page * pageBytes;
      const onDisk = new Uint8Array(Math.min(pageBytes, inode.cache.length - from));
      onDisk.set(inode.disk.subarray(from, from + onDisk.length));
      inode.cache.set(onDisk, from);
    }
  }

  #change(path: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#visible.delete(path);
    else this.#visible.set(path, inode);
    this.#changes.push({ folder: path.slice(0, path.lastIndexOf('/')), path, inode });
  }

  #settle(change: DirectoryChange): void {
    if (change.inode === undefined) this.#durable.delete(change.path);
    else this.#durable.set(change.path, change.inode);
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

/** The pages it touched, dirty now. */
function writeCache(inode: Inode, bytes: Uint8Array, position: number): readonly number[] {
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
