import { type AcctBatch, AcctFile } from '../accounting/acctWriter.ts';
import { Recorder } from '../accounting/recorder.ts';
import type { Clock, Digest, Disk, Log } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { type BatchPosition, beforeAll, isAfter, type Watermark } from '../message/batchPosition.ts';
import { BatchReader } from '../spool/batchReader.ts';

export interface RecordingPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly log: Log;
}

interface Feed {
  readonly reader: BatchReader;
  /** What the engine has published; undefined until its present life published something. */
  watermark: Watermark | undefined;
}

/** Spool to accounting files: reads behind each engine's watermark, tells how far the cursors are. */
export class Recording {
  readonly #ports: RecordingPorts;
  readonly #files: readonly AcctFile[];
  readonly #wantsReceipts: boolean;
  readonly #recorder: Recorder;
  readonly #feeds = new Map<string, Feed>();

  private constructor(
    ports: RecordingPorts,
    files: readonly AcctFile[],
    wantsReceipts: boolean,
    recorded: (positions: ReadonlyMap<string, BatchPosition>) => void,
  ) {
    this.#ports = ports;
    this.#files = files;
    this.#wantsReceipts = wantsReceipts;
    this.#recorder = new Recorder(files, { next: (max) => this.#next(max) }, ports.clock, {
      recorded,
      alarm: ({ code, path, systemCode, message }) =>
        ports.log.write('error', 'accounting.alarm', { code, path, systemCode, message }),
      recovered: () => ports.log.write('info', 'accounting.recovered'),
    });
  }

  /** Rejects when a file or its cursor cannot be used; the error says which and why. */
  static async open(
    ports: RecordingPorts,
    config: Config,
    cursorFolder: string,
    recorded: (positions: ReadonlyMap<string, BatchPosition>) => void,
  ): Promise<Recording> {
    const files: AcctFile[] = [];
    for (const acctFile of config.acctFiles) {
      const file = await AcctFile.open(acctFile, cursorFolder, ports.disk, ports.clock, ports.digest);
      if (!(file instanceof AcctFile)) {
        throw Object.assign(new Error(`${file.path}: ${file.message}`), {
          code: file.systemCode ?? file.code,
        });
      }
      for (const alarm of file.takeAlarms()) {
        ports.log.write('error', 'accounting.alarm', {
          code: alarm.code,
          path: alarm.path,
          message: alarm.message,
        });
      }
      files.push(file);
    }
    const wantsReceipts = config.acctFiles.some(({ records }) => records.value.includes('r'));
    return new Recording(ports, files, wantsReceipts, recorded);
  }

  /** The last batch of an engine that any file has read: it was on disk, and the next epoch lies above its own. */
  readThrough(engine: string): BatchPosition {
    const read = [this.#recorder.fetched(engine), ...this.#files.map((file) => file.durable.get(engine))];
    return read.reduce<BatchPosition>((last, at) => (at && isAfter(at, last) ? at : last), beforeAll);
  }

  /** Reads that engine's spool from its cursor on. */
  feed(engine: string, spoolFolder: string): void {
    const after = this.#recorder.durable.get(engine) ?? beforeAll;
    const { disk, digest } = this.#ports;
    const reader = new BatchReader(disk, digest, spoolFolder, after, this.#wantsReceipts);
    this.#feeds.set(engine, { reader, watermark: undefined });
  }

  published(engine: string, watermark: Watermark): void {
    this.#feeds.get(engine)!.watermark = watermark;
    this.#recorder.wake();
  }

  /** The engine is gone: nothing is read until the next one has recovered (architecture 5). */
  engineGone(engine: string): void {
    this.#feeds.get(engine)!.watermark = undefined;
  }

  /** Records what was published and closes the files. */
  async close(): Promise<void> {
    await this.#recorder.close();
    for (const { reader } of this.#feeds.values()) await reader.close();
  }

  async #next(max: number): Promise<readonly AcctBatch[]> {
    for (const [engine, { reader, watermark }] of this.#feeds) {
      if (watermark === undefined) continue;
      const read = await reader.next(watermark, max);
      if ('kind' in read) {
        throw Object.assign(new Error(`${read.segment} is damaged at byte ${read.at}`), { code: 'damaged' });
      }
      if (read.length === 0) continue;
      for (const { damage } of read) {
        if (damage !== undefined)
          this.#ports.log.write('error', 'accounting.rowsLost', { engine, ...damage });
      }
      return read.map(({ position, events, envelopes }) => ({
        engine,
        position,
        events,
        receipts: envelopes,
      }));
    }
    return [];
  }
}
