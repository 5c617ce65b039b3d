import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemDigest } from '../base/node/digest.ts';
import type { DeliveryEventKind } from '../message/deliveryEvent.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { batchHeaderBytes } from './frame.ts';
import type { Note } from './record.ts';
import { type Recovered, recover } from './recovery.ts';
import {
  type BatchSample,
  envelopeOf,
  eventOf,
  flipped,
  layOut,
  messageOf,
  type SegmentSample,
  segmentOf,
  settled,
  withFooter,
} from './samples.testing.ts';

const digest = systemDigest();
const recipients = 2;

interface Step {
  /** Messages that come in with the batch. */
  readonly messages: number;
  /** Of a message that came before, by how many: what becomes of a recipient of it. */
  readonly events: readonly {
    readonly back: number;
    readonly index: number;
    readonly kind: DeliveryEventKind;
  }[];
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  messages: fc.nat(2),
  events: fc.array(
    fc.record({
      back: fc.nat(5),
      index: fc.nat(recipients - 1),
      kind: fc.constantFrom('delivered', 'failed', 'deferred'),
    }),
    { maxLength: 3 },
  ),
});

const anyShare = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** A byte of that batch's header or records. */
function placeIn({ bytes, at }: SegmentSample, number: number, share: number): number {
  const startAt = at.get(number)!;
  const recordBytes = new DataView(bytes.buffer).getFloat64(startAt + 24, true);
  return startAt + Math.floor(share * (batchHeaderBytes + recordBytes));
}

interface Ledger {
  readonly batches: readonly BatchSample[];
  /** Recipients without an outcome, `sequence index`; and those with one. */
  readonly open: ReadonlySet<string>;
  readonly finished: ReadonlySet<string>;
}

function ledgerOf(steps: readonly Step[]): Ledger {
  const open = new Set<string>();
  const finished = new Set<string>();
  let last = 0;
  const batches = steps.map(({ messages, events }, i): BatchSample => {
    const notes: Note[] = [];
    for (const { back, index, kind } of events) {
      const sequence = last - back;
      const key = `${sequence} ${index}`;
      if (!open.has(key)) continue;
      const envelope = envelopeOf({ epoch: 1, sequence }, recipients);
      notes.push({ kind: 'event', event: eventOf(envelope, index, kind, 1), messageSegment: 1 });
      if (kind === 'deferred') continue;
      open.delete(key);
      finished.add(key);
    }
    const put = Array.from({ length: messages }, () => {
      last += 1;
      for (let index = 0; index < recipients; index++) open.add(`${last} ${index}`);
      return messageOf({ epoch: 1, sequence: last }, { recipients, bodyBytes: 500 });
    });
    return { number: i + 1, syncedThrough: i, messages: put, notes };
  });
  return { batches, open, finished };
}

/** Two segments; the first has grown full. */
function segmentsOf(
  batches: readonly BatchSample[],
  hasFooter: boolean,
): readonly [SegmentSample, SegmentSample] {
  const middle = Math.ceil(batches.length / 2);
  const older = batches
    .slice(0, middle)
    .map((batch, i) => (i === 0 ? { ...batch, syncedThrough: 0 } : batch));
  const younger = batches.slice(middle).map((batch, i) => (i === 0 ? { ...batch, syncedThrough: 0 } : batch));
  const first = segmentOf({ number: 1 }, older, digest);
  const predecessor = { segment: 1, lastBatch: middle };
  const second = segmentOf({ number: 2, firstBatch: middle + 1, predecessor }, younger, digest);
  return [hasFooter ? withFooter(first, older, digest) : first, second];
}

async function recovered(segments: readonly SegmentSample[]): Promise<Recovered> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const world = { disk, clock: new VirtualClock() };
  await settled(world, layOut(disk, '/s', segments));
  const result = await settled(world, recover({ disk, digest }, '/s', { epoch: 0, batch: 0 }));
  if (result.kind !== 'recovered') throw new Error(result.kind);
  return result;
}

function owedIn({ owed }: Recovered, isHeld: boolean): ReadonlySet<string> {
  return new Set(
    [...owed].flatMap(({ id, recipients: still }) =>
      still
        .filter(({ heldFor }) => (heldFor !== undefined) === isHeld)
        .map(({ index }) => `${id.sequence} ${index}`),
    ),
  );
}

test('wherever a byte rots, nobody who had his outcome is sent again, and at most the message hit is lost', async () => {
  let held = 0;
  let lost = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 4, maxLength: 9 }),
      fc.boolean(),
      anyShare,
      anyShare,
      async (steps, hasFooter, which, where) => {
        const { batches, open, finished } = ledgerOf(steps);
        const [first, second] = segmentsOf(batches, hasFooter);
        // The last batch is vouched for by nothing: there rot and a torn end look alike.
        const number = 1 + Math.floor(which * (batches.length - 1));
        const isFirst = first.at.has(number);
        const hit = isFirst ? first : second;
        const rotten = flipped(hit, placeIn(hit, number, where));
        const found = await recovered(isFirst ? [rotten, second] : [first, rotten]);
        const tried = owedIn(found, false);
        const kept = owedIn(found, true);
        held += kept.size;
        expect(
          [...finished].filter((key) => tried.has(key)),
          'sent again',
        ).toEqual([]);
        const missing = [...open].filter((key) => !tried.has(key) && !kept.has(key));
        lost += missing.length;
        expect(new Set(missing.map((key) => key.split(' ')[0])).size, 'messages lost').toBeLessThanOrEqual(1);
        if (missing.length + kept.size > 0) expect(found.damages.length).toBe(1);
        if (found.damages.length === 0) expect(tried).toEqual(open);
      },
    ),
    { numRuns: 150, seed: 1 },
  );
  expect(held).toBeGreaterThan(20);
  expect(lost).toBeGreaterThan(2);
}, 60_000);
