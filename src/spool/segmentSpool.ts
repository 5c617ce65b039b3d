import type { Disk, DiskError } from '../base/ports.ts';
import type { BatchPosition } from '../message/batchPosition.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Content, Envelope, SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import type { QueueState } from '../message/queueState.ts';
import type { Batch } from './batch.ts';
import { BodyFiles, contentOf } from './bodyFiles.ts';
import { copyForward, type OwedMail, type OwedMessage, type ReadMessage } from './copyForward.ts';
import { type SegmentHeader, type SpoolSizes, segmentName, spoolSizes } from './frame.ts';
import type { HoldReason } from './owed.ts';
import { QueueStates } from './queueStates.ts';
import { Reclaim } from './reclaim.ts';
import { type BodyPlace, type EnvelopeRecord, type EventNote, type Note, readEnvelope } from './record.ts';
import { keepDamaged, type Recovered } from './recovery.ts';
import { type SegmentReader, SegmentReaders } from './segmentReaders.ts';
import { type PlacedMessage, SegmentWriter, type WriterPorts } from './segmentWriter.ts';
import { SpaceWatch } from './spaceWatch.ts';
import type {
  Durability,
  MessageOwner,
  NewMessage,
  OwnedMessage,
  Spool,
  SpoolEvents,
  SpoolReadFailure,
  StoredMessage,
} from './spool.ts';

const outcomesStalledMs = 5000;
/** A sync is forced at a quarter of this; so many wait only for a disk that does not keep up. */
const unsyncedOutcomesMax = 1024;
/** Named in one record: it stays well below the size of a batch. */
const purgedMax = 50_000;

export interface SpoolOptions {
  readonly durability: Durability;
  /** min-free-space: below it no new mail is taken. */
  readonly minFreeBytes: number;
  readonly sizes?: SpoolSizes | undefined;
}

/** The spool on local disk: segments in one folder, written by this process alone. */
export class SegmentSpool implements Spool {
  readonly #ports: WriterPorts;
  readonly #folder: string;
  readonly #events: SpoolEvents;
  readonly #writer: SegmentWriter;
  readonly #reclaim: Reclaim;
  readonly #readers: SegmentReaders;
  readonly #bodyFiles: BodyFiles;
  readonly #bodyFileBytes: number;
  readonly #queueStates: QueueStates;
  readonly #space: SpaceWatch;
  /** For the notes put last when they came. */
  readonly #waiting = new Map<Note, readonly (() => void)[]>();
  #mail: OwedMail | undefined;
  readonly #epoch: number;
  #sequence = 0;
  /** The run under way. */
  #reclaiming: Promise<void> | undefined;
  #isClosing = false;
  #reclaimFailure = '';
  #firstPublished: () => void = () => undefined;
  /**
   * Resolves when this start's first segment is durable. Nothing may be put before: only then is the
   * epoch, and with it every id, this start's alone.
   */
  readonly started: Promise<void> = new Promise((resolve) => {
    this.#firstPublished = resolve;
  });

  /** Continues behind a recovery, with a segment and an epoch of its own. */
  constructor(
    ports: WriterPorts,
    folder: string,
    recovered: Recovered,
    { durability, minFreeBytes, sizes = spoolSizes }: SpoolOptions,
    events: SpoolEvents,
  ) {
    this.#ports = ports;
    this.#folder = folder;
    this.#events = events;
    this.#epoch = recovered.epoch;
    this.#readers = new SegmentReaders(ports, folder);
    this.#bodyFiles = new BodyFiles(ports.disk, ports.digest, folder);
    this.#bodyFileBytes = sizes.bodyFileBytes;
    this.#space = new SpaceWatch(ports.disk, folder, minFreeBytes);
    this.#reclaim = new Reclaim(sizes.segmentBytes);
    this.#queueStates = new QueueStates(this.#reclaim);
    for (const { number, epoch, lastBatch, sizeBytes } of recovered.segments) {
      this.#reclaim.found(number, { epoch, batch: lastBatch }, sizeBytes);
    }
    for (const { id, location, storedBytes, hasBodyFile, recipients } of recovered.owed) {
      this.#reclaim.owe(location.segment, recipients.length, storedBytes);
      if (hasBodyFile) this.#bodyFiles.owe(id, recipients.length);
    }
    for (const { state, segment } of recovered.owed.queueStates.values()) {
      this.#queueStates.found(state, segment);
    }
    // Where records cannot be read nobody knows which contents they named.
    const isWhole = recovered.damages.length === 0 && !recovered.isCutShort;
    if (isWhole) void this.started.then(() => this.#bodyFiles.dropOrphans(recovered.epoch));
    const { epoch, lastSegment, predecessor } = recovered;
    this.#writer = new SegmentWriter(
      ports,
      { folder, epoch, lastSegment, predecessor, durability, sizes },
      {
        opened: (header) => this.#reclaim.opened(header.number),
        published: (batch, header, sizeBytes) => this.#published(batch, header, sizeBytes),
        failed: (code, segment) => this.#events.failed(code, segment),
      },
    );
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes + this.#bodyFiles.bytesUnderWay;
  }

  get unsyncedEvents(): number {
    return this.#writer.unsyncedEvents;
  }

  unsyncedForMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#writer.oldestNoteMs);
  }

  get segments(): number {
    return this.#reclaim.segments;
  }

  nextId(): MessageId {
    this.#sequence += 1;
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** Bytes of all segment files. */
  get sizeBytes(): number {
    return this.#reclaim.sizeBytes;
  }

  putMessage(message: NewMessage, owner: MessageOwner): void {
    this.putMessages([{ message, owner }]);
  }

  putMessages(messages: readonly OwnedMessage[]): void {
    if (messages.some(({ message }) => this.#hasBodyFile(message))) void this.#putWithBodyFiles(messages);
    else this.#writer.putMessages(messages);
  }

  #hasBodyFile({ content }: NewMessage): boolean {
    return content.sizeBytes >= this.#bodyFileBytes;
  }

  /** Files first, then the batch that names them. */
  async #putWithBodyFiles(messages: readonly OwnedMessage[]): Promise<void> {
    const placed: PlacedMessage[] = [];
    try {
      for (const { message, owner } of messages) {
        const { envelope, content } = message;
        const bodyFile = this.#hasBodyFile(message)
          ? await this.#bodyFiles.store(envelope.id, content)
          : undefined;
        const answer = (stored: boolean): void => {
          if (!stored) void this.#bodyFiles.drop(envelope.id);
          owner.answer(stored);
        };
        placed.push({ message, bodyFile, owner: { answer, owed: (location) => owner.owed(location) } });
      }
      this.#writer.putMessages(placed);
    } catch (error) {
      const { code } = error as Partial<DiskError>;
      if (code === undefined) throw error;
      this.#events.failed(code, 0);
      for (const { message, owner } of messages) {
        void this.#bodyFiles.drop(message.envelope.id);
        owner.answer(false);
      }
    }
  }

  putEvent(event: DeliveryEvent, messageSegment: number): void {
    if (event.kind !== 'deferred') this.#reclaim.give(messageSegment);
    this.#writer.putNote({ kind: 'event', event, messageSegment });
  }

  putReported(events: readonly DeliveryEvent[], messageSegment: number, report: OwnedMessage): void {
    const reported = events.map((event) => ({ kind: 'event' as const, event, messageSegment }));
    for (let left = events.length; left > 0; left--) this.#reclaim.give(messageSegment);
    this.#writer.putReport(reported, report);
  }

  putQueueEvent(event: QueueEvent): void {
    this.#writer.putNote({ kind: 'queueEvent', event });
  }

  putQueueState(state: QueueState): void {
    this.#queueStates.put(state);
    this.#writer.putNote({ kind: 'queueState', state });
  }

  hold(id: MessageId, reason: HoldReason | undefined): void {
    this.#writer.putNote({ kind: 'hold', id, reason });
  }

  purge(named: Float64Array): void {
    for (let from = 0; from < named.length; from += purgedMax * 3) {
      this.#writer.putNote({ kind: 'purge', named: named.slice(from, from + purgedMax * 3) });
    }
  }

  settled(): Promise<void> {
    const last = this.#writer.unpublishedNotes.at(-1);
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(last, [...(this.#waiting.get(last) ?? []), resolve]);
    });
  }

  ownedBy(mail: OwedMail): void {
    this.#mail = mail;
  }

  tick(): void {
    void this.#space.look();
    this.#reclaimSoon();
  }

  #reclaimSoon(): void {
    if (this.#isClosing || this.#reclaiming !== undefined) return;
    this.#reclaiming = this.#reclaimOldest().finally(() => {
      this.#reclaiming = undefined;
    });
  }

  get isFull(): boolean {
    return this.#space.isFull(this.pendingBytes);
  }

  outcomesStalled(nowMs: number): boolean {
    return (
      this.unsyncedEvents >= unsyncedOutcomesMax || nowMs - this.#writer.oldestNoteMs > outcomesStalledMs
    );
  }

  async read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure> {
    try {
      const record = await this.#readRecord(location);
      const content = await this.#readContent(location.segment, record);
      if (content === undefined) return { kind: 'unreadable', code: 'damaged' };
      return { kind: 'stored', envelope: record.envelope, content };
    } catch (error) {
      const { code } = error as Partial<DiskError>;
      if (code === undefined) throw error;
      return { kind: 'unreadable', code };
    }
  }

  #readRecord({ segment, recordAt, recordBytes }: SpoolLocation): Promise<EnvelopeRecord> {
    return this.#readers.use(segment, async ({ file, salt }) => {
      const record = readEnvelope(await file.read(recordAt, recordBytes), this.#ports.digest, salt);
      if (record === undefined) throw Object.assign(new Error('record damaged'), { code: 'damaged' });
      return record;
    });
  }

  /** undefined: damaged. */
  async #readContent(segment: number, { envelope, body }: EnvelopeRecord): Promise<Content | undefined> {
    if (body.isDamaged) return undefined;
    const bytes = body.inFile
      ? await this.#bodyFiles.read(envelope.id, body)
      : await this.#readers.use(segment, (reader) => this.#readBody(reader, body));
    return bytes && contentOf(bytes, body);
  }

  async #readBody({ file, salt }: SegmentReader, body: BodyPlace): Promise<Uint8Array | undefined> {
    const bytes = await file.read(body.at, body.sizeBytes);
    const isWhole = bytes.length === body.sizeBytes && this.#ports.digest.crc32(bytes, salt) === body.crc;
    return isWhole ? bytes : undefined;
  }

  recorded(position: BatchPosition): void {
    this.#reclaim.recorded(position);
    this.#reclaimSoon();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#bodyFiles.settled();
    await this.#writer.close();
    await this.#reclaiming;
    await this.#readers.closeAll();
  }

  #published(batch: Batch, header: SegmentHeader, sizeBytes: number): void {
    const { number: segment, epoch } = header;
    for (const { message, recordBytes, bodyFile } of batch.messages) {
      const { envelope, content } = message;
      const recipients = envelope.recipients.length;
      const bodyBytes = bodyFile === undefined ? content.sizeBytes : 0;
      this.#reclaim.owe(segment, recipients, recordBytes + bodyBytes);
      if (bodyFile !== undefined) this.#bodyFiles.owe(envelope.id, recipients);
    }
    if (batch.snapshots.length > 0) this.#moved(batch, segment);
    for (const note of batch.notes) this.#notePublished(note, segment);
    this.#reclaim.published(segment, { epoch, batch: batch.number }, sizeBytes);
    this.#space.wrote(batch.frameBytes);
    this.#firstPublished();
    this.#events.published({ segment, epoch, batch: batch.number });
  }

  #notePublished(note: Note, segment: number): void {
    // Notes are published in their order, also those that are written again.
    for (const resolve of this.#waiting.get(note) ?? []) resolve();
    this.#waiting.delete(note);
    if (note.kind === 'queueState') this.#queueStates.published(note.state, segment);
    if (note.kind !== 'event' || note.event.kind === 'deferred') return;
    this.#reclaim.settle(note.messageSegment);
    this.#bodyFiles.settle(note.event.id);
  }

  /** Copies are durable: their recipients count here from now on, outcomes under way included. */
  #moved(batch: Batch, segment: number): void {
    const underWay = new Map<string, EventNote[]>();
    for (const note of [...batch.notes, ...this.#writer.unpublishedNotes]) {
      if (note.kind !== 'event' || note.event.kind === 'deferred') continue;
      const key = formatMessageId(note.event.id);
      const notes = underWay.get(key);
      if (notes === undefined) underWay.set(key, [note]);
      else notes.push(note);
    }
    for (const pending of batch.snapshots) {
      const { snapshot, recordBytes } = pending;
      const { envelope, body, owed, from } = snapshot;
      this.#reclaim.owe(segment, owed.length, recordBytes + ('inFile' in body ? 0 : body.sizeBytes));
      const given = (underWay.get(formatMessageId(envelope.id)) ?? []).filter(({ event }) =>
        owed.some(({ index }) => index === event.recipientIndex),
      );
      for (const note of given) {
        note.messageSegment = segment;
        this.#reclaim.give(segment);
      }
      this.#reclaim.moveAway(from, owed.length, given.length);
      snapshot.moved(batch.locationOf(pending, segment));
    }
  }

  /** Strictly oldest first, the folder synced after each unlink before the next (architecture 5). */
  async #reclaimOldest(): Promise<void> {
    try {
      await this.#unlinkPassed();
      if (this.#isClosing) return;
      const keptByQueueStates = this.#reclaim.keptByQueueStates();
      if (keptByQueueStates !== undefined) {
        for (const state of this.#queueStates.keptBy(keptByQueueStates)) this.putQueueState(state);
      }
      const keptByFew = this.#reclaim.keptByFew();
      if (keptByFew !== undefined && this.#mail !== undefined) {
        await copyForward(keptByFew, this.#mail, {
          read: (message) => this.#readForCopy(message),
          put: (snapshot) => this.#writer.putSnapshot(snapshot),
          isClosing: () => this.#isClosing,
          ungiven: (segment) => this.#reclaim.ungiven(segment),
        });
      }
    } catch (error) {
      // It is tried again soon; an unlink that stands is harmless.
      const { code } = error as Partial<DiskError>;
      if (code === undefined) throw error;
      this.#reclaimFailed(code);
    }
  }

  /** What fails again and again is told once. */
  #reclaimFailed(code: string): void {
    const segment = this.#reclaim.oldest ?? 0;
    const failure = `${code} ${segment}`;
    if (failure !== this.#reclaimFailure) this.#events.failed(code, segment);
    this.#reclaimFailure = failure;
  }

  async #unlinkPassed(): Promise<void> {
    for (
      let segment = this.#reclaim.next();
      segment !== undefined && !this.#isClosing;
      segment = this.#reclaim.next()
    ) {
      await this.#readers.close(segment);
      await unlinkIfThere(this.#ports.disk, `${this.#folder}/${segmentName(segment)}`);
      await this.#ports.disk.syncFolder(this.#folder);
      this.#reclaim.gone(segment);
    }
  }

  async #readForCopy(message: OwedMessage): Promise<ReadMessage | undefined> {
    const { location, isDamaged } = message;
    const record = await this.#readRecord(location).catch(undefinedIfDamaged);
    if (record === undefined) return isDamaged ? this.#readLost(message) : undefined;
    const { envelope, body } = record;
    if (body.inFile) return { envelope, body, isDamaged: false };
    const content = await this.#readContent(location.segment, record);
    if (content !== undefined) return { envelope, body: content, isDamaged: false };
    if (!isDamaged) return undefined;
    return { envelope, body: await this.#readDamaged(location.segment, body), isDamaged };
  }

  /**
   * Its record is lost, and with it everything but who is owed. It would keep its segment, so all younger ones,
   * for ever: a message that can never be sent takes its place, and the segment's bytes are kept.
   */
  async #readLost(message: OwedMessage): Promise<ReadMessage> {
    const { segment } = message.location;
    await this.#readers.use(segment, async ({ file }) => {
      const damage = { segment, at: 0, sizeBytes: await file.sizeBytes() };
      await keepDamaged(this.#ports.disk, this.#folder, file, damage);
    });
    const [owed] = this.#mail!.recipientsOf([message]);
    const recipients = owed!.reduce((most, { index }) => Math.max(most, index + 1), 0);
    const content = { prefix: nothing, chunks: [], sizeBytes: 0 };
    return { envelope: lostEnvelope(message.id, recipients), body: content, isDamaged: true };
  }

  #readDamaged(segment: number, body: BodyPlace): Promise<Content> {
    return this.#readers.use(segment, async ({ file }) => {
      const bytes = new Uint8Array(body.sizeBytes);
      bytes.set(await file.read(body.at, body.sizeBytes));
      return contentOf(bytes, body);
    });
  }
}

const nothing = new Uint8Array(0);

/** What is said of a message whose record is lost. */
function lostEnvelope(id: MessageId, recipients: number): Envelope {
  const domain = 'unreadable.invalid';
  const recipient = { forwardPath: `unreadable@${domain}`, domain, orcpt: '' };
  return {
    id,
    timeQueuedMs: 0,
    reversePath: '',
    recipients: Array.from({ length: recipients }, () => recipient),
    smtpUtf8: false,
    eightBit: false,
    wireForm: 'raw',
    vmta: '',
    vmtaPool: '',
    jobId: '',
    envId: '',
    dsnReturn: 'none',
    reception: { type: 'smtp', heloName: '', clientAddress: '', listenerAddress: '', listenerPort: 0 },
  };
}

function undefinedIfDamaged(error: Partial<DiskError>): undefined {
  if (error.code !== 'damaged') throw error;
  return undefined;
}

async function unlinkIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if ((error as DiskError).code !== 'ENOENT') throw error;
  }
}
