import { type LocalDay, localDay } from '../base/calendar.ts';
import type { Clock, Digest, Disk, DiskFile } from '../base/ports.ts';
import type { AcctFileConfig } from '../config/config.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import type { Envelope } from '../message/envelope.ts';
import {
  type AcctCursor,
  cursorPath,
  decodeCursor,
  encodeCursor,
  ensureFolder,
  readCursorBytes,
  storeCursor,
} from './acctCursor.ts';
import { type AcctError, type AcctErrorCode, diskFailure } from './acctError.ts';
import { type Begun, beginFile, openAtCursor, type Setup } from './csvFile.ts';
import type { AcctEvent } from './fields.ts';
import { inFolder, parseAcctFileName, splitAcctPath } from './fileNames.ts';
import { sweepFinished } from './finishedFiles.ts';
import { rowWriter } from './row.ts';
import { untilMidnightMs } from './timestamp.ts';

/** What one batch of an engine's spool has for accounting: synced, published, in spool order. */
export interface AcctBatch {
  /** Names the engine's spool folder. */
  readonly engine: string;
  readonly position: BatchPosition;
  readonly events: readonly AcctEvent[];
  readonly receipts: readonly Envelope[];
}

/**
 * Writes one acct-file so that every row stands in it exactly once across crashes (architecture 5,
 * "Accounting by cursor"). The order is always: rows, sync, cursor, report. `flush` and `commit` must not
 * overlap; `append` may come at any time. After an error the same call is simply made again later.
 */
export class AcctFile {
  readonly #setup: Setup;
  readonly #alarms: AcctError[] = [];

  #csv: DiskFile;
  #cursor: AcctCursor;
  /** The cursor on disk is `#cursor`. While it is not, no row is written: either may be what a crash leaves. */
  #cursorStored: boolean;
  #durable: ReadonlyMap<string, BatchPosition>;
  /** The file begins with another header than this configuration's. */
  #foreignHeader = false;

  /** Rows not yet handed to the disk, and how far they reach. */
  #gathered = '';
  #gatheredPositions: Map<string, BatchPosition>;
  /** Rows behind the last synced byte, kept until a sync proves them; the first `#writtenChunks` are in the file. */
  #unsynced: Uint8Array[] = [];
  #unsyncedPositions: ReadonlyMap<string, BatchPosition>;
  #writtenChunks = 0;
  #uncommittedRows = 0;
  #syncedBytes: number;
  #writtenBytes: number;
  /** Written or cut since the last good sync. */
  #unproven = false;
  /** A write or sync failed: nothing behind `#syncedBytes` is believed; it is cut off and written again. */
  #suspect = false;
  #sweptOn: LocalDay | undefined;

  private constructor(setup: Setup, begun: Begun, cursorStored: boolean) {
    const { positions, lengthBytes } = begun.cursor;
    this.#setup = setup;
    this.#csv = begun.csv;
    this.#cursor = begun.cursor;
    this.#cursorStored = cursorStored;
    this.#durable = positions;
    this.#gatheredPositions = new Map(positions);
    this.#unsyncedPositions = positions;
    this.#syncedBytes = lengthBytes;
    this.#writtenBytes = lengthBytes;
  }

  /**
   * Continues where the durable cursor stands, or begins the first file. What a former process wrote behind
   * the cursor is cut off. A CSV that does not reach its cursor is an alarm (`takeAlarms`) and a new file.
   * @param cursorFolder where the cursors of all acct-files are kept; created when missing.
   */
  static async open(
    config: AcctFileConfig,
    cursorFolder: string,
    disk: Disk,
    clock: Clock,
    digest: Digest,
  ): Promise<AcctFile | AcctError> {
    const at = cursorPath(cursorFolder, config.path, digest);
    const path = splitAcctPath(config.path);
    const rows = rowWriter(config.records.value, (wallMs) => clock.zoneOffsetMinutes(wallMs));
    const header = new TextEncoder().encode(rows.header);
    const setup: Setup = { config, path, cursorPath: at, disk, clock, digest, rows, header };
    try {
      await ensureFolder(disk, cursorFolder);
      await ensureFolder(disk, path.folder);
      const bytes = await readCursorBytes(disk, at);
      const cursor = bytes === undefined ? undefined : decodeCursor(bytes, digest);
      if (typeof cursor === 'string') return cursorDamaged(setup, cursor);
      if (cursor !== undefined && cursor.path !== config.path) {
        return cursorDamaged(setup, `it belongs to ${cursor.path}`);
      }
      // A cursor that was renamed but whose folder was not synced may yet vanish. It is written again before
      // the sync, because after a failed sync of the former process a mere sync would prove nothing.
      if (bytes !== undefined) await storeCursor(disk, at, bytes);
      return await AcctFile.#continue(setup, cursor);
    } catch (thrown) {
      return diskFailure('open-failed', config.path, thrown);
    }
  }

  static async #continue(setup: Setup, cursor: AcctCursor | undefined): Promise<AcctFile> {
    const nowMs = setup.clock.wallMs();
    const found = cursor === undefined ? undefined : await openAtCursor(setup, cursor);
    const alarm = found !== undefined && 'code' in found ? found : undefined;
    const isOld = found !== undefined && 'csv' in found;
    const begun = isOld
      ? found
      : await beginFile(setup, cursor?.fileName ?? '', cursor?.positions ?? new Map(), nowMs);
    try {
      const file = new AcctFile(setup, begun, isOld);
      if (alarm !== undefined) file.#alarms.push(alarm);
      await file.#storeCursor();
      file.#foreignHeader = !sameBytes(await begun.csv.read(0, setup.header.length), setup.header);
      await file.#sweep(nowMs);
      return file;
    } catch (thrown) {
      await begun.csv.close();
      throw thrown;
    }
  }

  /** What may be reported to each engine: every batch up to here is in the file, synced, cursor included. */
  get durable(): ReadonlyMap<string, BatchPosition> {
    return this.#durable;
  }

  /** Rows appended and not yet under the durable cursor. */
  get uncommittedRows(): number {
    return this.#uncommittedRows;
  }

  /** The path of the file being written. */
  get currentPath(): string {
    return inFolder(this.#setup.path.folder, this.#cursor.fileName);
  }

  /** What went wrong without stopping the rows since the last call. */
  takeAlarms(): readonly AcctError[] {
    return this.#alarms.splice(0);
  }

  /** Gathers a batch's rows. A batch at or before what it already has is ignored. */
  append(batch: AcctBatch): void {
    if (!isAfter(batch.position, this.#gatheredPositions.get(batch.engine))) return;
    this.#gatheredPositions.set(batch.engine, batch.position);
    for (const envelope of batch.receipts) {
      const rows = this.#setup.rows.receiptRows(envelope);
      if (rows === '') continue;
      this.#gathered += rows;
      this.#uncommittedRows += envelope.recipients.length;
    }
    for (const event of batch.events) {
      const row = this.#setup.rows.eventRow(event);
      if (row === '') continue;
      this.#gathered += row;
      this.#uncommittedRows++;
    }
  }

  /** Writes what is gathered, so that readers of the file see it. */
  flush(nowMs: number): Promise<AcctError | undefined> {
    return this.#attempt(() => this.#flush(nowMs));
  }

  /** Flushes, syncs, moves the cursor; afterwards `durable` covers all that was appended before the call. */
  commit(nowMs: number): Promise<AcctError | undefined> {
    return this.#attempt(async () => {
      await this.#flush(nowMs);
      await this.#settle();
      if (this.#sweptOn !== this.#today(nowMs)) await this.#sweep(nowMs);
    });
  }

  /** Milliseconds until `commit` has something to do even if nothing is appended. */
  nextDueMs(nowMs: number): number {
    const midnightMs = untilMidnightMs(nowMs, this.#setup.clock.zoneOffsetMinutes(nowMs));
    if (this.#setup.config.moveTo === undefined || !this.#holdsRows()) return midnightMs;
    const moveMs = this.#cursor.begunMs + this.#setup.config.moveIntervalMs.value - nowMs;
    return Math.min(midnightMs, Math.max(0, moveMs));
  }

  /** Closes the file as it stands; commit first. */
  async close(): Promise<void> {
    await this.#csv.close();
  }

  async #flush(nowMs: number): Promise<void> {
    await this.#step('cursor-failed', () => this.#storeCursor());
    await this.#writeUnsynced();
    if (this.#rotationIsDue(nowMs)) await this.#rotate(nowMs);
    this.#takeGathered();
    await this.#writeUnsynced();
  }

  #hasGathered(): boolean {
    return !samePositions(this.#gatheredPositions, this.#unsyncedPositions);
  }

  #takeGathered(): void {
    if (!this.#hasGathered()) return;
    this.#unsyncedPositions = new Map(this.#gatheredPositions);
    if (this.#gathered !== '') this.#unsynced.push(new TextEncoder().encode(this.#gathered));
    this.#gathered = '';
  }

  async #writeUnsynced(): Promise<void> {
    if (this.#suspect) await this.#step('write-failed', () => this.#cutBack());
    const chunks = this.#unsynced.slice(this.#writtenChunks);
    if (chunks.length === 0) return;
    this.#suspect = true;
    this.#unproven = true;
    await this.#step('write-failed', () => this.#csv.write(chunks, this.#writtenBytes));
    this.#suspect = false;
    this.#writtenChunks += chunks.length;
    for (const chunk of chunks) this.#writtenBytes += chunk.length;
  }

  async #cutBack(): Promise<void> {
    this.#unproven = true;
    await this.#csv.truncate(this.#syncedBytes);
    this.#writtenBytes = this.#syncedBytes;
    this.#writtenChunks = 0;
    this.#suspect = false;
  }

  /** Proves the rows written, then stores the cursor that counts them. */
  async #settle(): Promise<void> {
    if (this.#unproven) {
      this.#suspect = true;
      await this.#step('sync-failed', () => this.#csv.sync());
      this.#suspect = false;
      this.#unproven = false;
      this.#syncedBytes = this.#writtenBytes;
      this.#unsynced = [];
      this.#writtenChunks = 0;
    }
    const lengthBytes = this.#syncedBytes;
    const positions = this.#unsyncedPositions;
    if (this.#cursor.lengthBytes !== lengthBytes || this.#cursor.positions !== positions) {
      this.#cursor = { ...this.#cursor, lengthBytes, positions };
      this.#cursorStored = false;
    }
    await this.#step('cursor-failed', () => this.#storeCursor());
  }

  async #storeCursor(): Promise<void> {
    if (this.#cursorStored) return;
    await storeCursor(
      this.#setup.disk,
      this.#setup.cursorPath,
      encodeCursor(this.#cursor, this.#setup.digest),
    );
    this.#cursorStored = true;
    this.#durable = this.#cursor.positions;
    if (!this.#hasGathered()) this.#uncommittedRows = 0;
  }

  #today(nowMs: number): LocalDay {
    return localDay(nowMs, this.#setup.clock.zoneOffsetMinutes(nowMs));
  }

  #holdsRows(): boolean {
    return this.#foreignHeader || this.#writtenBytes > this.#setup.header.length;
  }

  #rotationIsDue(nowMs: number): boolean {
    const hasMore = this.#gathered !== '';
    if (parseAcctFileName(this.#setup.path, this.#cursor.fileName)?.day !== this.#today(nowMs)) {
      return this.#holdsRows() || hasMore;
    }
    if (this.#foreignHeader) return true;
    if (!this.#holdsRows()) return false;
    if (hasMore && this.#writtenBytes >= this.#setup.config.maxSizeBytes.value) return true;
    return (
      this.#setup.config.moveTo !== undefined &&
      nowMs - this.#cursor.begunMs >= this.#setup.config.moveIntervalMs.value
    );
  }

  /**
   * The old file's rows and cuts are proven and counted; the new file is made durable; the cursor moves to
   * it; only then does the old one go its way. Cut anywhere, the cursor names a file that is whole.
   */
  async #rotate(nowMs: number): Promise<void> {
    await this.#settle();
    const { fileName, positions } = this.#cursor;
    const begun = await this.#step('rotate-failed', () => beginFile(this.#setup, fileName, positions, nowMs));
    const old = this.#csv;
    this.#csv = begun.csv;
    this.#cursor = begun.cursor;
    this.#cursorStored = false;
    this.#foreignHeader = false;
    this.#sweptOn = undefined;
    this.#syncedBytes = begun.cursor.lengthBytes;
    this.#writtenBytes = begun.cursor.lengthBytes;
    await this.#step('rotate-failed', () => old.close());
    await this.#step('cursor-failed', () => this.#storeCursor());
  }

  async #sweep(nowMs: number): Promise<void> {
    const localMs = nowMs + this.#setup.clock.zoneOffsetMinutes(nowMs) * 60_000;
    const errors = await sweepFinished(this.#setup.disk, this.#setup.config, localMs, this.#cursor.fileName);
    this.#alarms.push(...errors);
    this.#sweptOn = this.#today(nowMs);
  }

  /** Gives a failed disk operation its name; `#attempt` takes it from there. */
  async #step<T>(code: AcctErrorCode, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (thrown) {
      throw new StepFailure(diskFailure(code, this.currentPath, thrown));
    }
  }

  async #attempt(work: () => Promise<void>): Promise<AcctError | undefined> {
    try {
      await work();
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof StepFailure)) throw thrown;
      // At once, as well as it goes: a torn row is not left standing, and a full disk gets room for the cursor.
      if (this.#suspect) await this.#cutBack().catch((again) => diskFailure('write-failed', '', again));
      return thrown.error;
    }
  }
}

/** Carries an operating error from the failed step to the call that answers it; never leaves this file. */
class StepFailure extends Error {
  readonly error: AcctError;

  constructor(error: AcctError) {
    super(error.message);
    this.error = error;
  }
}

function cursorDamaged({ cursorPath, config }: Setup, why: string): AcctError {
  const message =
    `${cursorPath}: the accounting cursor of ${config.path} cannot be used: ${why}. Restore it, ` +
    'or remove it to begin anew (rows of batches still in the spool may then be written twice)';
  return { code: 'cursor-damaged', path: cursorPath, systemCode: '', message };
}

function samePositions(
  a: ReadonlyMap<string, BatchPosition>,
  b: ReadonlyMap<string, BatchPosition>,
): boolean {
  for (const [engine, position] of a) if (b.get(engine) !== position) return false;
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
