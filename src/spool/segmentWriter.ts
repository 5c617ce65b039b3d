import { assert } from '../base/assert.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { Clock, Digest, Disk, DiskError, DiskFile, Random, Timer } from '../base/ports.ts';
import { answerWritten, Batch, heldBytes, ownBytes, type PendingMessage } from './batch.ts';
import { FooterWriter } from './footer.ts';
import {
  blockBytes,
  encodeSegmentHeader,
  type Predecessor,
  type SegmentHeader,
  type SpoolSizes,
  segmentName,
} from './frame.ts';
import type { BodyPlace, EventNote, Note } from './record.ts';
import type { Snapshot } from './snapshot.ts';
import type { Durability, MessageOwner, NewMessage, OwnedMessage } from './spool.ts';

export interface WriterPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
}

export interface WriterStart {
  readonly folder: string;
  readonly epoch: number;
  /** The largest segment number in the folder; the writer's first is the next one. */
  readonly lastSegment: number;
  readonly predecessor: Predecessor | undefined;
  /** What outcomes wait for, and the least that messages wait for. */
  readonly durability: Durability;
  readonly sizes: SpoolSizes;
}

/** What the writer tells its spool. */
export interface WriterEvents {
  opened(header: SegmentHeader): void;
  /**
   * The batch is durable, and its segment's file reaches to `sizeBytes`; called in batch order, after every
   * owner of the batch had its answer.
   */
  published(batch: Batch, header: SegmentHeader, sizeBytes: number): void;
  failed(code: string, segment: number): void;
}

interface OpenSegment {
  readonly header: SegmentHeader;
  readonly file: DiskFile;
  endAt: number;
  /** The last batch of this segment that was published; 0 for none. */
  publishedThrough: number;
  /** The last batch known synced; behind `publishedThrough` only with durability os or none. */
  syncedThrough: number;
  /** The segment's directory entry is durable. */
  folderSynced: boolean;
  /** It is full, and the sync that durability os and none leave to this moment was tried. */
  isFinished: boolean;
  readonly footer: FooterWriter;
}

/** `bodyFile`: the content lies there already, and is not written again. */
export interface PlacedMessage extends OwnedMessage {
  readonly bodyFile?: BodyPlace | undefined;
}

/** A batch on its way to the disk. `stored`: durable, but one before it may not be. */
interface InFlight {
  readonly batch: Batch;
  state: 'pending' | 'stored' | 'failed';
}

const noteBatchMax = 256;
const noteDelayMs = 100;
const reopenDelayMs = { first: 100, last: 2000 };

/**
 * Group commit (architecture 5, Writing): one write and one sync a batch. The next batch gathers
 * meanwhile, and when it has grown it may overlap the one under way. A failed write or sync is final
 * for everything of its segment that was not published.
 */
export class SegmentWriter {
  readonly #ports: WriterPorts;
  readonly #start: WriterStart;
  readonly #events: WriterEvents;
  #segment: OpenSegment | undefined;
  #lastSegment: number;
  #nextBatch = 1;
  /** Where the next segment's header points. */
  #predecessor: Predecessor | undefined;
  /** The first batch of a new segment must be published even when it is empty: after recovery, after a failure. */
  #mustPublish = true;
  readonly #gathering: Batch[] = [];
  #opening = false;
  #pumpsSoon = false;
  /** Given to the disk and not published, oldest first. */
  #inFlight: InFlight[] = [];
  /** Something of the open segment failed: what is in flight is awaited, then a new one is begun. */
  #failed = false;
  /** Their 451s wait for the next segment. */
  readonly #refused: PendingMessage[] = [];
  #reopenDelayMs = reopenDelayMs.first;
  #noteTimer: Timer | undefined;
  #closing: (() => void) | undefined;
  #pendingBytes = 0;
  #unsyncedEvents = 0;
  readonly #buffers: ByteWriter[] = [];

  constructor(ports: WriterPorts, start: WriterStart, events: WriterEvents) {
    this.#ports = ports;
    this.#start = start;
    this.#events = events;
    this.#lastSegment = start.lastSegment;
    this.#predecessor = start.predecessor;
    this.#pump();
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get unsyncedEvents(): number {
    return this.#unsyncedEvents;
  }

  /** When the oldest unpublished note was put, monotonic; Infinity when all are durable. */
  get oldestNoteMs(): number {
    return this.#unpublished().reduce(
      (oldest, batch) => Math.min(oldest, batch.oldestNoteMs),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Put and not published, oldest first. */
  get unpublishedNotes(): readonly Note[] {
    return this.#unpublished().flatMap(({ notes }) => notes);
  }

  putMessage(message: NewMessage, owner: MessageOwner, bodyFile?: BodyPlace): void {
    this.putMessages([{ message, owner, bodyFile }]);
  }

  /** All in one batch. */
  putMessages(messages: readonly PlacedMessage[]): void {
    const bodyBytes = messages.reduce((sum, { message, bodyFile }) => sum + ownBytes(message, bodyFile), 0);
    const batch = this.#gatheringBatch(bodyBytes);
    for (const { message, owner, bodyFile } of messages) {
      const answered = message.durability === 'none';
      this.#pendingBytes += heldBytes(batch.addMessage(message, owner, answered, bodyFile));
      if (answered) owner.answer(true);
    }
    this.#pumpSoon();
  }

  putNote(note: Note): void {
    this.#gatheringBatch(0).addNote(note, this.#ports.clock.monotonicMs());
    if (note.kind === 'event') this.#unsyncedEvents += 1;
    this.#pumpSoon();
  }

  /** They share a batch, whatever fails on the way. */
  putReport(reported: readonly EventNote[], report: OwnedMessage): void {
    this.#addReport(reported, report, this.#ports.clock.monotonicMs());
    this.#unsyncedEvents += reported.length;
    this.#pumpSoon();
  }

  putSnapshot(snapshot: Snapshot): void {
    const bytes = 'inFile' in snapshot.body ? 0 : snapshot.body.sizeBytes;
    this.#gatheringBatch(bytes).addSnapshot(snapshot);
    this.#pumpSoon();
  }

  /** Publishes everything that was put, then closes the segment. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closing = resolve;
      this.#pump();
    });
  }

  #unpublished(): readonly Batch[] {
    return [...this.#inFlight.map(({ batch }) => batch), ...this.#gathering];
  }

  #addMessage(
    message: NewMessage,
    owner: MessageOwner,
    answered: boolean,
    bodyFile: BodyPlace | undefined,
  ): void {
    const batch = this.#gatheringBatch(ownBytes(message, bodyFile));
    const pending = batch.addMessage(message, owner, answered, bodyFile);
    this.#pendingBytes += heldBytes(pending);
  }

  #addReport(reported: readonly EventNote[], report: OwnedMessage, sinceMs: number): void {
    const batch = this.#gatheringBatch(report.message.content.sizeBytes);
    this.#pendingBytes += heldBytes(batch.addReport(reported, report, sinceMs));
  }

  /** Again, in their order; with each report what it reports. */
  #addAgain({ notes, reports, oldestNoteMs }: Batch): void {
    for (let at = 0; at < notes.length; ) {
      const report = reports.get(notes[at]!);
      if (report?.reported === undefined) {
        this.#gatheringBatch(0).addNote(notes[at]!, oldestNoteMs);
        at += 1;
        continue;
      }
      this.#addReport(report.reported, report, oldestNoteMs);
      at += report.reported.length;
    }
  }

  #gatheringBatch(bodyBytes: number): Batch {
    const last = this.#gathering.at(-1);
    if (last?.hasRoomFor(bodyBytes, this.#start.sizes.batchBytes)) return last;
    const batch = new Batch(this.#buffers.pop());
    this.#gathering.push(batch);
    return batch;
  }

  /** A batch is closed only behind the events at hand: what they bring rides along. */
  #pumpSoon(): void {
    if (this.#pumpsSoon) return;
    this.#pumpsSoon = true;
    this.#ports.clock.soon(() => {
      this.#pumpsSoon = false;
      this.#pump();
    });
  }

  /** Starts whatever may start now. Every completion ends here. */
  #pump(): void {
    if (this.#opening) return;
    const inFlight = this.#inFlight.length;
    if (this.#failed) {
      if (this.#inFlight.every(({ state }) => state !== 'pending')) this.#startOver();
      return;
    }
    const segment = this.#segment;
    if (segment === undefined || segment.endAt >= this.#start.sizes.segmentBytes) {
      // The header says which batches of the old segment count: it waits for all of its syncs.
      if (inFlight === 0 && (this.#mustPublish || this.#isDue())) this.#openNext();
      else if (inFlight === 0) this.#finishClosing();
      return;
    }
    if (inFlight > 0 && !this.#mayOverlap()) return;
    if (this.#mustPublish || this.#isDue()) this.#write(segment, this.#gathering.shift() ?? new Batch());
    else if (inFlight === 0) this.#finishClosing();
  }

  /**
   * A second batch follows while one is under way only when it is worth a write of its own. Where not
   * every batch is synced none does: a sync says nothing of what is still being written before it.
   */
  #mayOverlap(): boolean {
    const sizeBytes = this.#gathering[0]?.sizeBytes ?? 0;
    const { durability, sizes } = this.#start;
    return durability === 'sync' && this.#inFlight.length === 1 && sizeBytes >= sizes.overlapBytes;
  }

  #isDue(): boolean {
    const batch = this.#gathering[0];
    if (batch === undefined) return false;
    if (batch.isAwaited) return true;
    if (this.#gathering.length > 1 || this.#closing !== undefined) return true;
    const dueInMs = batch.oldestNoteMs + noteDelayMs - this.#ports.clock.monotonicMs();
    if (batch.notes.length >= noteBatchMax || dueInMs <= 0) return true;
    this.#noteTimer ??= this.#ports.clock.after(dueInMs, () => {
      this.#noteTimer = undefined;
      this.#pump();
    });
    return false;
  }

  #openNext(): void {
    const { disk, random } = this.#ports;
    const { folder, epoch } = this.#start;
    const old = this.#segment;
    this.#opening = true;
    if (old !== undefined && !old.isFinished && old.syncedThrough < old.publishedThrough) {
      // Without syncs of its own: the next header says how far the disk is known to have it.
      old.isFinished = true;
      this.#makeDurable(old, old.publishedThrough)
        .catch(({ code }: DiskError) => this.#events.failed(code, old.header.number))
        .then(() => this.#openNext());
      return;
    }
    this.#retire('whole');
    this.#lastSegment += 1;
    const header: SegmentHeader = {
      number: this.#lastSegment,
      epoch,
      salt: random.u32(),
      firstBatch: this.#nextBatch,
      predecessor: this.#predecessor,
    };
    disk.open(`${folder}/${segmentName(header.number)}`, 'create', 0o600).then(
      (file) => {
        this.#opening = false;
        this.#segment = {
          header,
          file,
          endAt: 0,
          publishedThrough: 0,
          syncedThrough: 0,
          folderSynced: false,
          isFinished: false,
          footer: new FooterWriter(),
        };
        this.#events.opened(header);
        this.#pump();
      },
      (error: DiskError) => {
        this.#opening = false;
        this.#fail(error, header.number);
      },
    );
  }

  /** The open segment takes no more batches. One of which something failed is suspect: it gets no footer. */
  #retire(state: 'whole' | 'suspect'): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#segment = undefined;
    const { header, file, footer, endAt, publishedThrough, syncedThrough } = segment;
    if (publishedThrough > 0) {
      this.#predecessor = { segment: header.number, lastBatch: publishedThrough, syncedThrough };
    }
    // It needs no sync: a footer that is not whole is passed over.
    const last =
      state === 'whole'
        ? file.write(footer.encode(publishedThrough, this.#ports.digest, header.salt), endAt)
        : Promise.resolve();
    const closed = last.finally(() => file.close()).catch(() => undefined);
    // Nothing of it counts, and on a full disk its room is what is missing.
    if (publishedThrough === 0) closed.then(() => this.#unlink(header.number)).catch(() => undefined);
  }

  #unlink(segment: number): Promise<void> {
    return this.#ports.disk.unlink(`${this.#start.folder}/${segmentName(segment)}`);
  }

  #write(segment: OpenSegment, batch: Batch): void {
    const { header, syncedThrough } = segment;
    const isFirst = segment.endAt === 0;
    const startAt = isFirst ? blockBytes : segment.endAt;
    const place = { epoch: header.epoch, salt: header.salt, number: this.#nextBatch, syncedThrough, startAt };
    const frame = batch.seal(place, this.#ports.digest);
    const chunks = isFirst ? [encodeSegmentHeader(header, this.#ports.digest), ...frame] : frame;
    this.#nextBatch += 1;
    this.#mustPublish = false;
    const from = segment.endAt;
    segment.endAt = startAt + batch.frameBytes;
    const entry: InFlight = { batch, state: 'pending' };
    this.#inFlight.push(entry);
    this.#store(segment, batch, chunks, from).then(
      () => {
        entry.state = 'stored';
        this.#publishFirst(segment);
        this.#pumpSoon();
      },
      (error: DiskError) => {
        entry.state = 'failed';
        this.#fail(error, header.number);
      },
    );
  }

  /** One write and one sync, in one operation where every batch is synced anyway. */
  async #store(
    segment: OpenSegment,
    batch: Batch,
    chunks: readonly Uint8Array[],
    from: number,
  ): Promise<void> {
    if (this.#start.durability !== 'sync') {
      await segment.file.write(chunks, from);
      answerWritten(batch);
      // The first batch always: its segment's header holds the epoch, which must not come again.
      if (batch.needsSync || !segment.folderSynced) await this.#makeDurable(segment, batch.number);
      return;
    }
    await segment.file.writeSynced(chunks, from);
    await this.#syncFolder(segment);
  }

  /**
   * In order: a batch counts only when every one before it does. None does once something of its segment
   * failed, for an error may be told to another write than the one that lost its bytes.
   */
  #publishFirst(segment: OpenSegment): void {
    while (!this.#failed && this.#inFlight[0]?.state === 'stored') {
      const { batch } = this.#inFlight.shift()!;
      if (this.#start.durability === 'sync') segment.syncedThrough = batch.number;
      this.#publish(batch, segment);
    }
  }

  async #makeDurable(segment: OpenSegment, through: number): Promise<void> {
    await segment.file.sync();
    await this.#syncFolder(segment);
    segment.syncedThrough = through;
  }

  async #syncFolder(segment: OpenSegment): Promise<void> {
    if (!segment.folderSynced) await this.#ports.disk.syncFolder(this.#start.folder);
    segment.folderSynced = true;
  }

  #publish(batch: Batch, segment: OpenSegment): void {
    const { header, footer } = segment;
    segment.publishedThrough = batch.number;
    footer.add(batch, header.number);
    this.#reopenDelayMs = reopenDelayMs.first;
    for (const pending of batch.messages) {
      this.#pendingBytes -= heldBytes(pending);
      if (!pending.answered) pending.owner.answer(true);
      pending.owner.owed(batch.locationOf(pending, header.number));
    }
    for (const { kind } of batch.notes) if (kind === 'event') this.#unsyncedEvents -= 1;
    // What was refused cannot come back from here on: the header of this segment excludes it.
    for (const pending of this.#refused.splice(0)) {
      this.#pendingBytes -= heldBytes(pending);
      pending.owner.answer(false);
    }
    this.#events.published(batch, header, segment.endAt);
    if (this.#buffers.length < 4) this.#buffers.push(batch.release());
  }

  #fail(error: DiskError, segment: number): void {
    this.#failed = true;
    this.#events.failed(error.code, segment);
    this.#pump();
  }

  /** Nothing of the failed segment is under way any more: take its outcomes along into a new one. */
  #startOver(): void {
    // Everything behind the first failure fails with it, stored or not ("A failed sync is final").
    const failed = this.#inFlight;
    this.#inFlight = [];
    this.#retire('suspect');
    const waiting = this.#gathering.splice(0);
    for (const { batch } of failed) {
      this.#addAgain(batch);
      for (const { snapshot } of batch.snapshots) snapshot.moved(undefined);
      for (const pending of batch.messages) {
        const { message, owner, answered, bodyFile, reported } = pending;
        if (reported !== undefined) {
          this.#pendingBytes -= heldBytes(pending);
          continue;
        }
        if (!answered) {
          this.#refused.push(pending);
          continue;
        }
        this.#pendingBytes -= heldBytes(pending);
        this.#addMessage(message, owner, true, bodyFile);
      }
    }
    this.#gathering.push(...waiting);
    this.#mustPublish = true;
    this.#opening = true;
    this.#ports.clock.after(this.#reopenDelayMs, () => {
      this.#opening = false;
      this.#failed = false;
      this.#pump();
    });
    this.#reopenDelayMs = Math.min(this.#reopenDelayMs * 2, reopenDelayMs.last);
  }

  #finishClosing(): void {
    if (this.#closing === undefined || this.#gathering.length > 0) return;
    assert(this.#unsyncedEvents === 0, 'a closed spool has published every event');
    const closed = this.#closing;
    this.#closing = undefined;
    this.#noteTimer?.cancel();
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) {
      closed();
      return;
    }
    const synced =
      segment.syncedThrough < segment.publishedThrough
        ? this.#makeDurable(segment, segment.publishedThrough)
        : Promise.resolve();
    synced.finally(() => segment.file.close()).then(closed, closed);
  }
}
