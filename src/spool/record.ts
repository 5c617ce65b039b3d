import type { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';
import type { DeliveryEvent, DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { DsnReturn, Envelope, EnvelopeRecipient, WireForm } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import { hasMode, type QueueState } from '../message/queueState.ts';
import {
  type HoldReason,
  holdNumber,
  holdOf,
  type OwedAfterRestart,
  type OwedRecipient,
  type OwedSink,
  type SettledRecipient,
} from './owed.ts';
import { purgeFrom, purgeTo, tellPurge } from './purgeRecord.ts';
import { queueEventFrom, queueEventTo } from './queueEventCodec.ts';
import { queueModeFrom, queueModeTo, queueStateFrom, queueStateTo } from './queueStateCodec.ts';
import {
  closeRecord,
  isWhole,
  openRecord,
  payloadOf,
  recordHeaderBytes,
  recordPlaces,
} from './recordFrame.ts';

/** Numbers on disk: never renumber. */
export const recordType = {
  envelope: 1,
  event: 2,
  queueState: 3,
  snapshot: 4,
  purge: 5,
  hold: 6,
  queueMode: 7,
  queueEvent: 8,
} as const;

/** Where a message's content lies. */
export interface BodyPlace {
  /** The offset in the segment's file, known when its batch is sealed; 0 when it lies in a file of its own. */
  readonly at: number;
  readonly inFile: boolean;
  readonly prefixBytes: number;
  readonly sizeBytes: number;
  /** CRC-32 over the whole body, seeded with the segment's salt, or for a file with its message's id. */
  readonly crc: number;
  /** It was copied from where its checksum was wrong; the one it has here vouches for the copy only. */
  readonly isDamaged: boolean;
}

export interface EnvelopeRecord {
  readonly envelope: Envelope;
  readonly body: BodyPlace;
}

/** One recipient of a snapshot: still owed when it was taken. */
export interface SnapshotRecipient {
  readonly index: number;
  readonly attempts: number;
  /** Wall time; 0 when it was never deferred. */
  readonly nextTryMs: number;
  readonly heldFor: HoldReason | undefined;
}

/** A message as it stood when it was copied forward. Records before it do not apply to it. */
export interface SnapshotRecord extends EnvelopeRecord {
  readonly owed: readonly SnapshotRecipient[];
}

/** An outcome or deferral. */
export interface EventNote {
  readonly kind: 'event';
  readonly event: DeliveryEvent;
  /** The segment that counts the message when the event is put. On disk it tells nothing to anybody. */
  messageSegment: number;
}

export interface QueueStateNote {
  readonly kind: 'queueState';
  readonly state: QueueState;
}

/** A message is kept back from delivery from now on, or (`reason` undefined) no more. */
export interface HoldNote {
  readonly kind: 'hold';
  readonly id: MessageId;
  readonly reason: HoldReason | undefined;
}

/** Recipients that an operator deleted. */
export interface PurgeNote {
  readonly kind: 'purge';
  /** Epoch, sequence and place in the envelope, three numbers each: there may be a million. */
  readonly named: Float64Array;
}

/** What only accounting wants to know. */
export interface QueueEventNote {
  readonly kind: 'queueEvent';
  readonly event: QueueEvent;
}

/** Records without a content: after a failure they are written again, in their order. */
export type Note = EventNote | QueueStateNote | HoldNote | PurgeNote | QueueEventNote;

interface MessagePlace {
  /** Offset in the segment, bytes. */
  readonly at: number;
  /** The record's own, header included. */
  readonly bytes: number;
}

export type SpoolRecord =
  | ({ readonly kind: 'envelope' } & MessagePlace & EnvelopeRecord)
  | ({ readonly kind: 'snapshot' } & MessagePlace & SnapshotRecord)
  | Note;

const eventKinds: readonly DeliveryEventKind[] = ['delivered', 'failed', 'deferred'];
const wireForms: readonly WireForm[] = ['dotStuffed', 'raw'];
const flag = { smtpUtf8: 1, eightBit: 2, raw: 4, inFile: 8, damaged: 16, local: 32 } as const;
/** Of the flags, two bits. */
const dsnReturns: readonly DsnReturn[] = ['headers', 'full', 'none'];
const dsnReturnUnit = 64;

export function writeEnvelope(out: ByteWriter, record: EnvelopeRecord): void {
  const start = openRecord(out, recordType.envelope);
  envelopeTo(out, record);
  closeRecord(out, start);
}

export function writeSnapshot(out: ByteWriter, record: SnapshotRecord): void {
  const start = openRecord(out, recordType.snapshot);
  envelopeTo(out, record);
  out.u32(record.owed.length);
  for (const { index, attempts, nextTryMs, heldFor } of record.owed) {
    out.u32(index);
    out.u32(attempts);
    out.f64(nextTryMs);
    out.u8(holdNumber(heldFor));
  }
  closeRecord(out, start);
}

export function writeNote(out: ByteWriter, note: Note): void {
  const start = openRecord(out, typeOf(note));
  if (note.kind === 'event') eventTo(out, note);
  else if (note.kind === 'queueState') (hasMode(note.state) ? queueModeTo : queueStateTo)(out, note.state);
  else if (note.kind === 'hold') holdTo(out, note);
  else if (note.kind === 'queueEvent') queueEventTo(out, note.event);
  else purgeTo(out, note.named);
  closeRecord(out, start);
}

/** The longer form only where there is more to say: a former release reads the other. */
function typeOf(note: Note): number {
  if (note.kind !== 'queueState') return recordType[note.kind];
  return hasMode(note.state) ? recordType.queueMode : recordType.queueState;
}

/** Body place and CRC are filled in when the batch is sealed. `recordAt` counts from the buffer's start. */
export function setBodyPlace(out: ByteWriter, recordAt: number, at: number, crc: number): void {
  out.setF64(recordAt + recordHeaderBytes, at);
  out.setU32(recordAt + recordHeaderBytes + 20, crc);
}

/** What is made of a record: of its payload, given its type and place. undefined: it is passed over. */
export type RecordReading<T> = Readonly<
  Record<number, (payload: ByteReader, place: MessagePlace) => T | undefined>
>;

/** Everything a record says. A type that is not in the table is passed over: the format version decides. */
export const wholeRecords: RecordReading<SpoolRecord> = {
  [recordType.envelope]: (from, { at, bytes }) => {
    const { envelope, body } = envelopeFrom(from);
    return { kind: 'envelope', at, bytes, envelope, body };
  },
  [recordType.snapshot]: (from, place) => ({ kind: 'snapshot', ...place, ...snapshotFrom(from) }),
  [recordType.event]: (from) => {
    const { event, messageSegment } = eventFrom(from);
    return { kind: 'event', event, messageSegment };
  },
  [recordType.queueState]: (from) => ({ kind: 'queueState', state: queueStateFrom(from) }),
  [recordType.queueMode]: (from) => ({ kind: 'queueState', state: queueModeFrom(from) }),
  [recordType.hold]: (from) => ({ kind: 'hold', ...holdFrom(from) }),
  [recordType.purge]: (from) => ({ kind: 'purge', named: purgeFrom(from) }),
  [recordType.queueEvent]: (from) => ({ kind: 'queueEvent', event: queueEventFrom(from) }),
};

/** What accounting needs when nobody wants receipts. */
export const eventsOnly: RecordReading<SpoolRecord> = {
  [recordType.event]: wholeRecords[recordType.event]!,
  [recordType.queueEvent]: wholeRecords[recordType.queueEvent]!,
};

/** What a restart takes up of them, and no more: it reads them by the million. */
export function restartRecords(segment: number, into: OwedSink): RecordReading<never> {
  return {
    [recordType.envelope]: (from, place) => void into.put(owedFrom(from, place, segment, false)),
    [recordType.snapshot]: (from, place) => void into.put(owedFrom(from, place, segment, true)),
    [recordType.event]: (from) => void into.settle(settledFrom(from)),
    [recordType.queueState]: (from) => void into.queueState(queueStateFrom(from), segment),
    [recordType.queueMode]: (from) => void into.queueState(queueModeFrom(from), segment),
    [recordType.hold]: (from) => {
      const { id, reason } = holdFrom(from);
      into.hold(id, reason);
      return undefined;
    },
    [recordType.purge]: (from) => void tellPurge(purgeFrom(from), into),
  };
}

/** The same of one record that was read whole. */
export function tellRecord(record: SpoolRecord, segment: number, into: OwedSink): void {
  if (record.kind === 'event') {
    const { kind, id, recipientIndex, attempts, nextTryMs } = record.event;
    into.settle({ kind, id, recipientIndex, attempts, nextTryMs });
  } else if (record.kind === 'queueState') into.queueState(record.state, segment);
  else if (record.kind === 'hold') into.hold(record.id, record.reason);
  else if (record.kind === 'purge') tellPurge(record.named, into);
  else if (record.kind !== 'queueEvent') into.put(owedOf(record, segment));
}

function owedOf(
  record: Extract<SpoolRecord, { kind: 'envelope' | 'snapshot' }>,
  segment: number,
): OwedAfterRestart {
  const { envelope, body, at, bytes } = record;
  const { id, vmta, timeQueuedMs } = envelope;
  const all = envelope.recipients.map(({ domain }, index) => ({
    index,
    domain,
    attempts: 0,
    nextTryMs: 0,
    heldFor: undefined,
  }));
  return {
    id,
    location: { segment, recordAt: at, recordBytes: bytes },
    storedBytes: bytes + (body.inFile ? 0 : body.sizeBytes),
    hasBodyFile: body.inFile,
    vmta,
    timeQueuedMs,
    recipients: record.kind === 'envelope' ? all : record.owed.map((one) => ({ ...all[one.index]!, ...one })),
  };
}

/** What a batch's record part holds, undefined when any of it is damaged. `base` is its file offset. */
export function readRecords<T>(
  bytes: Uint8Array,
  base: number,
  digest: Digest,
  salt: number,
  reading: RecordReading<T>,
): readonly T[] | undefined {
  let end = 0;
  for (const place of recordPlaces(bytes)) {
    if (!isWhole(bytes, place, digest, salt)) return undefined;
    end = place.at + place.sizeBytes;
  }
  if (end !== bytes.length) return undefined;
  const records: T[] = [];
  try {
    for (const place of recordPlaces(bytes)) {
      const at = { at: base + place.at, bytes: place.sizeBytes };
      const record = reading[place.type]?.(payloadOf(bytes, place), at);
      if (record !== undefined) records.push(record);
    }
  } catch (error) {
    // A CRC errs once in 2^32 times: what it let through may still not fit together.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return records;
}

/** One envelope or snapshot read by itself, undefined when damaged. */
export function readEnvelope(bytes: Uint8Array, digest: Digest, salt: number): EnvelopeRecord | undefined {
  const record = readRecords(bytes, 0, digest, salt, wholeRecords)?.[0];
  return record?.kind === 'envelope' || record?.kind === 'snapshot' ? record : undefined;
}

function envelopeTo(out: ByteWriter, { envelope, body }: EnvelopeRecord): void {
  out.f64(body.at);
  out.f64(body.sizeBytes);
  out.u32(body.prefixBytes);
  out.u32(body.crc);
  out.u32(envelope.id.epoch);
  out.f64(envelope.id.sequence);
  out.f64(envelope.timeQueuedMs);
  out.u8(
    (envelope.smtpUtf8 ? flag.smtpUtf8 : 0) |
      (envelope.eightBit ? flag.eightBit : 0) |
      (wireForms.indexOf(envelope.wireForm) * flag.raw) |
      (body.inFile ? flag.inFile : 0) |
      (body.isDamaged ? flag.damaged : 0) |
      (envelope.reception.type === 'local' ? flag.local : 0) |
      (dsnReturns.indexOf(envelope.dsnReturn) * dsnReturnUnit),
  );
  out.text(envelope.reversePath);
  out.text(envelope.vmta);
  out.text(envelope.vmtaPool);
  out.text(envelope.jobId);
  out.text(envelope.envId);
  out.text(envelope.reception.heloName);
  out.text(envelope.reception.clientAddress);
  out.text(envelope.reception.listenerAddress);
  out.u16(envelope.reception.listenerPort);
  out.u32(envelope.recipients.length);
  for (const recipient of envelope.recipients) {
    out.text(recipient.forwardPath);
    out.text(recipient.domain);
    out.text(recipient.orcpt);
  }
}

function envelopeFrom(from: ByteReader): EnvelopeRecord {
  const at = from.f64();
  const sizeBytes = from.f64();
  const prefixBytes = from.u32();
  const crc = from.u32();
  const id = { epoch: from.u32(), sequence: from.f64() };
  const timeQueuedMs = from.f64();
  const flags = from.u8();
  const reversePath = from.text();
  const vmta = from.text();
  const vmtaPool = from.text();
  const jobId = from.text();
  const envId = from.text();
  const reception = {
    type: (flags & flag.local) === 0 ? ('smtp' as const) : ('local' as const),
    heloName: from.text(),
    clientAddress: from.text(),
    listenerAddress: from.text(),
    listenerPort: from.u16(),
  };
  const recipients: EnvelopeRecipient[] = [];
  for (let left = from.u32(); left > 0; left--) {
    recipients.push({ forwardPath: from.text(), domain: from.text(), orcpt: from.text() });
  }
  return {
    body: {
      at,
      inFile: (flags & flag.inFile) !== 0,
      sizeBytes,
      prefixBytes,
      crc,
      isDamaged: (flags & flag.damaged) !== 0,
    },
    envelope: {
      id,
      timeQueuedMs,
      reversePath,
      recipients,
      smtpUtf8: (flags & flag.smtpUtf8) !== 0,
      eightBit: (flags & flag.eightBit) !== 0,
      wireForm: wireForms[Number((flags & flag.raw) !== 0)]!,
      vmta,
      vmtaPool,
      jobId,
      envId,
      dsnReturn: dsnReturns[Math.floor(flags / dsnReturnUnit)] ?? 'headers',
      reception,
    },
  };
}

/** What `envelopeFrom` and `snapshotFrom` read, without what a restart does not need. */
function owedFrom(
  from: ByteReader,
  place: MessagePlace,
  segment: number,
  isSnapshot: boolean,
): OwedAfterRestart {
  from.f64();
  const sizeBytes = from.f64();
  from.u32();
  from.u32();
  const id = { epoch: from.u32(), sequence: from.f64() };
  const timeQueuedMs = from.f64();
  const hasBodyFile = (from.u8() & flag.inFile) !== 0;
  const storedBytes = place.bytes + (hasBodyFile ? 0 : sizeBytes);
  from.skipText();
  const vmta = from.text();
  for (let skipped = 0; skipped < 6; skipped++) from.skipText();
  from.u16();
  const all: OwedRecipient[] = [];
  for (let left = from.u32(); left > 0; left--) {
    from.skipText();
    all.push({ index: all.length, domain: from.text(), attempts: 0, nextTryMs: 0, heldFor: undefined });
    from.skipText();
  }
  const location = { segment, recordAt: place.at, recordBytes: place.bytes };
  const message = { id, location, storedBytes, hasBodyFile, vmta, timeQueuedMs };
  if (!isSnapshot) return { ...message, recipients: all };
  const recipients = snapshotRecipientsFrom(from).map((one) => ({ ...all[one.index]!, ...one }));
  return { ...message, recipients };
}

function snapshotFrom(from: ByteReader): SnapshotRecord {
  return { ...envelopeFrom(from), owed: snapshotRecipientsFrom(from) };
}

function snapshotRecipientsFrom(from: ByteReader): readonly SnapshotRecipient[] {
  const owed: SnapshotRecipient[] = [];
  for (let left = from.u32(); left > 0; left--) {
    const recipient = { index: from.u32(), attempts: from.u32(), nextTryMs: from.f64() };
    owed.push({ ...recipient, heldFor: holdOf(from.u8()) });
  }
  return owed;
}

function eventTo(out: ByteWriter, { event, messageSegment }: EventNote): void {
  out.u8(eventKinds.indexOf(event.kind));
  out.u32(messageSegment);
  out.u32(event.id.epoch);
  out.f64(event.id.sequence);
  out.u32(event.recipientIndex);
  out.u32(event.attempts);
  out.f64(event.nextTryMs);
  out.f64(event.timeLoggedMs);
  out.f64(event.timeQueuedMs);
  out.f64(event.dlvSizeBytes);
  out.text(event.orig);
  out.text(event.rcpt);
  out.text(event.orcpt);
  out.text(event.status);
  out.text(event.diagnostic);
  out.text(event.dsnMta);
  out.text(event.bounceCategory);
  out.text(event.srcMta);
  out.text(event.dlvSourceIp);
  out.text(event.dlvDestinationIp);
  out.text(event.dlvEsmtpAvailable);
  out.text(event.vmta);
  out.text(event.vmtaPool);
  out.text(event.jobId);
  out.text(event.envId);
  out.text(event.queue);
}

/** Field by field: spreading the front of it costs thirty times as much, and the recorder reads every one. */
function eventFrom(from: ByteReader): Omit<EventNote, 'kind'> {
  const kind = eventKinds[from.u8()]!;
  const messageSegment = from.u32();
  const event: DeliveryEvent = {
    kind,
    id: { epoch: from.u32(), sequence: from.f64() },
    recipientIndex: from.u32(),
    attempts: from.u32(),
    nextTryMs: from.f64(),
    timeLoggedMs: from.f64(),
    timeQueuedMs: from.f64(),
    dlvSizeBytes: from.f64(),
    orig: from.text(),
    rcpt: from.text(),
    orcpt: from.text(),
    status: from.text(),
    diagnostic: from.text(),
    dsnMta: from.text(),
    bounceCategory: from.text(),
    srcMta: from.text(),
    dlvSourceIp: from.text(),
    dlvDestinationIp: from.text(),
    dlvEsmtpAvailable: from.text(),
    vmta: from.text(),
    vmtaPool: from.text(),
    jobId: from.text(),
    envId: from.text(),
    queue: from.text() as QueueName,
  };
  return { messageSegment, event };
}

/** The front of an event: all that a restart needs of it. */
function settledFrom(from: ByteReader): SettledRecipient {
  const kind = eventKinds[from.u8()]!;
  from.u32();
  return {
    kind,
    id: { epoch: from.u32(), sequence: from.f64() },
    recipientIndex: from.u32(),
    attempts: from.u32(),
    nextTryMs: from.f64(),
  };
}

function holdTo(out: ByteWriter, { id, reason }: HoldNote): void {
  out.u32(id.epoch);
  out.f64(id.sequence);
  out.u8(holdNumber(reason));
}

function holdFrom(from: ByteReader): Omit<HoldNote, 'kind'> {
  return { id: { epoch: from.u32(), sequence: from.f64() }, reason: holdOf(from.u8()) };
}
