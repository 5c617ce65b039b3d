import { localDay } from '../base/calendar.ts';
import type { Clock, Digest, Disk, DiskFile } from '../base/ports.ts';
import type { AcctFileConfig } from '../config/config.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import type { AcctCursor } from './acctCursor.ts';
import { type AcctError, type AcctErrorCode, unlessMissing } from './acctError.ts';
import { type AcctPath, inFolder } from './fileNames.ts';
import { nextFileName } from './finishedFiles.ts';
import type { RowWriter } from './row.ts';

const newFileMode = 0o640;

/** What stays the same for the life of one acct-file's writer. */
export interface Setup {
  readonly config: AcctFileConfig;
  readonly path: AcctPath;
  readonly cursorPath: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly rows: RowWriter;
  readonly header: Uint8Array;
}

/** A CSV file that exists durably, and the cursor that is to name it. */
export interface Begun {
  readonly csv: DiskFile;
  readonly cursor: AcctCursor;
}

/** A new file with its header, synced, its folder synced; nothing names it yet. */
export async function beginFile(
  { config, path, disk, clock, header }: Setup,
  currentName: string,
  positions: ReadonlyMap<string, BatchPosition>,
  nowMs: number,
): Promise<Begun> {
  const today = localDay(nowMs, clock.zoneOffsetMinutes(nowMs));
  const fileName = await nextFileName(disk, config, today, currentName);
  const csv = await disk.open(inFolder(path.folder, fileName), 'create', newFileMode);
  try {
    await csv.write([header], 0);
    await csv.sync();
    await disk.syncFolder(path.folder);
    const cursor: AcctCursor = {
      path: config.path,
      fileName,
      fileIdentity: await csv.identity(),
      lengthBytes: header.length,
      begunMs: nowMs,
      positions,
    };
    return { csv, cursor };
  } catch (thrown) {
    await csv.close();
    throw thrown;
  }
}

/** Opens the CSV the cursor names and cuts it back to the cursor's length; or says why it cannot go on there. */
export async function openAtCursor(setup: Setup, cursor: AcctCursor): Promise<Begun | AcctError> {
  const path = inFolder(setup.path.folder, cursor.fileName);
  const lost = (code: AcctErrorCode, what: string): AcctError => {
    const message = `${path}: ${what}; rows recorded there are lost to accounting; a new file is begun`;
    return { code, path, systemCode: '', message };
  };
  const csv = await unlessMissing(setup.disk.open(path, 'write'));
  if (csv === undefined) return lost('csv-gone', 'the file is gone');
  try {
    const sizeBytes = await csv.sizeBytes();
    const identity = await csv.identity();
    if (identity === cursor.fileIdentity && sizeBytes >= cursor.lengthBytes) {
      if (sizeBytes > cursor.lengthBytes) await csv.truncate(cursor.lengthBytes);
      // A cut must be on disk before a rotation could write these rows elsewhere; a former process may have
      // made it and not lived to sync it.
      await csv.sync();
      return { csv, cursor };
    }
    await csv.close();
    if (identity !== cursor.fileIdentity) return lost('csv-replaced', 'another file has taken its name');
    return lost('csv-short', `it holds ${sizeBytes} bytes of the ${cursor.lengthBytes} recorded`);
  } catch (thrown) {
    await csv.close();
    throw thrown;
  }
}
