import { formatMessageId } from '../message/messageId.ts';
import { segmentName } from '../spool/frame.ts';
import { holdReasons } from '../spool/owed.ts';
import type { SpoolDamage } from '../spool/spoolDamage.ts';
import { pairLines } from './io.ts';
import { plainTable } from './plainTable.ts';
import { engineFolders, type InspectedFolder, inspectFolder, readingFailed } from './spoolFolders.ts';
import { spoolOptions, type Verb } from './verb.ts';

export interface SpoolVerifyReport {
  readonly schema: 'penstock.spoolVerify/1';
  readonly damages: number;
  readonly engines: readonly EngineFolderReport[];
}

export interface EngineFolderReport {
  /** `engine-1`. */
  readonly engine: string;
  readonly folder: string;
  /** An engine works on it: what it has not synced yet was not judged. */
  readonly isRunning: boolean;
  readonly segments: readonly SegmentReport[];
  readonly messages: number;
  /** Owed. */
  readonly recipients: number;
  /** Of them, those that are kept back from delivery, by reason. */
  readonly held: Readonly<Record<string, number>>;
  /** Contents in files of their own. An orphaned one goes with the next start. */
  readonly contentFiles: { readonly owed: number; readonly orphaned: number };
  readonly damages: readonly DamageReport[];
}

export interface SegmentReport {
  readonly segment: number;
  /** Format; undefined: its header is broken. */
  readonly version: number | undefined;
  readonly sizeBytes: number;
  /** Off the chain nothing of it counts, and what follows is undefined. */
  readonly isOnChain: boolean;
  readonly epoch: number | undefined;
  readonly batches: number | undefined;
  readonly lastBatch: number | undefined;
  readonly droppedBatches: number | undefined;
  readonly hasFooter: boolean | undefined;
}

type WithTextId<T> = T extends { readonly id: unknown } ? Omit<T, 'id'> & { readonly id: string } : T;
export type DamageReport = WithTextId<SpoolDamage>;

export const spoolVerify: Verb = {
  name: 'spool verify',
  summary: 'check every byte of the spool, changing none',
  options: spoolOptions,
  async run(io, { options }) {
    const folders = await engineFolders(options);
    if ('exit' in folders) return folders;
    const engines: EngineFolderReport[] = [];
    try {
      for (const folder of folders) engines.push(folderReport(await inspectFolder(folder)));
    } catch (error) {
      return readingFailed(error as NodeJS.ErrnoException);
    }
    const damages = engines.reduce((sum, engine) => sum + engine.damages.length, 0);
    const report: SpoolVerifyReport = { schema: 'penstock.spoolVerify/1', damages, engines };
    if (options.json) io.out(JSON.stringify(report));
    else for (const line of verifyLines(report)) io.out(line);
    return damages === 0 ? 'ok' : 'error';
  },
};

function folderReport({ name, path, inspection, isInMotion }: InspectedFolder): EngineFolderReport {
  const { segments, owed, damages, bodyFiles } = inspection;
  const held = Object.fromEntries(holdReasons.map((reason) => [reason, 0]));
  let recipients = 0;
  for (const message of owed) {
    recipients += message.recipients.length;
    for (const { heldFor } of message.recipients) if (heldFor !== undefined) held[heldFor]! += 1;
  }
  return {
    engine: name,
    folder: path,
    isRunning: isInMotion,
    segments: segments.map(({ number, version, sizeBytes, counted }) => ({
      segment: number,
      version,
      sizeBytes,
      isOnChain: counted !== undefined,
      epoch: counted?.epoch,
      batches: counted?.batches,
      lastBatch: counted?.lastBatch,
      droppedBatches: counted?.dropped,
      hasFooter: counted?.hasFooter,
    })),
    messages: owed.size,
    recipients,
    held,
    contentFiles: bodyFiles,
    damages: damages.map((damage) =>
      'id' in damage ? { ...damage, id: formatMessageId(damage.id) } : damage,
    ),
  };
}

export function verifyLines({ engines, damages }: SpoolVerifyReport): readonly string[] {
  const total = damages === 0 ? 'No damage.' : `${damages} ${damages === 1 ? 'damage' : 'damages'}.`;
  return [...engines.flatMap((engine) => [...folderLines(engine), '']), total];
}

function folderLines(report: EngineFolderReport): readonly string[] {
  const { engine, folder, isRunning, messages, recipients, held, contentFiles } = report;
  const reasons = Object.entries(held).filter(([, count]) => count > 0);
  return [
    ...pairLines([
      [engine, folder],
      ...(isRunning ? [['note', motionNote] as const] : []),
      ['owed', `${messages} messages, ${recipients} recipients`],
      ['held', reasons.map(([reason, count]) => `${count} ${reason}`).join(', ') || 'none'],
      ['content files', `${contentFiles.owed} owed, ${contentFiles.orphaned} orphaned`],
    ]),
    ...segmentLines(report.segments),
    ...pairLines(report.damages.map((damage) => ['DAMAGE', damageText(damage)] as const)),
  ];
}

const motionNote = 'an engine works here; the end of its newest segment is in motion and was not judged';

function segmentLines(segments: readonly SegmentReport[]): readonly string[] {
  if (segments.length === 0) return ['no segments'];
  return plainTable(
    ['>segment', '>format', '>epoch', '>batches', '>bytes', 'footer', ''],
    segments.map(({ segment, version, sizeBytes, epoch, batches, hasFooter, isOnChain, droppedBatches }) => [
      segment,
      version ?? '?',
      epoch ?? '',
      batches ?? '',
      sizeBytes,
      hasFooter ? 'yes' : '',
      segmentNote(isOnChain, droppedBatches ?? 0),
    ]),
  );
}

function segmentNote(isOnChain: boolean, droppedBatches: number): string {
  if (!isOnChain) return 'does not count';
  return droppedBatches === 0 ? '' : `${droppedBatches} never counted`;
}

/** What it is, where, and what is left. */
export function damageText(damage: DamageReport): string {
  const where = segmentName(damage.segment);
  switch (damage.kind) {
    case 'header':
      return `${where}: its header; what is behind it can${damage.isReadable ? '' : 'not'} be read`;
    case 'segment':
      return `${where} is missing, or has a format that is not read here`;
    case 'footer':
      return `${where}: its footer does not say what its records say`;
    case 'records':
      return (
        `${where} at ${damage.at}, ${damage.sizeBytes} bytes: records; ` +
        `${damage.messages} messages and ${damage.notes} other records of them can be read`
      );
    case 'content':
      return (
        `${where} at ${damage.at}, ${damage.sizeBytes} bytes: the content of ${damage.id}, ` +
        `which is ${damage.isOwed ? 'owed' : 'not owed any more'}`
      );
    case 'message':
      return `${where}: the content of ${damage.id}, which is owed, is not in bodies/${damage.id} as it was stored`;
    case 'cutShort':
      return `${where} ends too early: batches up to ${damage.through.batch} of epoch ${damage.through.epoch} were on disk`;
  }
}
