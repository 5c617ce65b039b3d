import type { LocalDay } from '../base/calendar.ts';
import type { Disk } from '../base/ports.ts';
import type { AcctFileConfig } from '../config/config.ts';
import { ensureFolder } from './acctCursor.ts';
import { type AcctError, diskFailure, unlessMissing } from './acctError.ts';
import { acctFileName, type DatedNumber, inFolder, parseAcctFileName, splitAcctPath } from './fileNames.ts';

const dayMs = 86_400_000;
/** More than the longest header line of ours. */
const headBytes = 4096;

/**
 * The name the next file takes: today's date, and a number above every file of that date, here and in
 * move-to, so that a move never meets a taken name. Removes what an interrupted rotation left.
 */
export async function nextFileName(
  disk: Disk,
  config: AcctFileConfig,
  today: LocalDay,
  currentName: string,
): Promise<string> {
  const path = splitAcctPath(config.path);
  const here = await disk.list(path.folder);
  const moved = config.moveTo === undefined ? undefined : await unlessMissing(disk.list(config.moveTo.value));
  // The current name counts even where its file is gone, so that no name is used twice.
  const numbers = [...here, ...(moved ?? []), currentName]
    .map((name) => parseAcctFileName(path, name))
    .filter((at): at is DatedNumber => at?.day === today)
    .map((at) => at.number);
  const last = numbers.reduce((most, number) => Math.max(most, number), -1);
  const lastName = acctFileName(path, { day: today, number: last });
  if (lastName !== currentName && here.includes(lastName)) {
    const file = inFolder(path.folder, lastName);
    if (await holdsNoRow(disk, file)) {
      await disk.unlink(file);
      return lastName;
    }
  }
  return acctFileName(path, { day: today, number: last + 1 });
}

/**
 * Sends every finished file on its way: to move-to at once, or out once delete-after has passed since the
 * end of its day; one without a row (begun and never used) goes. Only names of this acct-file's pattern,
 * never the current one. What is finished is read from the folder each time, so an interrupted sweep is
 * completed by the next.
 */
export async function sweepFinished(
  disk: Disk,
  config: AcctFileConfig,
  nowLocalMs: number,
  currentName: string,
): Promise<readonly AcctError[]> {
  const path = splitAcctPath(config.path);
  const moveTo = config.moveTo?.value;
  const deleteAfterMs = config.deleteAfterMs.value ?? Number.POSITIVE_INFINITY;
  const errors: AcctError[] = [];
  try {
    const finished: string[] = [];
    for (const name of await disk.list(path.folder)) {
      const at = parseAcctFileName(path, name);
      if (at === undefined || name === currentName) continue;
      const file = inFolder(path.folder, name);
      const isOld = moveTo === undefined && nowLocalMs >= (at.day + 1) * dayMs + deleteAfterMs;
      if (isOld || (await holdsNoRow(disk, file))) await disk.unlink(file);
      else finished.push(name);
    }
    if (moveTo === undefined || finished.length === 0) return errors;
    await ensureFolder(disk, moveTo);
    const taken = new Set(await disk.list(moveTo));
    for (const name of finished.sort()) {
      const from = inFolder(path.folder, name);
      if (taken.has(name)) {
        const message = `${from}: not moved: ${moveTo} already holds a file of that name`;
        errors.push({ code: 'sweep-failed', path: from, systemCode: 'EEXIST', message });
      } else {
        await disk.rename(from, inFolder(moveTo, name));
      }
    }
    await disk.syncFolder(moveTo);
    await disk.syncFolder(path.folder);
  } catch (thrown) {
    errors.push(diskFailure('sweep-failed', config.path, thrown));
  }
  return errors;
}

/** Nothing, or no more than one line: a file that was begun and never written to. */
async function holdsNoRow(disk: Disk, path: string): Promise<boolean> {
  const file = await disk.open(path, 'read');
  try {
    const head = await file.read(0, headBytes);
    const lineEnd = head.indexOf(0x0a);
    return head.length < headBytes && (lineEnd < 0 || lineEnd === head.length - 1);
  } finally {
    await file.close();
  }
}
