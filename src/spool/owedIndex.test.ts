import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import {
  type HoldReason,
  holdReasons,
  type OwedAfterRestart,
  type OwedSink,
  type SettledRecipient,
} from './owed.ts';
import { OwedIndex } from './owedIndex.ts';

/** The same in plain objects. */
class Model implements OwedSink {
  readonly messages = new Map<string, OwedAfterRestart>();

  put(message: OwedAfterRestart): void {
    if (message.recipients.length === 0) this.messages.delete(formatMessageId(message.id));
    else this.messages.set(formatMessageId(message.id), message);
  }

  settle({ id, recipientIndex, kind, attempts, nextTryMs }: SettledRecipient): void {
    const message = this.messages.get(formatMessageId(id));
    if (message === undefined) return;
    const recipients = message.recipients.flatMap((one) => {
      if (one.index !== recipientIndex) return [one];
      return kind === 'deferred' ? [{ ...one, attempts, nextTryMs, heldFor: undefined }] : [];
    });
    this.put({ ...message, recipients });
  }

  hold(id: MessageId, heldFor: HoldReason | undefined): void {
    const message = this.messages.get(formatMessageId(id));
    if (message === undefined) return;
    const recipients = message.recipients.map((one) =>
      one.heldFor === 'deleted' && heldFor !== 'doubtful' ? one : { ...one, heldFor },
    );
    this.put({ ...message, recipients });
  }

  purge(id: MessageId, recipientIndex: number): void {
    const message = this.messages.get(formatMessageId(id));
    if (message === undefined) return;
    const recipients = message.recipients.map((one) =>
      one.index === recipientIndex ? { ...one, heldFor: 'deleted' as const } : one,
    );
    this.put({ ...message, recipients });
  }

  doubt(cannotBe: (location: SpoolLocation) => boolean): void {
    for (const { id, location } of this.messages.values()) if (!cannotBe(location)) this.hold(id, 'doubtful');
  }

  queueState(): void {}
}

const anyReason: fc.Arbitrary<HoldReason | undefined> = fc.constantFrom(undefined, ...holdReasons);

type Step = (index: OwedIndex | Model) => void;

/** Few ids meet often; those far apart share buckets. */
function stepsOver(anyId: fc.Arbitrary<MessageId>): fc.Arbitrary<readonly Step[]> {
  const anyIndex = fc.nat(3);
  const anyMessage: fc.Arbitrary<OwedAfterRestart> = fc.record({
    id: anyId,
    location: fc.record({
      segment: fc.integer({ min: 1, max: 3 }),
      recordAt: fc.nat(),
      recordBytes: fc.nat(),
    }),
    storedBytes: fc.nat(),
    hasBodyFile: fc.boolean(),
    vmta: fc.constantFrom('v1', 'v2'),
    timeQueuedMs: fc.nat(),
    recipients: fc.uniqueArray(
      fc.record({
        index: anyIndex,
        domain: fc.constantFrom('a.test', 'b.test', 'c.test'),
        attempts: fc.nat(0xffff),
        nextTryMs: fc.nat(),
        heldFor: anyReason,
      }),
      { maxLength: 4, selector: ({ index }) => index },
    ),
  });
  const put = anyMessage.map(
    (message): Step =>
      (index) =>
        index.put(message),
  );
  const settle = fc
    .record({
      id: anyId,
      recipientIndex: anyIndex,
      kind: fc.constantFrom('delivered', 'failed', 'deferred'),
      attempts: fc.nat(0xffff),
      nextTryMs: fc.nat(),
    })
    .map(
      (settled): Step =>
        (index) =>
          index.settle(settled),
    );
  const hold = fc.tuple(anyId, anyReason).map(
    ([id, reason]): Step =>
      (index) =>
        index.hold(id, reason),
  );
  const purge = fc.tuple(anyId, anyIndex).map(
    ([id, recipientIndex]): Step =>
      (index) =>
        index.purge(id, recipientIndex),
  );
  const doubt = fc.integer({ min: 1, max: 3 }).map(
    (segment): Step =>
      (index) =>
        index.doubt((location) => location.segment === segment),
  );
  const weighted = [
    { weight: 4, arbitrary: put },
    { weight: 4, arbitrary: settle },
    { weight: 1, arbitrary: hold },
    { weight: 1, arbitrary: purge },
    { weight: 1, arbitrary: doubt },
  ];
  return fc.array(fc.oneof(...weighted), { maxLength: 200 });
}

function expectSame(steps: readonly Step[]): void {
  const index = new OwedIndex();
  const model = new Model();
  for (const step of steps) {
    step(index);
    step(model);
  }
  const byId = new Map(Array.from(index, (one) => [formatMessageId(one.id), one]));
  expect(byId).toEqual(model.messages);
  expect(index.size).toBe(model.messages.size);
}

test('it holds what a plain map would hold, whatever is told in whatever order', () => {
  const anyId = fc.record({ epoch: fc.integer({ min: 1, max: 2 }), sequence: fc.nat(6) });
  fc.assert(fc.property(stepsOver(anyId), expectSame));
});

test('the same with ids that fall on the same bucket', () => {
  // Equal in their lower 32 bits, so the mix of both is equal.
  const anyId = fc.nat(12).map((n) => ({ epoch: 1, sequence: 5 + n * 2 ** 32 }));
  fc.assert(fc.property(stepsOver(anyId), expectSame));
});

const domain = 'a.test';

function plain(sequence: number, recipients = 1): OwedAfterRestart {
  return {
    id: { epoch: 1, sequence },
    location: { segment: 1, recordAt: sequence, recordBytes: 1 },
    storedBytes: 1,
    hasBodyFile: false,
    vmta: 'v',
    timeQueuedMs: sequence,
    recipients: Array.from({ length: recipients }, (_, index) => ({
      index,
      domain,
      attempts: 0,
      nextTryMs: 0,
      heldFor: undefined,
    })),
  };
}

function finish(index: OwedIndex, sequence: number): void {
  const id = { epoch: 1, sequence };
  index.settle({ id, recipientIndex: 0, kind: 'delivered', attempts: 1, nextTryMs: 0 });
}

test('it grows beyond its first tables, and rows that became free are used again', () => {
  const index = new OwedIndex();
  const model = new Model();
  for (let sequence = 1; sequence <= 5000; sequence++) {
    index.put(plain(sequence, 1 + (sequence % 3)));
    model.put(plain(sequence, 1 + (sequence % 3)));
    // Two of three are over soon.
    const over = sequence - 50;
    if (over < 1 || over % 3 === 0) continue;
    for (let recipientIndex = 0; recipientIndex < 3; recipientIndex++) {
      const id = { epoch: 1, sequence: over };
      const settled = { id, recipientIndex, kind: 'failed' as const, attempts: 1, nextTryMs: 0 };
      index.settle(settled);
      model.settle(settled);
    }
  }
  expect(new Map(Array.from(index, (one) => [formatMessageId(one.id), one]))).toEqual(model.messages);
});

test('of a long stream of mail it holds what is still owed', () => {
  const index = new OwedIndex();
  for (let sequence = 1; sequence <= 200_000; sequence++) {
    index.put(plain(sequence));
    if (sequence > 10) finish(index, sequence - 10);
  }
  expect(index.size).toBe(10);
  expect(Array.from(index, ({ id }) => id.sequence).sort()).toEqual(
    Array.from({ length: 10 }, (_, i) => 199_991 + i),
  );
});

test('more attempts than it counts are as many as it counts', () => {
  const index = new OwedIndex();
  index.put(plain(1));
  const id = { epoch: 1, sequence: 1 };
  index.settle({ id, recipientIndex: 0, kind: 'deferred', attempts: 0x1_0001, nextTryMs: 7 });
  expect([...index][0]!.recipients[0]).toMatchObject({ attempts: 0xffff, nextTryMs: 7 });
});

test('of a queue the last state counts, and one at rest is none', () => {
  const index = new OwedIndex();
  const state = { queue: 'a.test/v' as const, retryStep: 2, retryAtMs: 5 };
  index.queueState({ ...state, retryStep: 1 }, 1);
  index.queueState(state, 2);
  expect([...index.queueStates.values()]).toEqual([{ state, segment: 2 }]);
  index.queueState({ ...state, retryStep: 0, retryAtMs: 0 }, 3);
  expect(index.queueStates.size).toBe(0);
});
