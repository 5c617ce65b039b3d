import type { Disk, DiskFile, DiskSpace } from '../base/ports.ts';
import { diskError, drain } from './samples.testing.ts';

type Kind = 'open' | 'write' | 'writeSynced' | 'sync' | 'syncFolder' | 'unlink';

interface HeldOperation {
  readonly kind: Kind;
  readonly path: string;
  readonly succeed: () => void;
  readonly fail: (code: string) => void;
}

/** A disk in memory on which nothing that changes it ends before the test says so. */
export class HeldDisk implements Disk {
  readonly files = new Map<string, Uint8Array>();
  /** Every operation that ended well, oldest first. */
  readonly done: string[] = [];
  /** undefined: it does not say. */
  spaceOf: DiskSpace | undefined = { freeBytes: 2 ** 40, totalBytes: 2 ** 41 };
  /** Files open at this moment. */
  openFiles = 0;
  #held: HeldOperation[] = [];

  /** What waits when everything that can go on has, oldest first. */
  async held(): Promise<readonly Kind[]> {
    await drain();
    return this.#held.map(({ kind }) => kind);
  }

  /** The oldest operation of each kind ends, one behind the other. */
  async finish(...kinds: readonly Kind[]): Promise<void> {
    for (const kind of kinds) (await this.#take(kind)).succeed();
    await drain();
  }

  async fail(kind: Kind, code = 'EIO'): Promise<void> {
    (await this.#take(kind)).fail(code);
    await drain();
  }

  /** The youngest operation of that kind ends before those that began earlier. */
  async finishLast(kind: Kind): Promise<void> {
    (await this.#take(kind, -1)).succeed();
    await drain();
  }

  async failLast(kind: Kind, code = 'EIO'): Promise<void> {
    (await this.#take(kind, -1)).fail(code);
    await drain();
  }

  /** Everything ends, and what follows from it, until nothing waits. */
  async finishAll(): Promise<void> {
    for (let [kind] = await this.held(); kind !== undefined; [kind] = await this.held())
      await this.finish(kind);
  }

  async list(folder: string): Promise<readonly string[]> {
    const prefix = `${folder}/`;
    return [...this.files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
  }

  async makeFolder(): Promise<void> {}

  async open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    if (how === 'create') await this.#hold('open', path, () => this.files.set(path, new Uint8Array(0)));
    else if (!this.files.has(path)) throw diskError('ENOENT');
    this.openFiles += 1;
    return this.#file(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.files.get(from)!);
    this.files.delete(from);
  }

  async space(): Promise<DiskSpace> {
    if (this.spaceOf === undefined) throw diskError('ENOSYS');
    return this.spaceOf;
  }

  unlink(path: string): Promise<void> {
    return this.#hold('unlink', path, () => {
      if (!this.files.delete(path)) throw diskError('ENOENT');
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#hold('syncFolder', folder, () => undefined);
  }

  #file(path: string): DiskFile {
    let isOpen = true;
    return {
      write: (chunks, position) => this.#hold('write', path, () => this.#write(path, chunks, position)),
      writeSynced: (chunks, position) =>
        this.#hold('writeSynced', path, () => this.#write(path, chunks, position)),
      read: async (position, lengthBytes) => {
        await drain();
        if (!isOpen) throw diskError('EBADF');
        return (this.files.get(path) ?? new Uint8Array(0)).slice(position, position + lengthBytes);
      },
      sync: () => this.#hold('sync', path, () => undefined),
      sizeBytes: async () => this.files.get(path)!.length,
      identity: async () => 1,
      truncate: async () => undefined,
      close: async () => {
        if (isOpen) this.openFiles -= 1;
        isOpen = false;
      },
    };
  }

  #write(path: string, chunks: readonly Uint8Array[], position: number): void {
    const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, position);
    const old = this.files.get(path)!;
    const grown = new Uint8Array(Math.max(old.length, sizeBytes));
    grown.set(old);
    let at = position;
    for (const chunk of chunks) {
      grown.set(chunk, at);
      at += chunk.length;
    }
    this.files.set(path, grown);
  }

  async #take(kind: Kind, which = 0): Promise<HeldOperation> {
    await drain();
    const operation = this.#held.filter((one) => one.kind === kind).at(which);
    if (operation === undefined) throw new Error(`no ${kind} waits, only ${await this.held()}`);
    this.#held = this.#held.filter((one) => one !== operation);
    return operation;
  }

  #hold(kind: Kind, path: string, effect: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#held.push({
        kind,
        path,
        succeed: () => {
          try {
            effect();
            this.done.push(`${kind} ${path}`);
            resolve();
          } catch (error) {
            reject(error);
          }
        },
        fail: (code) => reject(diskError(code)),
      });
    });
  }
}
