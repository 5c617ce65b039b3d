import { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { Digest } from '../base/ports.ts';
import type { DeliveryEvent, DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { Envelope, EnvelopeRecipient, WireForm } from '../message/envelope.ts';
import type { QueueName } from '../message/names.ts';

/** Type, three reserved bytes, payload length, CRC. */
export const recordHeaderBytes = 12;

/** Numbers on disk: never renumber. 3 (queue state), 4 (snapshot) and 5 (purge) are reserved. */
export const recordType = { envelope: 1, event: 2 } as const;

/** Where a message's content lies: an offset in the segment's file, known when its batch is sealed. */
export interface BodyPlace {
  readonly at: number;
  readonly prefixBytes: number;
  readonly sizeBytes: number;
  /** CRC-32 over the whole body, seeded with the segment's salt. */
  readonly crc: number;
}

export interface EnvelopeRecord {
  readonly envelope: Envelope;
  readonly body: BodyPlace;
}

export interface EventRecord {
  readonly event: DeliveryEvent;
  /** The segment that holds the message's envelope: its live count falls with a terminal event. */
  readonly messageSegment: number;
}

export type SpoolRecord =
  | ({ readonly kind: 'envelope'; readonly at: number; readonly bytes: number } & EnvelopeRecord)
  | ({ readonly kind: 'event' } & EventRecord);

const eventKinds: readonly DeliveryEventKind[] = ['delivered', 'failed', 'deferred'];
const wireForms: readonly WireForm[] = ['dotStuffed', 'raw'];

/** Appends the record with an empty CRC: `sealRecords` fills it once the segment, so the salt, is known. */
export function writeEnvelope(out: ByteWriter, { envelope, body }: EnvelopeRecord): void {
  const start = openRecord(out, recordType.envelope);
  out.f64(body.at);
  out.f64(body.sizeBytes);
  out.u32(body.prefixBytes);
  out.u32(body.crc);
  out.u32(envelope.id.epoch);
  out.f64(envelope.id.sequence);
  out.f64(envelope.timeQueuedMs);
  out.u8(
    Number(envelope.smtpUtf8) |
      (Number(envelope.eightBit) << 1) |
      (wireForms.indexOf(envelope.wireForm) << 2),
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
  closeRecord(out, start);
}

/** Body place and CRC are filled in when the batch is sealed. `recordAt` counts from the buffer's start. */
export function setBodyPlace(out: ByteWriter, recordAt: number, at: number, crc: number): void {
  out.setF64(recordAt + recordHeaderBytes, at);
  out.setU32(recordAt + recordHeaderBytes + 20, crc);
}

export function writeEvent(out: ByteWriter, { event, messageSegment }: EventRecord): void {
  const start = openRecord(out, recordType.event);
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
  closeRecord(out, start);
}

/** Fills the CRC of every record of a batch: over type, length and payload, seeded with the salt. */
export function sealRecords(out: ByteWriter, digest: Digest, salt: number): void {
  const bytes = out.bytes;
  for (const { at, payloadBytes } of recordPlaces(bytes)) {
    out.setU32(at + 8, recordCrc(bytes, at, payloadBytes, digest, salt));
  }
}

/**
 * What a batch's record part holds (or `only` that kind), undefined when any of it is damaged. `base` is its
 * file offset.
 */
export function readRecords(
  bytes: Uint8Array,
  base: number,
  digest: Digest,
  salt: number,
  only?: SpoolRecord['kind'],
): readonly SpoolRecord[] | undefined {
  try {
    return recordsFrom(bytes, base, digest, salt, only);
  } catch (error) {
    // A CRC errs once in 2^32 times: what it let through may still not fit together.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function recordsFrom(
  bytes: Uint8Array,
  base: number,
  digest: Digest,
  salt: number,
  only: SpoolRecord['kind'] | undefined,
): readonly SpoolRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: SpoolRecord[] = [];
  let end = 0;
  for (const { at, payloadBytes } of recordPlaces(bytes)) {
    end = at + recordHeaderBytes + payloadBytes;
    if (end > bytes.length) return undefined;
    if (view.getUint32(at + 8, true) !== recordCrc(bytes, at, payloadBytes, digest, salt)) return undefined;
    if (only !== undefined && view.getUint32(at, true) !== recordType[only]) continue;
    const record = readRecord(bytes, at, base);
    if (record !== undefined) records.push(record);
  }
  return end === bytes.length ? records : undefined;
}

/** One envelope record read by itself, undefined when damaged. */
export function readEnvelope(bytes: Uint8Array, digest: Digest, salt: number): EnvelopeRecord | undefined {
  const records = readRecords(bytes, 0, digest, salt);
  const record = records?.[0];
  return record?.kind === 'envelope' ? record : undefined;
}

function* recordPlaces(bytes: Uint8Array): Iterable<{ at: number; payloadBytes: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + recordHeaderBytes <= bytes.length; ) {
    const payloadBytes = view.getUint32(at + 4, true);
    yield { at, payloadBytes };
    at += recordHeaderBytes + payloadBytes;
  }
}

function recordCrc(
  bytes: Uint8Array,
  at: number,
  payloadBytes: number,
  digest: Digest,
  salt: number,
): number {
  const head = digest.crc32(bytes.subarray(at, at + 8), salt);
  const start = at + recordHeaderBytes;
  return digest.crc32(bytes.subarray(start, start + payloadBytes), head);
}

function openRecord(out: ByteWriter, type: number): number {
  const start = out.length;
  out.u32(type);
  out.u32(0);
  out.u32(0);
  return start;
}

function closeRecord(out: ByteWriter, start: number): void {
  out.setU32(start + 4, out.length - start - recordHeaderBytes);
}

/** A record of an unknown type is passed over: the format version decides what may stand in a segment. */
function readRecord(bytes: Uint8Array, at: number, base: number): SpoolRecord | undefined {
  const reader = new ByteReader(bytes, at);
  const type = reader.u32();
  const payloadBytes = reader.u32();
  reader.u32();
  if (type === recordType.envelope) {
    return {
      kind: 'envelope',
      at: base + at,
      bytes: recordHeaderBytes + payloadBytes,
      ...envelopeFrom(reader),
    };
  }
  return type === recordType.event ? { kind: 'event', ...eventFrom(reader) } : undefined;
}

function envelopeFrom(reader: ByteReader): EnvelopeRecord {
  const at = reader.f64();
  const sizeBytes = reader.f64();
  const prefixBytes = reader.u32();
  const crc = reader.u32();
  const id = { epoch: reader.u32(), sequence: reader.f64() };
  const timeQueuedMs = reader.f64();
  const flags = reader.u8();
  const reversePath = reader.text();
  const vmta = reader.text();
  const vmtaPool = reader.text();
  const jobId = reader.text();
  const envId = reader.text();
  const reception = {
    type: 'smtp' as const,
    heloName: reader.text(),
    clientAddress: reader.text(),
    listenerAddress: reader.text(),
    listenerPort: reader.u16(),
  };
  const recipients: EnvelopeRecipient[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    recipients.push({ forwardPath: reader.text(), domain: reader.text(), orcpt: reader.text() });
  }
  return {
    body: { at, sizeBytes, prefixBytes, crc },
    envelope: {
      id,
      timeQueuedMs,
      reversePath,
      recipients,
      smtpUtf8: (flags & 1) !== 0,
      eightBit: (flags & 2) !== 0,
      wireForm: wireForms[flags >> 2]!,
      vmta,
      vmtaPool,
      jobId,
      envId,
      reception,
    },
  };
}

function eventFrom(reader: ByteReader): EventRecord {
  const kind = eventKinds[reader.u8()]!;
  const messageSegment = reader.u32();
  return {
    messageSegment,
    event: {
      kind,
      id: { epoch: reader.u32(), sequence: reader.f64() },
      recipientIndex: reader.u32(),
      attempts: reader.u32(),
      nextTryMs: reader.f64(),
      timeLoggedMs: reader.f64(),
      timeQueuedMs: reader.f64(),
      dlvSizeBytes: reader.f64(),
      orig: reader.text(),
      rcpt: reader.text(),
      orcpt: reader.text(),
      status: reader.text(),
      diagnostic: reader.text(),
      dsnMta: reader.text(),
      bounceCategory: reader.text(),
      srcMta: reader.text(),
      dlvSourceIp: reader.text(),
      dlvDestinationIp: reader.text(),
      dlvEsmtpAvailable: reader.text(),
      vmta: reader.text(),
      vmtaPool: reader.text(),
      jobId: reader.text(),
      envId: reader.text(),
      queue: reader.text() as QueueName,
    },
  };
}
