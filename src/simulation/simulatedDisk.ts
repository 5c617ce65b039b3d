import type { Disk, DiskError, DiskFile, DiskSpace } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import { DiskFaults, type Fault } from './diskFaults.ts';
import { Inode, type Luck } from './inode.ts';
import type { SeededRandom } from './seededRandom.ts';

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
  readonly kind: OperationKind;
  readonly path: string;
  readonly of: ProcessDisk;
  readonly run: () => void;
  /** What may be left of it when the process dies in the middle. */
  readonly tear: (() => void) | undefined;
  /** It is not carried out: the process died before. */
  readonly drop: (() => void) | undefined;
}

type OperationKind =
  | Fault
  | 'makeFolder'
  | 'rename'
  | 'space'
  | 'writeSynced'
  | 'sizeBytes'
  | 'identity'
  | 'truncate'
  | 'close';

/** How long operations take, milliseconds. */
export interface DiskPace {
  readonly usualMs: number;
  /** One in so many is slow; 0: none is. */
  readonly slowOneIn: number;
  readonly slowMs: number;
}

export interface SimulatedDiskOptions {
  /** Operations complete by themselves in virtual time; without it one at each `step`, the seed says which. */
  readonly agenda?: Agenda;
  readonly pace?: DiskPace;
  /** Told of each operation as it completes. */
  observe?(kind: string, path: string, result: string): void;
}

const promptPace: DiskPace = { usualMs: 0.3, slowOneIn: 0, slowMs: 0 };

/**
 * A disk with a page cache. Writes are visible at once and durable with a sync; a failed sync leaves
 * clean pages that the disk never got, and the cache may drop those at any moment; a failed write leaves
 * a part, and so does one that no longer fits. A cut is durable with the next sync of its file. Creations,
 * renames and unlinks, and new folders, are durable when their folder is synced. Operations complete in
 * an order the seed chooses. Several processes may use it, each through a `process()` of its own.
 */
export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #options: SimulatedDiskOptions;
  readonly #folders = new Set<string>(['/']);
  readonly #durableFolders = new Set<string>(['/']);
  readonly #visible = new Map<string, Inode>();
  readonly #durable = new Map<string, Inode>();
  #changes: DirectoryChange[] = [];
  #pending: Operation[] = [];
  readonly #faults = new DiskFaults();
  #nextInode = 1;
  #stuckUntilMs = 0;
  readonly #own: ProcessDisk;
  /** Beyond it writes fail with ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY;
  pace: DiskPace;
  syncs = 0;
  constructor(random: SeededRandom, options: SimulatedDiskOptions = {}) {
    this.#random = random;
    this.#options = options;
    this.pace = options.pace ?? promptPace;
    this.#own = this.process();
  }

  /** The disk as one process has it: it can die alone. */
  process(): ProcessDisk {
    return new ProcessDisk(this);
  }

  /** The next `count` operations of that kind, on paths that begin so, fail with EIO. */
  fail(fault: Fault, count = 1, under = '/'): void {
    this.#faults.plan(fault, count, under);
  }

  /** Failures that were asked for and have not come do not come any more; there is room again. */
  heal(): void {
    this.#faults.clear();
    this.capacityBytes = Number.POSITIVE_INFINITY;
    this.#stuckUntilMs = 0;
    this.pace = promptPace;
  }

  /** Nothing that begins from now on completes before; what is under way does. */
  stickUntil(atMs: number): void {
    this.#stuckUntilMs = atMs;
  }

  /** Operations that failed because they were told to, or for want of room. */
  get failures(): number {
    return this.#faults.met;
  }

  get pendingOperations(): number {
    return this.#pending.length;
  }

  /** Of all files that have a name. */
  get usedBytes(): number {
    let sum = 0;
    for (const inode of this.#visible.values()) sum += inode.cache.length;
    return sum;
  }

  /** Names and contents as processes see them, without waiting: for who judges the outcome. */
  *files(folder: string): Iterable<{ readonly path: string; readonly bytes: Uint8Array }> {
    for (const [path, { cache }] of this.#visible) {
      if (folderOf(path) === folder) yield { path, bytes: cache.view(0, cache.length) };
    }
  }

  /** Completes one pending operation. False when there is none. */
  step(): boolean {
    this.#maybeEvict();
    if (this.#pending.length === 0) return false;
    this.#complete(this.#random.pick(this.#pending));
    return true;
  }

  /** Every process dies; the kernel and its cache live on. Half of a write under way may have happened. */
  kill(): void {
    this.killProcess(undefined);
  }

  /** One dies; the operations of the others go on. undefined: all. */
  killProcess(of: ProcessDisk | undefined): void {
    const dying = this.#pending.filter((operation) => of === undefined || operation.of === of);
    this.#pending = this.#pending.filter((operation) => !dying.includes(operation));
    for (const operation of dying) operation.of.life += 1;
    for (const operation of dying) {
      if (operation.tear !== undefined && this.#random.oneIn(3)) {
        operation.drop?.();
        operation.tear();
      } else if (this.#random.oneIn(2)) operation.run();
      else operation.drop?.();
    }
    for (const inode of this.#visible.values()) this.#evict(inode);
  }

  /** Power goes: of what was not synced any part survives, page by page, name by name. */
  powerLoss(): void {
    this.kill();
    for (const inode of new Set([...this.#visible.values(), ...this.#durable.values()])) {
      inode.losePower(this.#luck());
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
    return this.#own.list(folder);
  }

  makeFolder(folder: string): Promise<void> {
    return this.#own.makeFolder(folder);
  }

  open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    return this.#own.open(path, how);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#own.rename(from, to);
  }

  unlink(path: string): Promise<void> {
    return this.#own.unlink(path);
  }

  syncFolder(folder: string): Promise<void> {
    return this.#own.syncFolder(folder);
  }

  space(folder: string): Promise<DiskSpace> {
    return this.#own.space(folder);
  }

  /** For `ProcessDisk`. */
  operations(of: ProcessDisk): Disk {
    const on = <T>(kind: OperationKind, path: string, action: () => T): Promise<T> =>
      this.#do({ kind, path, of }, action);
    return {
      list: (folder) =>
        on('list', folder, () => {
          this.#mayFail('list', folder);
          if (!this.#folders.has(folder)) throw diskError('ENOENT');
          return [...this.#visible.keys()]
            .filter((path) => folderOf(path) === folder)
            .map((path) => path.slice(path.lastIndexOf('/') + 1));
        }),
      makeFolder: (folder) => on('makeFolder', folder, () => void this.#folders.add(folder)),
      open: (path, how) =>
        on('open', path, () => {
          this.#mayFail('open', path);
          return this.#file(of, path, how === 'create' ? this.#create(path) : this.#existing(path));
        }),
      rename: (from, to) =>
        on('rename', to, () => {
          const inode = this.#existing(from);
          this.#change({ path: from, inode: undefined }, { path: to, inode });
        }),
      unlink: (path) =>
        on('unlink', path, () => {
          this.#mayFail('unlink', path);
          this.#existing(path);
          this.#change({ path, inode: undefined });
        }),
      space: (folder) => on('space', folder, () => this.#space()),
      syncFolder: (folder) => {
        // What changes while it runs is not promised by it.
        const begun = new Set(this.#changes.filter((change) => change.folders.has(folder)));
        const inside = [...this.#folders].filter((one) => folderOf(one) === folder);
        return on('syncFolder', folder, () => {
          this.#mayFail('syncFolder', folder);
          for (const change of begun) this.#settle(change);
          this.#changes = this.#changes.filter((change) => !begun.has(change));
          for (const one of inside) this.#durableFolders.add(one);
        });
      },
    };
  }

  #space(): DiskSpace {
    const totalBytes = Math.min(this.capacityBytes, largeBytes);
    return { freeBytes: Math.max(0, totalBytes - this.usedBytes), totalBytes };
  }

  #create(path: string): Inode {
    if (this.#visible.has(path)) throw diskError('EEXIST');
    if (!this.#folders.has(folderOf(path))) throw diskError('ENOENT');
    const inode = new Inode(this.#nextInode++);
    this.#change({ path, inode });
    return inode;
  }

  #existing(path: string): Inode {
    const inode = this.#visible.get(path);
    if (inode === undefined) throw diskError('ENOENT');
    return inode;
  }

  #file(of: ProcessDisk, path: string, inode: Inode): DiskFile {
    const on = <T>(
      kind: OperationKind,
      action: () => T,
      hooks: Pick<Operation, 'tear' | 'drop'> = { tear: undefined, drop: undefined },
    ): Promise<T> => this.#do({ kind, path, of }, action, hooks);
    return {
      write: (chunks, position) => {
        // Bytes are taken when the write begins; a kill may leave any part of it behind.
        const bytes = concat(chunks);
        const tear = (): void => this.#tear(inode, bytes, position);
        const action = (): void => void this.#write(path, inode, bytes, position);
        return on('write', action, { tear, drop: undefined });
      },
      writeSynced: (chunks, position) => {
        const bytes = concat(chunks);
        const tear = (): void => this.#tear(inode, bytes, position);
        const drop = (): void => {
          inode.syncedWrites -= 1;
        };
        inode.syncedWrites += 1;
        const action = (): void => {
          drop();
          const pages = this.#write(path, inode, bytes, position);
          this.syncs += 1;
          const failing = this.#faults.take('sync', path);
          // A descriptor reports an error once: the write that lost its pages may hear of success.
          const isOthers = failing && inode.syncedWrites > 0 && this.#random.oneIn(2);
          const loses = inode.losesNext || (failing && !isOthers);
          inode.losesNext = isOthers;
          if (!failing) inode.settleCut();
          inode.flush(pages, loses ? this.#luck() : always);
          if (failing) throw diskError('EIO');
        };
        return on('writeSynced', action, { tear, drop });
      },
      read: (position, lengthBytes) =>
        on('read', () => {
          this.#mayFail('read', path);
          return inode.cache.view(position, lengthBytes).slice();
        }),
      sync: () => {
        // What is written while a sync runs is not promised by it.
        const pages = inode.dirtyPages;
        return on('sync', () => {
          this.syncs += 1;
          const failing = this.#faults.take('sync', path);
          if (!failing) inode.settleCut();
          inode.flush(pages, failing ? this.#luck() : always);
          if (failing) throw diskError('EIO');
        });
      },
      sizeBytes: () => on('sizeBytes', () => inode.cache.length),
      identity: () => on('identity', () => inode.number),
      truncate: (lengthBytes) => on('truncate', () => inode.truncate(lengthBytes)),
      close: () => on('close', () => undefined),
    };
  }

  #write(path: string, inode: Inode, bytes: Uint8Array, position: number): readonly number[] {
    if (this.#faults.take('write', path)) {
      this.#tear(inode, bytes, position);
      throw diskError('EIO');
    }
    if (this.capacityBytes !== Number.POSITIVE_INFINITY) {
      const growth = Math.max(0, position + bytes.length - inode.cache.length);
      const room = Math.max(0, this.capacityBytes - this.usedBytes);
      if (growth > room) {
        inode.write(bytes.subarray(0, Math.max(0, bytes.length - growth + room)), position);
        this.#faults.met += 1;
        throw diskError('ENOSPC');
      }
    }
    return inode.write(bytes, position);
  }

  /** A write that was not finished: all of it is in the cache, or a part. */
  #tear(inode: Inode, bytes: Uint8Array, position: number): void {
    const length = this.#random.oneIn(2) ? bytes.length : this.#random.below(bytes.length + 1);
    inode.write(bytes.subarray(0, length), position);
  }

  #maybeEvict(): void {
    if (this.#random.oneIn(200)) for (const inode of this.#visible.values()) this.#evict(inode);
  }

  #evict(inode: Inode): void {
    if (inode.mayForget) inode.evict(this.#luck());
  }

  /** All come through, none does, or each by itself. */
  #luck(): Luck {
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

  #mayFail(fault: Fault, path: string): void {
    if (this.#faults.take(fault, path)) throw diskError('EIO');
  }

  #complete(operation: Operation): void {
    const at = this.#pending.indexOf(operation);
    if (at < 0) return;
    this.#pending.splice(at, 1);
    operation.run();
  }

  #latencyMs(): number {
    const { usualMs, slowOneIn, slowMs } = this.pace;
    const isSlow = slowOneIn > 0 && this.#random.oneIn(slowOneIn);
    const lotMs = (this.#random.below(1000) / 1000) * (isSlow ? slowMs : usualMs);
    return lotMs + Math.max(0, this.#stuckUntilMs - this.#options.agenda!.nowMs);
  }

  #do<T>(
    what: Pick<Operation, 'kind' | 'path' | 'of'>,
    action: () => T,
    hooks: Pick<Operation, 'tear' | 'drop'> = { tear: undefined, drop: undefined },
  ): Promise<T> {
    const { kind, path, of } = what;
    const { life } = of;
    const { agenda } = this.#options;
    return new Promise((resolve, reject) => {
      const operation: Operation = {
        ...what,
        ...hooks,
        run: () => {
          try {
            const result = action();
            this.#options.observe?.(kind, path, '');
            if (life === of.life) resolve(result);
          } catch (error) {
            this.#options.observe?.(kind, path, (error as DiskError).code);
            if (life === of.life) reject(error);
          }
        },
      };
      this.#pending.push(operation);
      agenda?.after(this.#latencyMs(), () => {
        this.#maybeEvict();
        this.#complete(operation);
      });
    });
  }
}

/** One process' operations: they die with it. */
export class ProcessDisk implements Disk {
  readonly #disk: SimulatedDisk;
  readonly list: Disk['list'];
  readonly makeFolder: Disk['makeFolder'];
  readonly open: Disk['open'];
  readonly rename: Disk['rename'];
  readonly unlink: Disk['unlink'];
  readonly syncFolder: Disk['syncFolder'];
  readonly space: Disk['space'];
  /** Rises when the process dies: operations of the dead are never answered. */
  life = 0;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
    const { list, makeFolder, open, rename, unlink, syncFolder, space } = disk.operations(this);
    this.list = list;
    this.makeFolder = makeFolder;
    this.open = open;
    this.rename = rename;
    this.unlink = unlink;
    this.syncFolder = syncFolder;
    this.space = space;
  }

  /** What is under way may be done, half done, or not at all. */
  kill(): void {
    this.#disk.killProcess(this);
  }
}

/** More than any run writes. */
const largeBytes = 1e12;

const always: Luck = () => true;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
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
