import type { Digest, Disk, DiskError } from '../base/ports.ts';
import type { Content } from '../message/envelope.ts';
import { formatMessageId, type MessageId, parseMessageId } from '../message/messageId.ts';
import type { BodyPlace } from './record.ts';

/** Below the engine's folder. */
const folderName = 'bodies';

/**
 * Large contents, each in a file of its own (architecture 5, Writing): no batch must wait for megabytes, and
 * none need be copied when its message is. A file is whole and durable before any record names it, and goes
 * only when its message's last outcome is durable.
 */
export class BodyFiles {
  readonly #disk: Disk;
  readonly #digest: Digest;
  readonly #spoolFolder: string;
  readonly #folder: string;
  #folderMade: Promise<void> | undefined;
  /** Recipients that each message with a file still owes. */
  readonly #owed = new Map<string, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  /** Of contents on their way into files. */
  bytesUnderWay = 0;

  constructor(disk: Disk, digest: Digest, spoolFolder: string) {
    this.#disk = disk;
    this.#digest = digest;
    this.#spoolFolder = spoolFolder;
    this.#folder = `${spoolFolder}/${folderName}`;
  }

  /** Rejects with the disk's error; then no record may name the file. */
  async store(id: MessageId, content: Content): Promise<BodyPlace> {
    const written = this.#write(id, content);
    this.#underWay.add(written);
    this.bytesUnderWay += content.sizeBytes;
    try {
      return await written;
    } finally {
      this.#underWay.delete(written);
      this.bytesUnderWay -= content.sizeBytes;
    }
  }

  /** Everything that was on its way is written, or has failed. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** A durable message has its content here. */
  owe(id: MessageId, recipients: number): void {
    this.#owed.set(formatMessageId(id), recipients);
  }

  /** A recipient has its durable outcome. Messages without a file are passed over. */
  settle(id: MessageId): void {
    if (this.#owed.size === 0) return;
    const name = formatMessageId(id);
    const owed = this.#owed.get(name);
    if (owed === undefined) return;
    this.#owed.set(name, owed - 1);
    if (owed > 1) return;
    this.#owed.delete(name);
    void this.drop(id);
  }

  /** undefined: damaged, or gone. Rejects with the disk's error. */
  async read(id: MessageId, { sizeBytes, crc }: BodyPlace): Promise<Uint8Array | undefined> {
    const file = await this.#disk.open(this.#pathOf(id), 'read').catch(undefinedIfGone);
    if (file === undefined) return undefined;
    const bytes = await file.read(0, sizeBytes).finally(() => file.close());
    return bytes.length === sizeBytes && this.#digest.crc32(bytes, seedOf(id)) === crc ? bytes : undefined;
  }

  /** Nothing names it any more. One that stays all the same goes at the next start. */
  async drop(id: MessageId): Promise<void> {
    await this.#disk.unlink(this.#pathOf(id)).catch(() => undefined);
  }

  /** Removes what lives before `epoch` left behind and nobody owes: the last step of a start. */
  async dropOrphans(epoch: number): Promise<void> {
    for (const id of await this.ids()) {
      if (id.epoch < epoch && !this.#owed.has(formatMessageId(id))) await this.drop(id);
    }
  }

  /** Of the messages whose files are there. */
  async ids(): Promise<readonly MessageId[]> {
    const names = await this.#disk.list(this.#folder).catch(() => []);
    return names.map(parseMessageId).filter((id) => id !== undefined);
  }

  async #write(id: MessageId, content: Content): Promise<BodyPlace> {
    await this.#makeFolder();
    const chunks = [content.prefix, ...content.chunks];
    const file = await this.#disk.open(this.#pathOf(id), 'create');
    try {
      await file.write(chunks, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.syncFolder(this.#folder);
    const crc = chunks.reduce((sum, chunk) => this.#digest.crc32(chunk, sum), seedOf(id));
    const { prefix, sizeBytes } = content;
    return { at: 0, inFile: true, prefixBytes: prefix.length, sizeBytes, crc, isDamaged: false };
  }

  #makeFolder(): Promise<void> {
    this.#folderMade ??= this.#makeFolderDurable().catch((error: DiskError) => {
      this.#folderMade = undefined;
      throw error;
    });
    return this.#folderMade;
  }

  /** One that is there already may be a name that a power loss takes. */
  async #makeFolderDurable(): Promise<void> {
    await this.#disk.makeFolder(this.#folder);
    await this.#disk.syncFolder(this.#spoolFolder);
  }

  #pathOf(id: MessageId): string {
    return `${this.#folder}/${formatMessageId(id)}`;
  }
}

/** Files never move: what is not there will not come back. */
function undefinedIfGone(error: DiskError): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** A stored content in its two parts. Of a damaged one there may be fewer bytes. */
export function contentOf(bytes: Uint8Array, { prefixBytes }: BodyPlace): Content {
  const prefix = bytes.subarray(0, prefixBytes);
  return { prefix, chunks: [bytes.subarray(prefixBytes)], sizeBytes: bytes.length };
}

/** Bytes of another message's file never pass for its own. */
function seedOf({ epoch, sequence }: MessageId): number {
  return (Math.imul(epoch, 0x9e3779b1) ^ sequence) >>> 0;
}
