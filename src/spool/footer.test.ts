import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { DiskFile } from '../base/ports.ts';
import { Batch } from './batch.ts';
import { FooterWriter, readFooter, tellFooter } from './footer.ts';
import { batchHeaderBytes, blockBytes } from './frame.ts';
import { type HoldReason, holdReasons } from './owed.ts';
import { OwedIndex } from './owedIndex.ts';
import { type BodyPlace, type Note, readRecords, restartRecords } from './record.ts';
import { envelopeOf, eventOf, messageOf, queueEventOf } from './samples.testing.ts';

const digest = systemDigest();
const segment = 3;
const header = { number: segment, epoch: 1, salt: 0xabcdef, firstBatch: 1, predecessor: undefined };
const owner = { answer: () => undefined, owed: () => undefined };
/** Messages have these ids, so that the steps of a run meet. */
const sequences = 5;
const recipients = 3;

const anyReason: fc.Arbitrary<HoldReason | undefined> = fc.constantFrom(undefined, ...holdReasons);
const anySequence = fc.integer({ min: 1, max: sequences });
const anyIndex = fc.integer({ min: 0, max: recipients - 1 });

const anyNote: fc.Arbitrary<Note> = fc.oneof(
  fc
    .tuple(anySequence, anyIndex, fc.constantFrom('delivered', 'failed', 'deferred'), fc.nat(70_000))
    .map(([sequence, index, kind, attempts]) => ({
      kind: 'event' as const,
      event: eventOf(envelopeOf({ epoch: 1, sequence }, recipients), index, kind, attempts),
      messageSegment: 1,
    })),
  fc
    .tuple(fc.constantFrom('a.test/v', 'bücher.test/w'), fc.nat(3), fc.nat(3))
    .map(([queue, retryStep, retryAtMs]) => ({
      kind: 'queueState' as const,
      state: { queue: queue as `${string}/${string}`, retryStep, retryAtMs },
    })),
  fc
    .tuple(
      fc.option(fc.record({ sinceMs: fc.nat(9), untilMs: fc.nat(9) }), { nil: undefined }),
      fc.array(fc.record({ address: fc.constantFrom('192.0.2.1', '2001:db8::1'), untilMs: fc.nat(9) })),
    )
    .filter(([backoff, disabledSources]) => backoff !== undefined || disabledSources.length > 0)
    .map(([backoff, disabledSources]) => ({
      kind: 'queueState' as const,
      state: { queue: 'a.test/v' as const, retryStep: 0, retryAtMs: 0, backoff, disabledSources },
    })),
  fc.constant({ kind: 'queueEvent' as const, event: queueEventOf('a.test/v') }),
  fc
    .tuple(anySequence, anyReason)
    .map(([sequence, reason]) => ({ kind: 'hold' as const, id: { epoch: 1, sequence }, reason })),
  fc
    .tuple(anySequence, anyIndex)
    .map(([sequence, index]) => ({ kind: 'purge' as const, named: Float64Array.of(1, sequence, index) })),
);

/** One thing put into a batch. */
type Put = (batch: Batch) => void;

const inFile: BodyPlace = {
  at: 0,
  inFile: true,
  prefixBytes: 2,
  sizeBytes: 2 ** 21,
  crc: 7,
  isDamaged: false,
};

const anyPut: fc.Arbitrary<Put> = fc.oneof(
  anyNote.map(
    (note): Put =>
      (batch) =>
        batch.addNote(note, 0),
  ),
  fc.tuple(anySequence, fc.nat(300), fc.boolean()).map(([sequence, bodyBytes, hasFile]): Put => {
    const message = messageOf({ epoch: 1, sequence }, { recipients, bodyBytes });
    return (batch) => batch.addMessage(message, owner, false, hasFile ? inFile : undefined);
  }),
  fc
    .tuple(
      anySequence,
      fc.uniqueArray(
        fc.record({ index: anyIndex, attempts: fc.nat(9), nextTryMs: fc.nat(), heldFor: anyReason }),
        {
          minLength: 1,
          selector: ({ index }) => index,
        },
      ),
      fc.boolean(),
    )
    .map(([sequence, owed, hasFile]): Put => {
      const { envelope, content } = messageOf({ epoch: 1, sequence }, { recipients });
      const body = hasFile ? inFile : content;
      return (batch) =>
        batch.addSnapshot({ envelope, body, isDamaged: false, owed, from: 1, moved: () => undefined });
    }),
);

/** A message of a batch is owed only once the batch is durable: nothing in it can be about it. */
const anyBatch = fc.array(anyPut, { maxLength: 8 }).map((puts) => {
  const batch = new Batch();
  for (const put of puts) put(batch);
  const own = new Set(batch.messages.map(({ message }) => message.envelope.id.sequence));
  const ofOthers = new Batch();
  const messagesFirst = [...own].map((sequence) => messageOf({ epoch: 1, sequence }, { recipients }));
  for (const message of messagesFirst) ofOthers.addMessage(message, owner, false, undefined);
  for (const put of puts) {
    const alone = new Batch();
    put(alone);
    const [note] = alone.notes;
    const id = alone.snapshots[0]?.snapshot.envelope.id ?? (note && idOf(note));
    if (alone.messages.length === 0 && (id === undefined || !own.has(id.sequence))) put(ofOthers);
  }
  return ofOthers;
});

function idOf(note: Note): { readonly sequence: number } | undefined {
  if (note.kind === 'queueState' || note.kind === 'queueEvent') return undefined;
  if (note.kind === 'purge') return { sequence: note.named[1]! };
  return note.kind === 'event' ? note.event.id : note.id;
}

/** Enough of a file to read from. */
function fileOf(bytes: Uint8Array): DiskFile {
  return {
    sizeBytes: async () => bytes.length,
    read: async (position: number, lengthBytes: number) => bytes.slice(position, position + lengthBytes),
  } as Partial<DiskFile> as DiskFile;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

test('what a footer tells is what the records of its batches tell', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyBatch, { minLength: 1, maxLength: 5 }), async (batches) => {
      const byRecords = new OwedIndex();
      const footer = new FooterWriter();
      let startAt = blockBytes;
      batches.forEach((batch, i) => {
        const place = { ...header, number: i + 1, syncedThrough: 0, startAt };
        const [, records] = batch.seal(place, digest);
        const base = startAt + batchHeaderBytes;
        readRecords(records!, base, digest, header.salt, restartRecords(segment, byRecords));
        footer.add(batch, segment);
        startAt += batch.frameBytes;
      });
      const file = fileOf(joined(footer.encode(batches.length, digest, header.salt)));
      const payload = await readFooter(file, header, batches.length, digest);
      const byFooter = new OwedIndex();
      tellFooter(payload!, segment, byFooter);
      const owed = (index: OwedIndex) => [...index].sort((a, b) => a.id.sequence - b.id.sequence);
      expect(owed(byFooter)).toEqual(owed(byRecords));
      expect(byFooter.queueStates).toEqual(byRecords.queueStates);
    }),
  );
});

function sampleFooter(): Uint8Array {
  const batch = new Batch();
  const message = messageOf({ epoch: 1, sequence: 1 }, { recipients: 40 });
  batch.addMessage(message, owner, false, undefined);
  batch.seal({ ...header, number: 9, syncedThrough: 0, startAt: blockBytes }, digest);
  const footer = new FooterWriter();
  footer.add(batch, segment);
  return joined(footer.encode(9, digest, header.salt));
}

test('a footer that is cut short, or in which any byte is another, is refused', async () => {
  const whole = sampleFooter();
  expect(whole.length).toBe(blockBytes);
  const before = joined([new Uint8Array(blockBytes).fill(7), whole]);
  expect(await readFooter(fileOf(before), header, 9, digest)).toBeDefined();
  for (const length of [0, 1, blockBytes, blockBytes + 1, 2 * blockBytes - 512, 2 * blockBytes - 1]) {
    expect(await readFooter(fileOf(before.slice(0, length)), header, 9, digest), `${length}`).toBeUndefined();
  }
  const payloadBytes = new DataView(whole.buffer).getFloat64(blockBytes - 32 + 4, true);
  // Between payload and trailer there is nothing but padding.
  const counting = [...whole.keys()].filter(
    (at) => at < payloadBytes || (at >= blockBytes - 32 && at < blockBytes - 4),
  );
  for (const at of counting) {
    const flipped = before.slice();
    flipped[blockBytes + at]! ^= 1 << (at & 7);
    expect(await readFooter(fileOf(flipped), header, 9, digest), `byte ${at}`).toBeUndefined();
  }
});

test('a footer that speaks of other batches, or of another segment, is refused', async () => {
  const file = fileOf(sampleFooter());
  expect(await readFooter(file, header, 8, digest)).toBeUndefined();
  expect(await readFooter(file, header, 10, digest)).toBeUndefined();
  expect(await readFooter(file, { ...header, salt: header.salt + 1 }, 9, digest)).toBeUndefined();
  expect(await readFooter(file, header, 9, digest)).toBeDefined();
});
