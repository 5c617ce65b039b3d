import type { Disk, DiskFile } from '../base/ports.ts';

/** The disk with some operations of it replaced. */
export function over(disk: Disk, changed: Partial<Disk>): Disk {
  return {
    list: (path) => disk.list(path),
    makeFolder: (path) => disk.makeFolder(path),
    open: (path, how, mode) => disk.open(path, how, mode),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    syncFolder: (path) => disk.syncFolder(path),
    space: (path) => disk.space(path),
    ...changed,
  };
}

/** With some operations of its files replaced. */
export function overFiles(disk: Disk, changed: (file: DiskFile, path: string) => Partial<DiskFile>): Disk {
  return over(disk, {
    async open(path, how, mode) {
      const file = await disk.open(path, how, mode);
      return { ...file, ...changed(file, path) };
    },
  });
}
