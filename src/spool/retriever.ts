import type { Digest, Disk, DiskError, DiskFile } from '../base/ports.ts';
import type { Content, Envelope } from '../message/envelope.ts';
import { BodyFiles, contentOf } from './bodyFiles.ts';
import { segmentName } from './frame.ts';
import type { OwedAfterRestart } from './owed.ts';
import { PatientFile } from './patientFile.ts';
import { type BodyPlace, readEnvelope } from './record.ts';

/** What can be read of a message. */
export interface Retrieved {
  /** undefined: its record is damaged. */
  readonly envelope: Envelope | undefined;
  /** undefined: there is none, or nobody knows where it lies. */
  readonly content: Content | undefined;
  /** Envelope and content are as they were stored. */
  readonly isWhole: boolean;
}

const unreadable: Retrieved = { envelope: undefined, content: undefined, isWhole: false };

/**
 * Reads messages of a spool that nobody may be working on, damaged or not. Salts come from an inspection: a
 * header may be lost. Rejects with the disk's error, ENOENT for a segment that is gone.
 */
export class Retriever {
  readonly #disk: Disk;
  readonly #digest: Digest;
  readonly #folder: string;
  readonly #salts: ReadonlyMap<number, number>;
  readonly #bodyFiles: BodyFiles;
  /** The last one read: messages come in the order of their segments, nearly. */
  #open: { readonly segment: number; readonly file: DiskFile } | undefined;

  constructor(
    { disk, digest }: { readonly disk: Disk; readonly digest: Digest },
    folder: string,
    salts: ReadonlyMap<number, number>,
  ) {
    this.#disk = disk;
    this.#digest = digest;
    this.#folder = folder;
    this.#salts = salts;
    this.#bodyFiles = new BodyFiles(disk, digest, folder);
  }

  async message({ location }: Pick<OwedAfterRestart, 'location'>): Promise<Retrieved> {
    const { segment, recordAt, recordBytes } = location;
    const salt = this.#salts.get(segment);
    if (salt === undefined) return unreadable;
    const file = new PatientFile(await this.#fileOf(segment));
    const record = readEnvelope(await file.read(recordAt, recordBytes), this.#digest, salt);
    if (record === undefined) return unreadable;
    const { envelope, body } = record;
    if (body.inFile) {
      const bytes = await this.#readBodyFile(envelope, body);
      const content = bytes && contentOf(bytes, body);
      return { envelope, content, isWhole: content !== undefined };
    }
    const bytes = await file.read(body.at, body.sizeBytes);
    const isWhole = bytes.length === body.sizeBytes && this.#digest.crc32(bytes, salt) === body.crc;
    return { envelope, content: contentOf(bytes, body), isWhole };
  }

  async close(): Promise<void> {
    await this.#open?.file.close();
    this.#open = undefined;
  }

  async #fileOf(segment: number): Promise<DiskFile> {
    if (this.#open?.segment !== segment) {
      await this.close();
      const file = await this.#disk.open(`${this.#folder}/${segmentName(segment)}`, 'read');
      this.#open = { segment, file };
    }
    return this.#open!.file;
  }

  /** undefined: damaged, or gone. */
  #readBodyFile({ id }: Envelope, body: BodyPlace): Promise<Uint8Array | undefined> {
    return this.#bodyFiles.read(id, body).catch((error: Partial<DiskError>) => {
      if (error.code === 'ENOENT' || error.code === 'EIO') return undefined;
      throw error;
    });
  }
}
