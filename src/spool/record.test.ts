import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../base/byteWriter.ts';
import { systemDigest } from '../base/node/digest.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Envelope } from '../message/envelope.ts';
import {
  type EventNote,
  readEnvelope,
  readRecords,
  wholeRecords,
  writeEnvelope,
  writeNote,
} from './record.ts';
import { recordHeaderBytes, sealRecords } from './recordFrame.ts';
import { envelopeOf, eventOf } from './samples.testing.ts';

const digest = systemDigest();

// Byte order marks at the start of a text: see the test at the end.
const text = fc.string({ unit: 'binary', maxLength: 90 });
const u32 = fc.nat(0xffff_ffff);
const ms = fc.nat(Number.MAX_SAFE_INTEGER);
const id = fc.record({ epoch: u32, sequence: fc.nat(2 ** 48 - 1) });

const anyEnvelope: fc.Arbitrary<Envelope> = fc.record({
  id,
  timeQueuedMs: ms,
  reversePath: text,
  recipients: fc.array(fc.record({ forwardPath: text, domain: text, orcpt: text }), { maxLength: 5 }),
  smtpUtf8: fc.boolean(),
  eightBit: fc.boolean(),
  wireForm: fc.constantFrom('dotStuffed', 'raw'),
  vmta: text,
  vmtaPool: text,
  jobId: text,
  envId: text,
  dsnReturn: fc.constantFrom('none', 'headers', 'full'),
  reception: fc.record({
    type: fc.constantFrom('smtp', 'local'),
    heloName: text,
    clientAddress: text,
    listenerAddress: text,
    listenerPort: fc.nat(0xffff),
  }),
});

const anyEvent: fc.Arbitrary<DeliveryEvent> = fc.record({
  kind: fc.constantFrom('delivered', 'failed', 'deferred'),
  id,
  recipientIndex: u32,
  timeLoggedMs: ms,
  timeQueuedMs: ms,
  orig: text,
  rcpt: text,
  orcpt: text,
  status: text,
  diagnostic: text,
  dsnMta: text,
  bounceCategory: text,
  srcMta: text,
  dlvSourceIp: text,
  dlvDestinationIp: text,
  dlvEsmtpAvailable: text,
  dlvSizeBytes: ms,
  vmta: text,
  vmtaPool: text,
  jobId: text,
  envId: text,
  queue: text as fc.Arbitrary<DeliveryEvent['queue']>,
  attempts: u32,
  nextTryMs: ms,
});

const body = {
  at: 4096,
  inFile: false,
  prefixBytes: 3,
  sizeBytes: 2 ** 40,
  crc: 0xdead_beef,
  isDamaged: false,
};

function sealed(envelopes: readonly Envelope[], notes: readonly EventNote[], salt: number): Uint8Array {
  const out = new ByteWriter(16);
  for (const envelope of envelopes) writeEnvelope(out, { envelope, body });
  for (const note of notes) writeNote(out, note);
  sealRecords(out, digest, salt);
  return out.bytes.slice();
}

test('envelopes and events come back as they were written', () => {
  fc.assert(
    fc.property(
      fc.array(anyEnvelope, { maxLength: 3 }),
      fc.array(anyEvent, { maxLength: 3 }),
      u32,
      (envelopes, events, salt) => {
        const written = events.map((event, i) => ({ kind: 'event' as const, event, messageSegment: 7 + i }));
        const read = readRecords(sealed(envelopes, written, salt), 100, digest, salt, wholeRecords)!;
        expect(read.flatMap((record) => (record.kind === 'envelope' ? [record.envelope] : []))).toEqual(
          envelopes,
        );
        expect(read.flatMap((record) => (record.kind === 'event' ? [record] : []))).toEqual(written);
        for (const record of read) if (record.kind === 'envelope') expect(record.body).toEqual(body);
      },
    ),
  );
});

test('an envelope found at its place reads the same by itself', () => {
  const salt = 5;
  const envelopes = [1, 2, 3].map((sequence) => envelopeOf({ epoch: 1, sequence }, sequence));
  const bytes = sealed(envelopes, [], salt);
  for (const record of readRecords(bytes, 0, digest, salt, wholeRecords)!) {
    if (record.kind !== 'envelope') throw new Error('no envelope');
    const alone = bytes.slice(record.at, record.at + record.bytes);
    expect(readEnvelope(alone, digest, salt)).toMatchObject({ envelope: record.envelope });
    expect(readEnvelope(alone, digest, salt + 1)).toBeUndefined();
  }
});

const sample = sealed(
  [envelopeOf({ epoch: 1, sequence: 1 }, 2)],
  [
    {
      kind: 'event',
      event: eventOf(envelopeOf({ epoch: 1, sequence: 1 }, 2), 1, 'failed', 3),
      messageSegment: 1,
    },
  ],
  9,
);

test('every flipped bit in a record is noticed', () => {
  for (let bit = 0; bit < sample.length * 8; bit++) {
    const flipped = sample.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(readRecords(flipped, 0, digest, 9, wholeRecords), `bit ${bit}`).toBeUndefined();
  }
});

test('records cut short anywhere but between two of them are noticed', () => {
  const [envelope] = readRecords(sample, 0, digest, 9, wholeRecords)!;
  const between = envelope?.kind === 'envelope' ? envelope.bytes : 0;
  for (let length = 1; length < sample.length; length++) {
    const read = readRecords(sample.subarray(0, length), 0, digest, 9, wholeRecords);
    expect(read === undefined, `length ${length}`).toBe(length !== between);
  }
});

test('records of another segment, so with another salt, never pass', () => {
  fc.assert(
    fc.property(u32, (salt) => {
      fc.pre(salt !== 9);
      expect(readRecords(sample, 0, digest, salt, wholeRecords)).toBeUndefined();
    }),
  );
});

test('no bytes make reading throw or go on for ever, not even when every CRC fits', () => {
  const blind = { crc32: () => 0 };
  const hostile = fc.uint8Array({ maxLength: 300 }).map((bytes) => {
    // Plausible types and a CRC of 0 let the reader get further than noise would.
    if (bytes.length >= recordHeaderBytes) {
      bytes.set([1 + (bytes[0]! & 1), 0, 0, 0], 0);
      bytes.set([0, 0, 0, 0], 8);
      if (bytes[5]! < 200) bytes.set([bytes.length - recordHeaderBytes, 0, 0, 0], 4);
    }
    return bytes;
  });
  fc.assert(
    fc.property(hostile, (bytes) => {
      readRecords(bytes, 0, blind, 0, wholeRecords);
      readRecords(bytes, 0, digest, 0, wholeRecords);
    }),
    { numRuns: 2000 },
  );
  const huge = new Uint8Array(64);
  new DataView(huge.buffer).setUint32(4, 0xffff_ffff, true);
  expect(readRecords(huge, 0, blind, 0, wholeRecords)).toBeUndefined();
  const cut = sample.slice();
  const text = cut.length - 20;
  new DataView(cut.buffer).setUint32(text, 0xffff_ffff, true);
  expect(() => readRecords(cut, 0, blind, 0, wholeRecords)).not.toThrow();
});

test('a text that begins with a byte order mark keeps it', () => {
  const envelope = { ...envelopeOf({ epoch: 1, sequence: 1 }, 1), reversePath: '\uFEFFa@example.test' };
  const [read] = readRecords(sealed([envelope], [], 1), 0, digest, 1, wholeRecords)!;
  expect(read).toMatchObject({ envelope });
});
