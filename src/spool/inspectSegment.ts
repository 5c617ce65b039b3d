import type { Digest } from '../base/ports.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import { readFooter, tellFooter } from './footer.ts';
import { ToldSum } from './footerCheck.ts';
import type { JudgedLink } from './inspectChain.ts';
import type { OwedIndex } from './owedIndex.ts';
import { type SpoolRecord, tellRecord, wholeRecords } from './record.ts';
import { isVouchedFor, readThrough } from './recovery.ts';
import { tellSalvaged } from './salvage.ts';
import { type FoundBatch, ReadAhead, type ReadableFile } from './segmentFile.ts';
import { countedBatches, coveredThrough, findBatches, isBodyWhole, numberOf } from './segmentScan.ts';
import type { SpoolDamage } from './spoolDamage.ts';

/** What of a segment counts. */
export interface CountedSegment {
  readonly epoch: number;
  readonly batches: number;
  /** The last of them; 0: none. */
  readonly lastBatch: number;
  /** Whole frames at its end that were never acknowledged. */
  readonly dropped: number;
  readonly hasFooter: boolean;
}

export interface SegmentSurroundings {
  readonly isMoving: boolean;
  readonly recorded: BatchPosition;
  readonly digest: Digest;
  /** Takes up what the segment says, as a start would. */
  readonly owed: OwedIndex;
}

/** Checks every record, every content and the footer of a segment. */
export async function inspectSegment(
  file: ReadableFile,
  link: JudgedLink,
  { isMoving, recorded, digest, owed }: SegmentSurroundings,
): Promise<{
  readonly segment: CountedSegment;
  readonly damages: readonly SpoolDamage[];
}> {
  const { header, limit, vouchedThrough } = link;
  const { number, epoch, salt } = header;
  const found = await findBatches(file, header, digest);
  const synced = coveredThrough(found);
  // What is read of a segment that grows may be older than what accounting has read meanwhile.
  const covered = Math.max(vouchedThrough, synced, isMoving ? 0 : readThrough(header, recorded, limit));
  const footer =
    limit !== undefined && isVouchedFor(link) ? await readFooter(file, header, limit, digest) : undefined;

  const ahead = new ReadAhead(file);
  const damages: SpoolDamage[] = [];
  const told = new ToldSum(digest);
  const counts = { batches: 0, lastBatch: 0, unread: 0, cutThrough: 0 };
  const checkContents = async (records: readonly SpoolRecord[]): Promise<void> => {
    for (const record of records) {
      if (!('body' in record) || record.body.inFile) continue;
      if (await isBodyWhole(ahead, record.body, salt, digest)) continue;
      const { at, sizeBytes } = record.body;
      const { id } = record.envelope;
      damages.push({ kind: 'content', segment: number, at, sizeBytes, id, isOwed: false });
    }
  };
  for await (const counted of countedBatches(file, link, found, covered, digest, wholeRecords)) {
    counts.batches += 1;
    counts.lastBatch = numberOf(counted);
    if (counted.kind === 'whole') {
      for (const record of counted.records) {
        tellRecord(record, number, told);
        if (footer === undefined) tellRecord(record, number, owed);
      }
      await checkContents(counted.records);
      continue;
    }
    counts.unread += 1;
    if (counted.damage.sizeBytes === 0) {
      // Once is enough: what is gone from here on is in doubt as a whole.
      if (footer === undefined && counts.cutThrough === 0) tellSalvaged(counted.salvaged, number, owed);
      counts.cutThrough = counted.number;
      continue;
    }
    const records = counted.salvaged.filter((one) => one !== 'gap');
    if (footer === undefined) tellSalvaged(counted.salvaged, number, owed);
    const messages = records.filter((record) => 'body' in record).length;
    const notes = records.length - messages;
    damages.push({ kind: 'records', ...counted.damage, messages, notes });
    await checkContents(records);
  }
  if (counts.cutThrough > 0) {
    damages.push({ kind: 'cutShort', segment: number, through: { epoch, batch: counts.cutThrough } });
  }
  if (footer !== undefined) {
    tellFooter(footer, number, owed);
    const footerTold = new ToldSum(digest);
    tellFooter(footer, number, footerTold);
    if (counts.unread === 0 && !told.equals(footerTold)) damages.push({ kind: 'footer', segment: number });
  }
  return {
    segment: {
      epoch,
      batches: counts.batches,
      lastBatch: counts.lastBatch,
      dropped: isMoving ? 0 : droppedBehind(found, counts.lastBatch),
      hasFooter: footer !== undefined,
    },
    damages,
  };
}

function droppedBehind(found: readonly FoundBatch[], lastBatch: number): number {
  return found.filter(({ header }) => header.number > lastBatch).length;
}
