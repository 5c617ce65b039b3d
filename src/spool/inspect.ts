import type { Disk } from '../base/ports.ts';
import { type BatchPosition, isAfter } from '../message/batchPosition.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { BodyFiles } from './bodyFiles.ts';
import { segmentName, segmentNumber } from './frame.ts';
import { judgedChain, readSegment, type SegmentOnDisk, type WithSegment } from './inspectChain.ts';
import { type CountedSegment, inspectSegment } from './inspectSegment.ts';
import { OwedIndex } from './owedIndex.ts';
import { PatientFile } from './patientFile.ts';
import type { RecoveryPorts } from './recovery.ts';
import { Retriever } from './retriever.ts';
import type { SpoolDamage } from './spoolDamage.ts';

export interface InspectionOptions {
  /** An engine works on it: what the newest segment does not call synced counts when it is whole, and is not judged. */
  readonly isInMotion: boolean;
  /** The last batch that any accounting file has read: it was on disk. */
  readonly recorded: BatchPosition;
}

export interface InspectedSegment {
  readonly number: number;
  readonly sizeBytes: number;
  /** Of its format; undefined: its header is broken. */
  readonly version: number | undefined;
  /** undefined: it is not on the chain, and nothing in it counts. */
  readonly counted: CountedSegment | undefined;
}

export interface Inspection {
  /** Oldest first. */
  readonly segments: readonly InspectedSegment[];
  readonly owed: OwedIndex;
  readonly damages: readonly SpoolDamage[];
  /** Contents in files of their own: of owed messages, and those that nobody names. */
  readonly bodyFiles: { readonly owed: number; readonly orphaned: number };
  /** By segment: with it everything in there can be read. */
  readonly salts: ReadonlyMap<number, number>;
}

/**
 * Reads everything in an engine's folder, judges it as a start would, and changes no byte. Where a start would
 * refuse it goes on with what can be read. Rejects with the disk's error, but EIO is damage like any other;
 * while an engine works ENOENT means that it took something away: look again.
 */
export async function inspectSpool(
  { disk, digest }: RecoveryPorts,
  folder: string,
  { isInMotion, recorded }: InspectionOptions,
): Promise<Inspection> {
  const within: WithSegment = async (number, work) => {
    const file = await disk.open(`${folder}/${segmentName(number)}`, 'read');
    return work(new PatientFile(file)).finally(() => file.close());
  };
  const files: SegmentOnDisk[] = [];
  for (const number of await segmentNumbers(disk, folder)) {
    files.push(await readSegment(within, number, digest));
  }
  const judged = await judgedChain(files, within, digest);
  const { chain } = judged;
  const damages = [...judged.damages];
  const owed = new OwedIndex();
  const salts = new Map<number, number>();
  const segments = new Map<number, CountedSegment>();
  let last: (BatchPosition & { readonly segment: number }) | undefined;
  for (const link of chain) {
    const { number, epoch, salt } = link.header;
    if (link.isBehindGap) owed.doubt(() => false);
    const isMoving = isInMotion && link === chain.at(-1);
    const inspected = await within(number, (file) =>
      inspectSegment(file, link, { isMoving, recorded, digest, owed }),
    );
    salts.set(number, salt);
    segments.set(number, inspected.segment);
    damages.push(...inspected.damages);
    if (inspected.segment.lastBatch > 0)
      last = { epoch, batch: inspected.segment.lastBatch, segment: number };
  }
  // While it is worked on, what accounting has read may be younger than what was read here.
  if (!isInMotion && last !== undefined && isAfter(recorded, last)) {
    damages.push({ kind: 'cutShort', segment: last.segment, through: recorded });
  }

  const newestEpoch = chain.at(-1)?.header.epoch ?? 0;
  const bodyFiles = await inspectBodyFiles({ disk, digest }, folder, { owed, salts, damages });
  return {
    segments: files.map(({ number, sizeBytes, read }) => ({
      number,
      sizeBytes,
      version: read.kind === 'broken' ? undefined : read.version,
      counted: segments.get(number),
    })),
    owed,
    damages: withOwed(damages, owed),
    bodyFiles: {
      owed: bodyFiles.owed,
      // One that is being stored is not named yet.
      orphaned: bodyFiles.unnamed.filter(({ epoch }) => !isInMotion || epoch < newestEpoch).length,
    },
    salts,
  };
}

/** Of the segments in an engine's folder, rising; empty where there is none. */
export async function segmentNumbers(disk: Disk, folder: string): Promise<readonly number[]> {
  const names = await disk.list(folder);
  return names
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
}

async function inspectBodyFiles(
  ports: RecoveryPorts,
  folder: string,
  { owed, salts, damages }: Pick<Inspection, 'owed' | 'salts'> & { readonly damages: SpoolDamage[] },
): Promise<{ readonly owed: number; readonly unnamed: readonly MessageId[] }> {
  const named = new Set<string>();
  const retriever = new Retriever(ports, folder, salts);
  for (const message of owed) {
    if (!message.hasBodyFile) continue;
    const { id, location } = message;
    named.add(formatMessageId(id));
    const { isWhole } = await retriever.message(message);
    if (!isWhole) damages.push({ kind: 'message', segment: location.segment, id });
  }
  await retriever.close();
  const ids = await new BodyFiles(ports.disk, ports.digest, folder).ids();
  return { owed: named.size, unnamed: ids.filter((id) => !named.has(formatMessageId(id))) };
}

/** Says of damaged contents whether their messages are owed from there. */
function withOwed(damages: readonly SpoolDamage[], owed: OwedIndex): readonly SpoolDamage[] {
  const contents = damages.filter(({ kind }) => kind === 'content');
  if (contents.length === 0) return damages;
  const places = new Set<string>();
  for (const { id, location } of owed) places.add(`${location.segment} ${formatMessageId(id)}`);
  return damages.map((damage) =>
    damage.kind === 'content'
      ? { ...damage, isOwed: places.has(`${damage.segment} ${formatMessageId(damage.id)}`) }
      : damage,
  );
}
