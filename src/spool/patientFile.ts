import type { DiskError } from '../base/ports.ts';
import { blockBytes } from './frame.ts';
import type { ReadableFile } from './segmentFile.ts';

/**
 * A file of which as much is read as the disk gives: blocks that it fails on read as zeroes, which no checksum
 * takes for anything. For who looks at what is left; whoever goes on working must know of the failure.
 */
export class PatientFile implements ReadableFile {
  readonly #file: ReadableFile;

  constructor(file: ReadableFile) {
    this.#file = file;
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }

  async read(position: number, lengthBytes: number): Promise<Uint8Array> {
    try {
      return await this.#file.read(position, lengthBytes);
    } catch (error) {
      if ((error as Partial<DiskError>).code !== 'EIO') throw error;
      return this.#readBlocks(position, lengthBytes);
    }
  }

  async #readBlocks(position: number, lengthBytes: number): Promise<Uint8Array> {
    const endAt = Math.min(position + lengthBytes, await this.#file.sizeBytes());
    const bytes = new Uint8Array(Math.max(0, endAt - position));
    for (let at = position; at < endAt; ) {
      const next = Math.min(endAt, at - (at % blockBytes) + blockBytes);
      bytes.set(await this.#readBlock(at, next - at), at - position);
      at = next;
    }
    return bytes;
  }

  async #readBlock(position: number, lengthBytes: number): Promise<Uint8Array> {
    try {
      return await this.#file.read(position, lengthBytes);
    } catch (error) {
      if ((error as Partial<DiskError>).code !== 'EIO') throw error;
      return new Uint8Array(lengthBytes);
    }
  }
}
