import type { Disk, DiskError } from '../base/ports.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';

/** A place to note a few words that outlive this process, at once. What was noted before is gone. */
export interface Scratch {
  note(text: string): void;
}

/** So many deaths on one message hold it. */
const deathsMax = 2;
/** Of messages that the engine died on once; most never come back. */
const suspectsMax = 1000;

/**
 * Knows which message the engine is at, so that its death can be blamed on one (architecture 3, Poison
 * guard). Careful, after an engine has died, it notes every step before it is taken: then even a death that
 * leaves no time for a word is blamed.
 */
export class PoisonGuard {
  readonly #scratch: Scratch;
  readonly #isCareful: boolean;
  #at: MessageId | undefined;

  constructor(scratch: Scratch, isCareful: boolean) {
    this.#scratch = scratch;
    this.#isCareful = isCareful;
  }

  /** A step with this message begins. */
  enter(id: MessageId): void {
    this.#at = id;
    if (this.#isCareful) this.#note();
  }

  /** It is over. */
  leave(): void {
    if (this.#at !== undefined && this.#isCareful) this.#scratch.note('');
    this.#at = undefined;
  }

  /** The engine is about to end of its own mistake. */
  died(): void {
    this.#note();
  }

  #note(): void {
    this.#scratch.note(this.#at === undefined ? '' : formatMessageId(this.#at));
  }
}

/** For engines that nobody watches. */
export const noGuard = new PoisonGuard({ note: () => undefined }, false);

/** Below the engine's folder: what the scratch notes. */
export const suspectFile = 'suspect';
/** Deaths by message, one `ID COUNT` a line. */
const suspectsFile = 'suspects';

/**
 * Takes up what the life before noted. The messages that the engine died on often enough, by their ids;
 * they are told once and then forgotten, for they are to be held. Rejects with the disk's error.
 */
export async function takeDeadly(disk: Disk, spoolFolder: string): Promise<ReadonlySet<string>> {
  const suspect = (await textOf(disk, `${spoolFolder}/${suspectFile}`)).trim();
  if (suspect === '') return new Set();
  const deaths = new Map(linesOf(await textOf(disk, `${spoolFolder}/${suspectsFile}`)));
  deaths.set(suspect, (deaths.get(suspect) ?? 0) + 1);
  const deadly = [...deaths].filter(([, count]) => count >= deathsMax).map(([id]) => id);
  for (const id of deadly) deaths.delete(id);
  await store(disk, spoolFolder, [...deaths].slice(-suspectsMax));
  // Only now: a death in between counts twice at worst.
  await disk.unlink(`${spoolFolder}/${suspectFile}`);
  return new Set(deadly);
}

function linesOf(text: string): [id: string, deaths: number][] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, count]) => Number(count) > 0)
    .map(([id, count]) => [id!, Number(count)]);
}

async function store(
  disk: Disk,
  spoolFolder: string,
  deaths: readonly (readonly [string, number])[],
): Promise<void> {
  const temporary = `${spoolFolder}/${suspectsFile}.new`;
  await disk.unlink(temporary).catch(() => undefined);
  const file = await disk.open(temporary, 'create');
  try {
    const lines = deaths.map(([id, count]) => `${id} ${count}\n`).join('');
    await file.write([new TextEncoder().encode(lines)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${spoolFolder}/${suspectsFile}`);
  await disk.syncFolder(spoolFolder);
}

/** '' when there is no such file. */
async function textOf(disk: Disk, path: string): Promise<string> {
  try {
    const file = await disk.open(path, 'read');
    const bytes = await file.read(0, await file.sizeBytes()).finally(() => file.close());
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if ((error as Partial<DiskError>).code === 'ENOENT') return '';
    throw error;
  }
}
