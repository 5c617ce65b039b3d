import type { LocalDay } from '../base/calendar.ts';
import { formatDay, parseDay } from './timestamp.ts';

/** `/d/acct.csv` taken apart: files are `/d/acct-YYYY-MM-DD-NNNN.csv` (powermta d.5). */
export interface AcctPath {
  readonly folder: string;
  readonly stem: string;
  /** With its dot, or ''. */
  readonly extension: string;
}

export interface DatedNumber {
  readonly day: LocalDay;
  readonly number: number;
}

export function splitAcctPath(path: string): AcctPath {
  const slash = path.lastIndexOf('/');
  const base = path.slice(slash + 1);
  const dot = base.lastIndexOf('.');
  const stem = dot > 0 ? base.slice(0, dot) : base;
  return { folder: parentFolder(path), stem, extension: base.slice(stem.length) };
}

/** The folder that holds `path`; '.' for a bare name. */
export function parentFolder(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

export function inFolder(folder: string, name: string): string {
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`;
}

export function acctFileName(path: AcctPath, at: DatedNumber): string {
  return `${path.stem}-${formatDay(at.day)}-${String(at.number).padStart(4, '0')}${path.extension}`;
}

/** undefined for every name `acctFileName` would not have written for this path. */
export function parseAcctFileName(path: AcctPath, name: string): DatedNumber | undefined {
  if (!name.startsWith(`${path.stem}-`) || !name.endsWith(path.extension)) return undefined;
  const middle = name.slice(path.stem.length + 1, name.length - path.extension.length);
  const match = /^(.{10})-(\d{4,9})$/.exec(middle);
  const day = match === null ? undefined : parseDay(match[1]!);
  if (match === null || day === undefined) return undefined;
  const at = { day, number: Number(match[2]) };
  return acctFileName(path, at) === name ? at : undefined;
}
