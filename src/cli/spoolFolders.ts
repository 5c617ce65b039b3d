import { basename, dirname, resolve } from 'node:path';
import { readThrough } from '../accounting/acctCursor.ts';
import { systemDigest } from '../base/node/digest.ts';
import { systemDisk } from '../base/node/disk.ts';
import type { Config } from '../config/config.ts';
import { type BatchPosition, beforeAll } from '../message/batchPosition.ts';
import { type Inspection, inspectSpool, segmentNumbers } from '../spool/inspect.ts';
import type { SpoolDamage } from '../spool/spoolDamage.ts';
import { isSpoolLocked } from '../supervisor/spoolLock.ts';
import { configurationOf } from './configuration.ts';
import { unreadable } from './daemon.ts';
import type { Failure } from './failure.ts';
import { type GivenOptions, textOption } from './verb.ts';

/** The folder of one engine. */
export interface EngineFolder {
  /** `engine-1`, or the folder's own name. */
  readonly name: string;
  readonly path: string;
  /** The last batch of it that accounting has read. */
  readonly recorded: BatchPosition;
}

export interface InspectedFolder extends EngineFolder {
  readonly inspection: Inspection;
  /** An engine works on it. */
  readonly isInMotion: boolean;
}

/** How often a look is begun anew because an engine took something away meanwhile. */
const looksMax = 5;

/** The engine folders that `--folder` or `--config` mean. */
export async function engineFolders(options: GivenOptions): Promise<readonly EngineFolder[] | Failure> {
  const given = textOption(options, 'folder');
  if (given !== undefined) return foldersIn(resolve(given), undefined);
  const { config } = await configurationOf(options.config);
  return config === undefined ? unreadable(options) : foldersIn(resolve(config.spools[0]!.value), config);
}

async function foldersIn(
  path: string,
  config: Config | undefined,
): Promise<readonly EngineFolder[] | Failure> {
  const disk = systemDisk();
  try {
    const names = (await disk.list(path)).filter((name) => /^engine-\d+$/.test(name));
    const isEngine = names.length === 0 && (await segmentNumbers(disk, path)).length > 0;
    const spool = isEngine ? dirname(path) : path;
    const through = await readThrough(disk, `${spool}/cursors`, systemDigest());
    if (!isEngine && names.length === 0) {
      return { exit: 'error', code: 'noSpool', message: `${path} holds no engine's folder and no segments` };
    }
    return (isEngine ? [basename(path)] : names.sort(byNumber)).map((name) => {
      const { epoch, batch } = through.get(name) ?? beforeAll;
      // Without syncs accounting may have read what a power loss took.
      const isSynced = config === undefined || config.durability.value === 'sync';
      return { name, path: `${spool}/${name}`, recorded: { epoch, batch: isSynced ? batch : 0 } };
    });
  } catch (error) {
    return readingFailed(error as NodeJS.ErrnoException);
  }
}

function byNumber(a: string, b: string): number {
  return Number(a.slice('engine-'.length)) - Number(b.slice('engine-'.length));
}

/** A folder or file that cannot be read; everything else is a fault of ours. */
export function readingFailed(error: NodeJS.ErrnoException): Failure {
  const { code, message } = error;
  if (code === undefined) throw error;
  const exit = code === 'EACCES' || code === 'EPERM' ? 'permission' : 'error';
  return { exit, code, message };
}

/**
 * Reads an engine's folder whole. While an engine works on it, files go and come: then a look is begun anew,
 * and only what two looks found counts as damage.
 */
export async function inspectFolder(folder: EngineFolder): Promise<InspectedFolder> {
  const first = await look(folder);
  if (!first.isInMotion || first.inspection.damages.length === 0) return first;
  const second = await look(folder);
  const before = new Set(first.inspection.damages.map(damageKey));
  const damages = second.inspection.damages.filter((damage) => before.has(damageKey(damage)));
  return { ...second, inspection: { ...second.inspection, damages } };
}

function damageKey(damage: SpoolDamage): string {
  return JSON.stringify({ ...damage, isOwed: undefined });
}

async function look(folder: EngineFolder): Promise<InspectedFolder> {
  const ports = { disk: systemDisk(), digest: systemDigest() };
  const { path, recorded } = folder;
  for (let looks = 1; ; looks++) {
    const isInMotion = await isSpoolLocked(path);
    try {
      const inspection = await inspectSpool(ports, path, { isInMotion, recorded });
      // Started meanwhile: what was judged as at rest may not have been.
      if (isInMotion || looks === looksMax || !(await isSpoolLocked(path))) {
        return { ...folder, inspection, isInMotion };
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || looks === looksMax) throw error;
    }
  }
}
