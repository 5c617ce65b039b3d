import type { Clock, Disk } from '../base/ports.ts';

const syncs = 7;
const batchBytes = 4096;

/** The median time of writing and syncing 4 KiB in this folder; undefined when it cannot be measured. */
export async function syncPriceMs(disk: Disk, clock: Clock, folder: string): Promise<number | undefined> {
  const path = `${folder}/.sync-price`;
  try {
    await disk.unlink(path).catch(() => {});
    const file = await disk.open(path, 'create');
    const times: number[] = [];
    try {
      for (let i = 0; i < syncs; i++) {
        const beganMs = clock.monotonicMs();
        await file.write([new Uint8Array(batchBytes)], i * batchBytes);
        await file.sync();
        times.push(clock.monotonicMs() - beganMs);
      }
    } finally {
      await file.close();
      await disk.unlink(path);
    }
    return times.sort((a, b) => a - b)[Math.floor(syncs / 2)];
  } catch {
    return undefined;
  }
}
