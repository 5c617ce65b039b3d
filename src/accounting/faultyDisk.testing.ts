import type { Disk, DiskFile, DiskSpace } from '../base/ports.ts';

/**
 * A disk in memory for tests that loses what was not synced and fails on request. Data: a file has bytes the
 * process sees and bytes the disk has; between them stand unsynced writes and cuts. Names: a folder has
 * entries the process sees, and changes not yet made durable. A failed sync leaves data and entries clean
 * and not on disk, as Linux does: only writing again makes a later sync mean something.
 */
export class FaultyDisk implements Disk {
  /** Disk operations so far, all lives together. */
  operations = 0;
  /** The process dies at the operation with this number. */
  crashAt = Number.POSITIVE_INFINITY;
  /** Whether the operation it dies at has its effect. */
  crashAfterEffect = true;
  crashed = false;
  /** Asked before every change and sync: the code to fail with, or undefined. */
  fault: (operation: FaultPoint, path: string) => string | undefined = () => undefined;

  #life = 0;
  #nextIdentity = 1;
  readonly #folders = new Map<string, Map<string, Inode>>([['/', new Map()]]);
  readonly #durableFolders = new Map<string, Map<string, Inode>>([['/', new Map()]]);
  #unsyncedEntries: EntryChange[] = [];

  /** The process is started again; what it had open is gone, all it wrote is seen. */
  restart(): void {
    this.#life++;
    this.crashed = false;
    this.crashAt = Number.POSITIVE_INFINITY;
  }

  /** The power goes: of every unsynced change, `keeps` decides whether the disk happened to get it. */
  losePower(keeps: () => boolean): void {
    for (const change of this.#unsyncedEntries) if (keeps()) change.apply(this.#durableFolders);
    this.#unsyncedEntries = [];
    for (const [folder, names] of this.#durableFolders) {
      this.#folders.set(folder, new Map(names));
      for (const inode of names.values()) inode.losePower(keeps);
    }
    for (const folder of this.#folders.keys()) {
      if (!this.#durableFolders.has(folder)) this.#folders.delete(folder);
    }
    this.restart();
  }

  /** A file's bytes as text, without counting as an operation. */
  text(path: string): string | undefined {
    const { folder, name } = split(path);
    const inode = this.#folders.get(folder)?.get(name);
    return inode === undefined ? undefined : new TextDecoder().decode(inode.seen);
  }

  names(folder: string): readonly string[] {
    return [...(this.#folders.get(folder)?.keys() ?? [])].sort();
  }

  async space(): Promise<DiskSpace> {
    return { freeBytes: 1e12, totalBytes: 1e12 };
  }

  async list(folder: string): Promise<readonly string[]> {
    await this.#begin(folder);
    return [...this.#names(folder).keys()];
  }

  async makeFolder(folder: string): Promise<void> {
    await this.#change(folder, () => {
      // Folders themselves are durable at once: the tests are about what lies in them.
      for (const folders of [this.#folders, this.#durableFolders]) {
        if (!folders.has(folder)) folders.set(folder, new Map());
      }
    });
  }

  async open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    const { folder, name } = split(path);
    if (how !== 'create') {
      await this.#begin(path);
      const inode = this.#names(folder).get(name);
      if (inode === undefined) throw failure('ENOENT', path);
      return this.#handle(inode, path);
    }
    if (this.#names(folder).has(name)) throw failure('EEXIST', path);
    const inode = new Inode(this.#nextIdentity++);
    this.#failIf('create', path);
    await this.#change(path, () => this.#entries([{ folder, name, inode }]));
    return this.#handle(inode, path);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = split(from);
    const inode = this.#names(source.folder).get(source.name);
    if (inode === undefined) throw failure('ENOENT', from);
    this.#failIf('rename', to);
    await this.#change(to, () =>
      this.#entries([
        { ...source, inode: undefined },
        { ...split(to), inode },
      ]),
    );
  }

  async unlink(path: string): Promise<void> {
    const at = split(path);
    if (!this.#names(at.folder).has(at.name)) throw failure('ENOENT', path);
    this.#failIf('unlink', path);
    await this.#change(path, () => this.#entries([{ ...at, inode: undefined }]));
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#begin(folder);
    const concerns = (change: EntryChange): boolean => change.folders.has(folder);
    const code = this.fault('syncFolder', folder);
    if (code === undefined) {
      for (const change of this.#unsyncedEntries.filter(concerns)) change.apply(this.#durableFolders);
    }
    this.#unsyncedEntries = this.#unsyncedEntries.filter((change) => !concerns(change));
    if (code !== undefined) throw failure(code, folder);
  }

  #names(folder: string): Map<string, Inode> {
    const names = this.#folders.get(folder);
    if (names === undefined) throw failure('ENOENT', folder);
    return names;
  }

  #failIf(point: FaultPoint, path: string): void {
    const code = this.fault(point, path);
    if (code !== undefined) throw failure(code, path);
  }

  #entries(entries: readonly { folder: string; name: string; inode: Inode | undefined }[]): void {
    const change: EntryChange = {
      folders: new Set(entries.map((entry) => entry.folder)),
      apply(folders) {
        for (const { folder, name, inode } of entries) {
          if (inode === undefined) folders.get(folder)!.delete(name);
          else folders.get(folder)!.set(name, inode);
        }
      },
    };
    change.apply(this.#folders);
    this.#unsyncedEntries.push(change);
  }

  #handle(inode: Inode, path: string): DiskFile {
    const life = this.#life;
    const begin = async (): Promise<void> => {
      if (life !== this.#life) throw failure('ESTALE', path);
      await this.#begin(path);
    };
    const file: DiskFile = {
      writeSynced: async (chunks, position) => {
        await file.write(chunks, position);
        await file.sync();
      },
      write: async (chunks, position) => {
        if (life !== this.#life) throw failure('ESTALE', path);
        const bytes = joined(chunks);
        const code = this.fault('write', path);
        // A write that fails has got as far as it got.
        const kept = code === undefined ? bytes : bytes.subarray(0, bytes.length >> 1);
        await this.#change(path, () => inode.write(kept, position));
        if (code !== undefined) throw failure(code, path);
      },
      read: async (position, lengthBytes) => {
        await begin();
        return inode.seen.slice(position, position + lengthBytes);
      },
      sync: async () => {
        await begin();
        const code = this.fault('sync', path);
        inode.sync(code === undefined);
        if (code !== undefined) throw failure(code, path);
      },
      sizeBytes: async () => {
        await begin();
        return inode.seen.length;
      },
      identity: async () => {
        await begin();
        return inode.identity;
      },
      truncate: async (lengthBytes) => {
        if (life !== this.#life) throw failure('ESTALE', path);
        this.#failIf('truncate', path);
        await this.#change(path, () => inode.truncate(lengthBytes));
      },
      close: async () => {
        if (life === this.#life && !this.crashed) await begin();
      },
    };
    return file;
  }

  async #change(path: string, effect: () => void): Promise<void> {
    if (this.operations + 1 === this.crashAt && this.crashAfterEffect && !this.crashed) effect();
    await this.#begin(path);
    effect();
  }

  async #begin(path: string): Promise<void> {
    if (this.crashed) throw failure('ECRASHED', path);
    if (++this.operations >= this.crashAt) {
      this.crashed = true;
      throw failure('ECRASHED', path);
    }
  }
}

export type FaultPoint = 'create' | 'rename' | 'unlink' | 'write' | 'truncate' | 'sync' | 'syncFolder';

/** One change of names; a rename is atomic, also across folders (a journalling file system). */
interface EntryChange {
  readonly folders: ReadonlySet<string>;
  apply(folders: ReadonlyMap<string, Map<string, Inode>>): void;
}

interface DataChange {
  readonly isCut: boolean;
  apply(bytes: Uint8Array): Uint8Array;
}

class Inode {
  readonly identity: number;
  /** What the process reads. */
  seen = new Uint8Array(0);
  #durable = new Uint8Array(0);
  #unsynced: DataChange[] = [];

  constructor(identity: number) {
    this.identity = identity;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#change({
      isCut: false,
      apply(old) {
        const grown = new Uint8Array(Math.max(old.length, position + bytes.length));
        grown.set(old);
        grown.set(bytes, position);
        return grown;
      },
    });
  }

  truncate(lengthBytes: number): void {
    this.#change({ isCut: true, apply: (old) => old.slice(0, lengthBytes) });
  }

  sync(succeeds: boolean): void {
    if (succeeds)
      for (const change of this.#unsynced) this.#durable = new Uint8Array(change.apply(this.#durable));
    // A failed sync drops the data pages; a file's size is metadata and stays to be written.
    this.#unsynced = succeeds ? [] : this.#unsynced.filter((change) => change.isCut);
  }

  losePower(keeps: () => boolean): void {
    for (const change of this.#unsynced)
      if (keeps()) this.#durable = new Uint8Array(change.apply(this.#durable));
    this.#unsynced = [];
    this.seen = this.#durable.slice();
  }

  #change(change: DataChange): void {
    this.seen = new Uint8Array(change.apply(this.seen));
    this.#unsynced.push(change);
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function split(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: slash === 0 ? '/' : path.slice(0, slash), name: path.slice(slash + 1) };
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
