import type { Disk, DiskFile } from '../base/ports.ts';
import type { Mistake } from './mistake.ts';
import { over, overFiles } from './overDisk.ts';

const isCsv = (path: string): boolean => path.startsWith('/acct/');
const cursorFolder = '/spool/cursors';

function overCsvSync(disk: Disk, sync: (file: DiskFile) => Promise<void>): Disk {
  return overFiles(disk, (file, path) => (isCsv(path) ? { sync: () => sync(file) } : {}));
}

const written = new TextDecoder();

export const accountingMistakes: Readonly<Record<string, Mistake>> = {
  'cursor before CSV sync': {
    recorderDisk(disk) {
      // Each CSV is synced when the cursor behind it has been stored, and the next one is on its way.
      const late: DiskFile[] = [];
      return overCsvSync(disk, async (file) => {
        for (const earlier of late.splice(0)) await earlier.sync();
        late.push(file);
      });
    },
  },
  'a failed CSV sync is repeated and believed': {
    recorderDisk: (disk) => overCsvSync(disk, (file) => file.sync().catch(() => file.sync())),
  },
  'the temporary file of the cursor is not synced': {
    recorderDisk: (disk) =>
      overFiles(disk, (_, path) => (path.endsWith('.tmp') ? { sync: async () => undefined } : {})),
  },
  "the cursor's folder is not synced after the rename": {
    recorderDisk: (disk) =>
      over(disk, {
        syncFolder: async (folder) => (folder === cursorFolder ? undefined : disk.syncFolder(folder)),
      }),
  },
  'V6: a restarted recorder believes a cursor that is not durable': {
    recorderDisk(disk) {
      // What it stores again at its start, before it has read a batch, is not stored.
      let isStarting = true;
      const skips = (path: string): boolean => isStarting && path.startsWith(cursorFolder);
      const nowhere: Partial<DiskFile> = { async write() {}, async sync() {}, async close() {} };
      return over(disk, {
        async open(path, how, mode) {
          if (path.endsWith('.segment')) isStarting = false;
          return skips(path) && how === 'create' ? (nowhere as DiskFile) : disk.open(path, how, mode);
        },
        rename: async (from, to) => (skips(to) ? undefined : disk.rename(from, to)),
        unlink: async (path) => (skips(path) ? undefined : disk.unlink(path)),
        syncFolder: async (folder) =>
          skips(folder) || (isStarting && folder === '/spool') ? undefined : disk.syncFolder(folder),
      });
    },
  },
  'a rotation does not sync the folder': {
    recorderDisk: (disk) =>
      over(disk, {
        syncFolder: async (folder) => (folder === '/acct' ? undefined : disk.syncFolder(folder)),
      }),
  },
  'a row is written with another one lost': {
    recorderDisk: (disk) =>
      overFiles(disk, (file, path) =>
        isCsv(path)
          ? { write: (chunks, at) => file.write(at === 0 ? chunks : chunks.map(firstRowForSecond), at) }
          : {},
      ),
  },
};

/** Where two rows of one length follow each other the first stands twice. */
function firstRowForSecond(chunk: Uint8Array): Uint8Array {
  const rows = written.decode(chunk).split('\r\n');
  if (rows.length < 3 || rows[0]!.length !== rows[1]!.length) return chunk;
  return new TextEncoder().encode([rows[0], rows[0], ...rows.slice(2)].join('\r\n'));
}
