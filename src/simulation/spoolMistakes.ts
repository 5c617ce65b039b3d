import type { Digest, Disk } from '../base/ports.ts';
import {
  decodeBatchHeader,
  decodeSegmentHeader,
  encodeSegmentHeader,
  type SegmentHeader,
} from '../spool/frame.ts';
import { recover } from '../spool/recovery.ts';
import type { Mistake } from './mistake.ts';
import { over, overFiles } from './overDisk.ts';

const nothing = async (): Promise<void> => undefined;

/** Without a digest's own arithmetic no header can be read or written: the world's digest is the true one. */
export function spoolMistakes(digest: Digest): Readonly<Record<string, Mistake>> {
  return {
    'reply before sync': {
      engineDisk: (disk) =>
        overFiles(disk, (file) => ({
          async writeSynced(chunks, at) {
            await file.write(chunks, at);
            file.sync().catch(() => undefined);
          },
        })),
    },
    'skipped sync': {
      engineDisk: (disk) =>
        overFiles(disk, (file) => ({ sync: nothing, writeSynced: (chunks, at) => file.write(chunks, at) })),
    },
    'a failed sync is believed': {
      engineDisk: (disk) =>
        overFiles(disk, (file) => ({
          writeSynced: (chunks, at) => file.writeSynced(chunks, at).catch(() => undefined),
        })),
    },
    'a failed sync is repeated and believed': {
      engineDisk: (disk) =>
        overFiles(disk, (file) => ({
          writeSynced: (chunks, at) => file.writeSynced(chunks, at).catch(() => file.sync()),
        })),
    },
    'forgotten directory sync': {
      engineDisk: (disk) => over(disk, { syncFolder: nothing }),
    },
    'a failed directory sync is believed': {
      engineDisk: (disk) =>
        over(disk, { syncFolder: (path) => disk.syncFolder(path).catch(() => undefined) }),
    },
    'recovery without sync': {
      engineDisk: (disk, isRecovering) =>
        over(
          overFiles(disk, (file) => ({ sync: async () => (isRecovering() ? undefined : file.sync()) })),
          { syncFolder: async (path) => (isRecovering() ? undefined : disk.syncFolder(path)) },
        ),
    },
    'recovery goes on after a failed sync': {
      engineDisk: (disk, isRecovering) =>
        overFiles(disk, (file) => ({
          sync: () =>
            file.sync().catch((error: unknown) => {
              if (!isRecovering()) throw error;
            }),
        })),
    },
    'epoch reuse': {
      parts: {
        async recover(ports, folder, recorded) {
          const recovered = await recover(ports, folder, recorded);
          if (recovered.kind !== 'recovered') return recovered;
          return { ...recovered, epoch: Math.max(1, recovered.epoch - 1) };
        },
      },
    },
    'recorder past the watermark': {
      watermark: (watermark) => ({ ...watermark, batch: watermark.batch + 1 }),
    },
    'reclaimed before the cursor has passed': {
      recorded: () => ({ epoch: Number.MAX_SAFE_INTEGER, batch: 0 }),
    },
    'tombstone reclaimed early': {
      engineDisk(disk) {
        let late: string | undefined;
        return over(disk, {
          async unlink(path) {
            const older = late;
            late = path;
            if (older === undefined) return;
            await disk.unlink(path).catch(nothing);
            await disk.syncFolder(folderOf(path));
            await disk.unlink(older);
            late = undefined;
          },
        });
      },
    },
    'a content file is not synced': {
      engineDisk: (disk) => overFiles(disk, (_, path) => (isContents(path) ? { sync: nothing } : {})),
    },
    'the folder of content files is not synced': {
      engineDisk: (disk) =>
        over(disk, {
          syncFolder: async (path) => (isContents(path) ? undefined : disk.syncFolder(path)),
        }),
    },
    'A9: a content file goes with the batch that failed, before the 451': {
      engineDisk: (disk) => droppingContents(disk),
    },
    'missing CRC check': { digest: { crc32: () => 0 } },
    'a header counts one batch too few': overHeaders(digest, (header) => counting(header, -1)),
    'a header counts one batch too many': overHeaders(digest, (header) => counting(header, 1)),
    'a header names no predecessor': overHeaders(digest, (header) => ({ ...header, predecessor: undefined })),
    'V1: only a 250 makes the directory sync happen': {
      engineDisk: (disk) => syncingFoldersForBodies(disk, digest),
    },
    'V2: recovery syncs files but not the directory': {
      engineDisk: (disk, isRecovering) =>
        over(disk, { syncFolder: async (path) => (isRecovering() ? undefined : disk.syncFolder(path)) }),
    },
    'V3: recovery does not write again': {
      engineDisk: (disk, isRecovering) =>
        overFiles(disk, (file) => ({
          write: async (chunks, at) => (isRecovering() ? undefined : file.write(chunks, at)),
        })),
    },
    "V4: the recorder reads on by itself after an engine's death": {
      afterDeath: (last) => ({ ...last, batch: last.batch + 1 }),
    },
    'V5: two unlinks without a directory sync between': {
      engineDisk(disk) {
        let unlinked = false;
        return over(disk, {
          async unlink(path) {
            unlinked = true;
            await disk.unlink(path);
          },
          async syncFolder(path) {
            if (!unlinked) return disk.syncFolder(path);
            unlinked = false;
          },
        });
      },
    },
    'V7: a header names the segment before it, whether that holds a synced batch or not': overHeaders(
      digest,
      ({ predecessor, ...header }) => ({
        ...header,
        predecessor: predecessor && { ...predecessor, segment: header.number - 1 },
      }),
    ),
  };
}

const isContents = (path: string): boolean => path.includes('/bodies');

/** Content files that no batch has named durably yet go at once when a batch fails. */
function droppingContents(disk: Disk): Disk {
  let young: string[] = [];
  return overFiles(disk, (file, path) => {
    if (isContents(path)) young.push(path);
    return {
      async writeSynced(chunks, at) {
        const named = young;
        young = [];
        try {
          await file.writeSynced(chunks, at);
        } catch (error) {
          for (const one of named) await disk.unlink(one).catch(nothing);
          throw error;
        }
      },
    };
  });
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** A segment header as it is written, said otherwise. */
function overHeaders(digest: Digest, otherwise: (header: SegmentHeader) => SegmentHeader): Mistake {
  return {
    engineDisk: (disk) =>
      overFiles(disk, (file) => ({
        writeSynced(chunks, position) {
          const read = position === 0 ? decodeSegmentHeader(chunks[0]!, digest) : undefined;
          if (read?.kind !== 'whole') return file.writeSynced(chunks, position);
          const header = encodeSegmentHeader(otherwise(read.header), digest);
          return file.writeSynced([header, ...chunks.slice(1)], position);
        },
      })),
  };
}

function counting({ predecessor, ...header }: SegmentHeader, more: number): SegmentHeader {
  return {
    ...header,
    predecessor: predecessor && { ...predecessor, lastBatch: predecessor.lastBatch + more },
  };
}

/** The directory is synced before the first 250 of a segment, and for nothing else. */
function syncingFoldersForBodies(disk: Disk, digest: Digest): Disk {
  let owes = false;
  return over(
    overFiles(disk, (file, path) => {
      let salt = 0;
      return {
        async writeSynced(chunks, position) {
          const read = position === 0 ? decodeSegmentHeader(chunks[0]!, digest) : undefined;
          if (read?.kind === 'whole') salt = read.header.salt;
          const header = decodeBatchHeader(chunks[position === 0 ? 1 : 0]!, digest, salt);
          const hasBodies = (header?.bodyBytes ?? 1) > 0;
          await file.writeSynced(chunks, position);
          if (position === 0) owes = true;
          if (!hasBodies || !owes) return;
          owes = false;
          await disk.syncFolder(folderOf(path));
        },
      };
    }),
    { syncFolder: async (path) => (owes ? undefined : disk.syncFolder(path)) },
  );
}
