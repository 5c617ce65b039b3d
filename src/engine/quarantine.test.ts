import { beforeEach, expect, test } from 'vitest';
import type { HoldReason } from '../spool/owed.ts';
import { Quarantine, type Quarantined } from './quarantine.ts';

const id = { epoch: 1, sequence: 2 };
let remembered: (HoldReason | undefined)[];
let quarantine: Quarantine;

beforeEach(() => {
  remembered = [];
  quarantine = new Quarantine({ hold: (_of, reason) => void remembered.push(reason) });
});

function message(...indexes: readonly number[]): Quarantined {
  const recipients = indexes.map((index) => ({
    index,
    domain: 'a.example',
    attempts: 1,
    nextTryMs: 0,
    heldFor: 'damaged' as const,
  }));
  return {
    id,
    location: { segment: 4, recordAt: 8, recordBytes: 9 },
    vmta: 'v',
    timeQueuedMs: 5,
    recipients,
  };
}

test('a message is held once, its recipients join, and the spool remembers it', () => {
  quarantine.hold(message(0), 'damaged');
  quarantine.hold(message(2), 'damaged');
  expect(remembered).toEqual(['damaged']);
  expect(quarantine.all()).toEqual([message(0, 2)]);
});

test('what the spool remembers already is not told to it again', () => {
  quarantine.take(message(0));
  expect(remembered).toEqual([]);
  expect(quarantine.get(id)).toEqual(message(0));
});

test('who is released is handed over once, and held no more after a restart', () => {
  quarantine.take(message(0, 1));
  expect(quarantine.release(id)).toEqual(message(0, 1));
  expect(remembered).toEqual([undefined]);
  expect(quarantine.release(id)).toBeUndefined();
  expect(quarantine.all()).toEqual([]);
  expect(remembered).toEqual([undefined]);
});

test('a message that was copied forward lies there', () => {
  const to = { segment: 6, recordAt: 1, recordBytes: 2 };
  quarantine.take(message(0));
  quarantine.moved(id, to);
  quarantine.moved({ epoch: 1, sequence: 3 }, to);
  expect(quarantine.all()).toEqual([{ ...message(0), location: to }]);
});
