import { beforeEach, expect, test } from 'vitest';
import type { SpoolLocation } from '../message/envelope.ts';
import type { SpoolReadFailure, StoredMessage } from '../spool/spool.ts';
import { Overdue } from './overdue.ts';

const stored = { kind: 'stored', envelope: { vmta: 'v' } } as StoredMessage;
let reads: {
  readonly location: SpoolLocation;
  answer(read: StoredMessage | SpoolReadFailure): Promise<void>;
}[];
let told: string[];
let maySettle: boolean;
let overdue: Overdue;

beforeEach(() => {
  reads = [];
  told = [];
  maySettle = true;
  overdue = new Overdue({
    maySettle: () => maySettle,
    read: (location) =>
      new Promise((resolve) => {
        reads.push({ location, answer: async (read) => resolve(read) });
      }),
    bounce: ({ id, location, recipients }) => {
      const indexes = recipients.map(({ recipientIndex }) => recipientIndex);
      told.push(`bounce ${id.sequence} ${indexes} at ${location.segment}`);
    },
    unreadable: ({ id }, code) => void told.push(`unreadable ${id.sequence} ${code}`),
    hold: ({ id, recipients }) => void told.push(`hold ${id.sequence} ${recipients.length}`),
  });
});

function add(sequence: number, recipientIndex = 0): void {
  const location = { segment: sequence, recordAt: 1, recordBytes: 1 };
  const id = { epoch: 1, sequence };
  overdue.add({ queue: 'a.example/v', handle: 1, id, location, recipientIndex, attempts: 2 });
}

async function answer(read: StoredMessage | SpoolReadFailure): Promise<void> {
  await reads.shift()!.answer(read);
  for (let hops = 0; hops < 5; hops++) await Promise.resolve();
}

const failed = (code: string): SpoolReadFailure => ({ kind: 'unreadable', code });

const waiting = (segment: number): number =>
  [...overdue.waiting].filter(({ location }) => location.segment === segment).length;

test('one message is read at a time, and once for all of its recipients', async () => {
  add(1, 0);
  add(1, 3);
  add(2);
  expect(reads.length).toBe(1);
  await answer(stored);
  expect(told).toEqual(['bounce 1 0,3 at 1']);
  expect(reads.length).toBe(1);
  await answer(stored);
  expect(told).toEqual(['bounce 1 0,3 at 1', 'bounce 2 0 at 2']);
  expect(waiting(1) + waiting(2)).toBe(0);
});

test('who comes while the others are read is bounced with them, or read next', async () => {
  add(1, 0);
  add(1, 1);
  add(3);
  await answer(stored);
  add(4);
  await answer(stored);
  await answer(stored);
  expect(told).toEqual(['bounce 1 0,1 at 1', 'bounce 3 0 at 3', 'bounce 4 0 at 4']);
});

test('an outcome counts where the message lies by then', async () => {
  add(1);
  overdue.moved({ epoch: 1, sequence: 1 }, { segment: 9, recordAt: 1, recordBytes: 1 });
  expect(waiting(1)).toBe(0);
  expect(waiting(9)).toBe(1);
  await answer(stored);
  expect(told).toEqual(['bounce 1 0 at 9']);
});

test('what cannot be read is told once, and tried again where it lies by then', async () => {
  add(1);
  await answer(failed('EIO'));
  overdue.moved({ epoch: 1, sequence: 1 }, { segment: 9, recordAt: 1, recordBytes: 1 });
  overdue.tick();
  expect(reads[0]!.location.segment).toBe(9);
  await answer(failed('EIO'));
  overdue.tick();
  await answer(stored);
  expect(told).toEqual(['unreadable 1 EIO', 'bounce 1 0 at 9']);
});

test('a message that is damaged is held with all of its recipients', async () => {
  add(1, 0);
  add(1, 1);
  await answer(failed('damaged'));
  expect(told).toEqual(['unreadable 1 damaged', 'hold 1 2']);
  overdue.tick();
  expect(reads).toEqual([]);
});

test('while outcomes do not become durable nothing is read, and nothing is forgotten', async () => {
  add(1);
  add(2);
  maySettle = false;
  await answer(stored);
  expect(told).toEqual(['bounce 1 0 at 1']);
  expect(reads).toEqual([]);
  overdue.tick();
  expect(reads).toEqual([]);
  maySettle = true;
  overdue.tick();
  await answer(stored);
  expect(told).toEqual(['bounce 1 0 at 1', 'bounce 2 0 at 2']);
});

test('nothing is put into a spool that closes, and nothing read behind it', async () => {
  add(1);
  overdue.stop();
  await answer(stored);
  overdue.tick();
  add(2);
  expect(told).toEqual([]);
  expect(reads).toEqual([]);
});

test('until they are read, recipients are told to whoever copies their message', () => {
  add(1, 0);
  add(1, 4);
  const message = { id: { epoch: 1, sequence: 1 }, location: { segment: 1, recordAt: 1, recordBytes: 1 } };
  const recipients = [0, 4].map((recipientIndex) => ({ queue: 'a.example/v', recipientIndex, attempts: 2 }));
  expect([...overdue.waiting]).toEqual(recipients.map((recipient) => ({ ...recipient, ...message })));
});
