/**
 * The points at which a crash is most likely to break a promise, as steps at the doors. Not among them:
 * P15, a reload of the configuration, and P16, the index footers of segments, neither of which exists yet.
 */
import type { Door, Passing } from './doors.ts';

export type ProcessRole = 'engine' | 'supervisor';

/** Who dies: everything, or one of the two alone. */
export type Victim = 'group' | ProcessRole;

/** `torn`: half of the write is done. `during`: the thread pool has it. */
export type Moment = 'before' | 'torn' | 'during' | 'after';

/** What is known about a process when a passing begins: what went through its doors before. */
export interface Life {
  /** Its first own segment is made: recovery is over. */
  readonly hasOpened: boolean;
  /** Segments made so far. */
  readonly segments: number;
  /** A message came in, or the fate of one became known, since the last batch was begun. */
  readonly gathersContent: boolean;
  readonly gathersOutcome: boolean;
  /** A segment was unlinked, and its folder not yet synced. */
  readonly hasUnlinked: boolean;
  /** The next accounting file is made, and the cursor does not name it yet. */
  readonly isRotating: boolean;
  /** On this connection 354 was said, and the end of the content had not come before this. */
  readonly isInContent: boolean;
}

export interface Step {
  readonly role: ProcessRole;
  readonly moment: Moment;
  readonly door: Door;
  readonly isAt: (passing: Passing, life: Life) => boolean;
  /** At most so many passings can be awaited, where that is not 60. */
  readonly nthMax?: number;
}

const isSegment = ({ path }: Passing): boolean => path.endsWith('.segment');
const isCsv = ({ path }: Passing): boolean => path.endsWith('.csv');
const isCursor = ({ path }: Passing): boolean => path.endsWith('.cursor');
const isEngineFolder = ({ path }: Passing): boolean => /\/engine-\d+$/.test(path);

const isBatch = (passing: Passing): boolean => isSegment(passing) && passing.isSynced;
const holdsMail = (passing: Passing, life: Life): boolean => isBatch(passing) && life.gathersContent;
const holdsOutcome = (passing: Passing, life: Life): boolean => isBatch(passing) && life.gathersOutcome;
const recovers = (passing: Passing, life: Life): boolean => isSegment(passing) && !life.hasOpened;

const weSay = (text: string) => (passing: Passing) => passing.isServer && says(passing, text);
const clientSays = (text: string) => (passing: Passing) => !passing.isServer && says(passing, text);

/** What the sink answers to a content that it took. */
const taken = '250 2.0.0 taken';
const accepted = '250 2.0.0 message accepted';

export const steps: Readonly<Record<string, Step>> = {
  // After 354.
  'P1.said': { role: 'engine', moment: 'after', door: 'send', isAt: weSay('354 ') },
  // In the middle of the content.
  'P2.read': {
    role: 'engine',
    moment: 'after',
    door: 'receive',
    isAt: (passing, { isInContent }) => passing.isServer && isInContent && !endsContent(passing.chunks),
  },
  // The content is whole, in memory.
  'P3.read': {
    role: 'engine',
    moment: 'after',
    door: 'receive',
    isAt: (passing, { isInContent }) => passing.isServer && isInContent && endsContent(passing.chunks),
  },
  // Being appended; with O_DSYNC writing and syncing are one.
  'P4.unwritten': { role: 'engine', moment: 'before', door: 'write', isAt: holdsMail },
  'P4.torn': { role: 'engine', moment: 'torn', door: 'write', isAt: holdsMail },
  'P4.underWay': { role: 'engine', moment: 'during', door: 'write', isAt: holdsMail },
  // Synced, the 250 not written.
  'P5.synced': { role: 'engine', moment: 'after', door: 'write', isAt: holdsMail },
  'P5.unsaid': { role: 'engine', moment: 'before', door: 'send', isAt: weSay(accepted) },
  // The 250 is in the socket's buffer.
  'P6.said': { role: 'engine', moment: 'after', door: 'send', isAt: weSay(accepted) },
  // Queued, before its first try.
  'P7.queued': { role: 'engine', moment: 'before', door: 'send', isAt: clientSays('MAIL FROM:') },
  // The remote has answered to RCPT, and to DATA behind it.
  'P8.unread': { role: 'engine', moment: 'before', door: 'receive', isAt: clientSays('354 ') },
  'P8.read': { role: 'engine', moment: 'after', door: 'receive', isAt: clientSays('354 ') },
  // Our final dot is on its way, or has arrived (P9.arrived: the sink itself).
  'P9.sent': {
    role: 'engine',
    moment: 'after',
    door: 'send',
    isAt: (passing) => !passing.isServer && endsContent(passing.chunks),
  },
  // The reply is here, and nothing is made of it.
  'P10.unread': { role: 'engine', moment: 'before', door: 'receive', isAt: clientSays(taken) },
  'P10.read': { role: 'engine', moment: 'after', door: 'receive', isAt: clientSays(taken) },
  // The outcome is given to the spool, its batch not synced.
  'P11.unwritten': { role: 'engine', moment: 'before', door: 'write', isAt: holdsOutcome },
  'P11.torn': { role: 'engine', moment: 'torn', door: 'write', isAt: holdsOutcome },
  'P11.underWay': { role: 'engine', moment: 'during', door: 'write', isAt: holdsOutcome },
  // The outcome is synced, and accounting on its way to the cursor.
  'P12.untold': { role: 'engine', moment: 'after', door: 'write', isAt: holdsOutcome },
  'P12.unwritten': { role: 'supervisor', moment: 'before', door: 'write', isAt: isCsv, nthMax: 10 },
  'P12.torn': { role: 'supervisor', moment: 'torn', door: 'write', isAt: isCsv, nthMax: 10 },
  'P12.written': { role: 'supervisor', moment: 'after', door: 'write', isAt: isCsv, nthMax: 10 },
  'P12.unsynced': { role: 'supervisor', moment: 'before', door: 'sync', isAt: isCsv, nthMax: 4 },
  'P12.synced': { role: 'supervisor', moment: 'after', door: 'sync', isAt: isCsv, nthMax: 4 },
  'P12.unnamed': { role: 'supervisor', moment: 'before', door: 'rename', isAt: isCursor, nthMax: 4 },
  'P12.named': { role: 'supervisor', moment: 'after', door: 'rename', isAt: isCursor, nthMax: 4 },
  'P12.listed': {
    role: 'supervisor',
    moment: 'after',
    door: 'syncFolder',
    isAt: ({ path }) => path.endsWith('/cursors'),
    nthMax: 4,
  },
  // Rotation of the accounting file: the next one is made, named by the cursor, the old one moved.
  ...steps13(),
  // Segments: a new one is made, an old one goes.
  'P14.unmade': { role: 'engine', moment: 'before', door: 'open', isAt: rolls, nthMax: 1 },
  'P14.made': { role: 'engine', moment: 'after', door: 'open', isAt: rolls, nthMax: 1 },
  'P14.ripe': { role: 'engine', moment: 'before', door: 'unlink', isAt: isSegment, nthMax: 1 },
  'P14.gone': { role: 'engine', moment: 'after', door: 'unlink', isAt: isSegment, nthMax: 1 },
  'P14.listed': {
    role: 'engine',
    moment: 'after',
    door: 'syncFolder',
    isAt: (passing, { hasUnlinked }) => isEngineFolder(passing) && hasUnlinked,
    nthMax: 1,
  },
  // Recovery: what lies there is written again and synced, then a segment of this start is made durable.
  'P17.unwritten': { role: 'engine', moment: 'before', door: 'write', isAt: recovers, nthMax: 2 },
  'P17.torn': { role: 'engine', moment: 'torn', door: 'write', isAt: recovers, nthMax: 2 },
  'P17.written': { role: 'engine', moment: 'after', door: 'write', isAt: recovers, nthMax: 2 },
  'P17.synced': { role: 'engine', moment: 'after', door: 'sync', isAt: recovers, nthMax: 1 },
  'P17.listed': {
    role: 'engine',
    moment: 'after',
    door: 'syncFolder',
    isAt: (passing, { hasOpened }) => isEngineFolder(passing) && !hasOpened,
    nthMax: 1,
  },
  'P17.unmade': { role: 'engine', moment: 'before', door: 'open', isAt: makesFirst, nthMax: 1 },
  'P17.made': { role: 'engine', moment: 'after', door: 'open', isAt: makesFirst, nthMax: 1 },
  'P17.first': { role: 'engine', moment: 'torn', door: 'write', isAt: isFirstBatch, nthMax: 1 },
};

function steps13(): Readonly<Record<string, Step>> {
  const rotates = (passing: Passing, { isRotating }: Life): boolean => isRotating && isCsv(passing);
  const namesNext = (passing: Passing, { isRotating }: Life): boolean => isRotating && isCursor(passing);
  const begins = (passing: Passing): boolean => passing.creates && isCsv(passing);
  const step = { role: 'supervisor', nthMax: 2 } as const;
  return {
    'P13.unmade': { ...step, moment: 'before', door: 'open', isAt: begins },
    'P13.made': { ...step, moment: 'after', door: 'open', isAt: begins },
    'P13.headed': { ...step, moment: 'after', door: 'write', isAt: rotates },
    'P13.synced': { ...step, moment: 'after', door: 'sync', isAt: rotates },
    'P13.listed': {
      ...step,
      moment: 'after',
      door: 'syncFolder',
      isAt: ({ path }, { isRotating }) => isRotating && path.endsWith('/acct'),
    },
    'P13.unnamed': { ...step, moment: 'before', door: 'rename', isAt: namesNext },
    'P13.named': { ...step, moment: 'after', door: 'rename', isAt: namesNext },
    'P13.unmoved': { ...step, moment: 'before', door: 'rename', isAt: isCsv },
    'P13.moved': { ...step, moment: 'after', door: 'rename', isAt: isCsv },
  };
}

function rolls(passing: Passing, { segments }: Life): boolean {
  return passing.creates && isSegment(passing) && segments > 0;
}

function makesFirst(passing: Passing, { segments }: Life): boolean {
  return passing.creates && isSegment(passing) && segments === 0;
}

function isFirstBatch(passing: Passing, { segments }: Life): boolean {
  return isBatch(passing) && segments === 1 && passing.position === 0;
}

function says({ chunks }: Passing, text: string): boolean {
  return chunks.some((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).includes(text));
}

/** The closing dot line is in these bytes, wherever they are cut. */
export function endsContent(chunks: readonly Uint8Array[]): boolean {
  if (chunks.some((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).includes('\r\n.\r\n')))
    return true;
  return chunks.length > 1 && Buffer.concat(chunks).includes('\r\n.\r\n');
}

/** Follows one process through its doors. Passings may nest: to read is to answer. */
export class Watched {
  readonly #inContent = new WeakSet<object>();
  readonly #lives = new WeakMap<Passing, Life>();
  #life: Omit<Life, 'hasOpened' | 'isInContent'> = {
    segments: 0,
    gathersContent: false,
    gathersOutcome: false,
    hasUnlinked: false,
    isRotating: false,
  };

  /** How things stood when this passing began. */
  at(passing: Passing): Life {
    return this.#lives.get(passing)!;
  }

  begun(passing: Passing): void {
    const { socket } = passing;
    const isInContent = socket !== undefined && this.#inContent.has(socket);
    this.#lives.set(passing, { ...this.#life, hasOpened: this.#life.segments > 0, isInContent });
    // What comes from here on rides in the next batch.
    if (passing.door === 'write' && isBatch(passing)) {
      this.#life = { ...this.#life, gathersContent: false, gathersOutcome: false };
    }
  }

  done(passing: Passing): void {
    const { door, socket, isServer, chunks, creates } = passing;
    const now = { ...this.#life };
    if (door === 'open' && creates && isSegment(passing)) now.segments += 1;
    if (door === 'open' && creates && isCsv(passing)) now.isRotating = true;
    if (door === 'rename' && isCursor(passing)) now.isRotating = false;
    if (door === 'unlink' && isSegment(passing)) now.hasUnlinked = true;
    if (door === 'syncFolder') now.hasUnlinked = false;
    if (door === 'send' && isServer && says(passing, '354 ')) this.#inContent.add(socket!);
    if (door === 'receive' && !isServer) now.gathersOutcome ||= says(passing, taken);
    if (door === 'receive' && isServer && this.at(passing).isInContent && endsContent(chunks)) {
      this.#inContent.delete(socket!);
      now.gathersContent = true;
    }
    this.#life = now;
  }
}
