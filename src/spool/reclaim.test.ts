import { beforeEach, expect, test } from 'vitest';
import { Reclaim } from './reclaim.ts';

const segmentBytes = 1000;
let reclaim: Reclaim;

beforeEach(() => {
  reclaim = new Reclaim(segmentBytes);
});

/** A segment with one batch, whose number is its own, and what its messages owe. */
function segment(number: number, recipients = 0, storedBytes = 0, sizeBytes = segmentBytes): void {
  reclaim.opened(number);
  if (recipients > 0) reclaim.owe(number, recipients, storedBytes);
  reclaim.published(number, { epoch: 1, batch: number }, sizeBytes);
}

function recordedThrough(batch: number): void {
  reclaim.recorded({ epoch: 1, batch });
}

test('a segment goes when nothing in it is owed, its rows are written, and it is not the newest', () => {
  segment(1, 1);
  segment(2);
  recordedThrough(2);
  expect(reclaim.next()).toBeUndefined();
  reclaim.give(1);
  expect(reclaim.next()).toBeUndefined();
  reclaim.settle(1);
  expect(reclaim.next()).toBe(1);
  reclaim.gone(1);
  expect(reclaim.next()).toBeUndefined();
  expect(reclaim.oldest).toBe(2);
});

test('none goes before its rows are written, nor because an older cursor is told', () => {
  segment(1);
  segment(2);
  expect(reclaim.next()).toBeUndefined();
  recordedThrough(1);
  reclaim.recorded({ epoch: 0, batch: 9 });
  expect(reclaim.next()).toBe(1);
});

test('none goes while the newest is not durable', () => {
  segment(1);
  reclaim.opened(2);
  recordedThrough(9);
  expect(reclaim.next()).toBeUndefined();
  reclaim.published(2, { epoch: 1, batch: 2 }, segmentBytes);
  expect(reclaim.next()).toBe(1);
});

test('what was copied away is owed elsewhere, an outcome under way included', () => {
  segment(1, 3, 300);
  segment(2);
  recordedThrough(2);
  reclaim.give(1);
  expect(reclaim.ungiven(1)).toBe(2);
  // Both were copied; of one the outcome came meanwhile.
  reclaim.give(1);
  reclaim.owe(2, 2, 200);
  reclaim.give(2);
  reclaim.moveAway(1, 2, 1);
  expect(reclaim.ungiven(2)).toBe(1);
  reclaim.settle(2);
  expect(reclaim.next()).toBeUndefined();
  reclaim.settle(1);
  expect(reclaim.next()).toBe(1);
  expect(reclaim.ungiven(7)).toBe(0);
});

test('queue states keep a segment that owes nothing', () => {
  segment(1);
  segment(2);
  recordedThrough(2);
  reclaim.countQueueStates(1, 2);
  expect(reclaim.next()).toBeUndefined();
  expect(reclaim.keptByQueueStates()).toBe(1);
  reclaim.countQueueStates(1, -2);
  expect(reclaim.keptByQueueStates()).toBeUndefined();
  expect(reclaim.next()).toBe(1);
});

test('copying begins when files take more than twice what is owed, and two segments', () => {
  segment(1, 10, 500);
  for (let number = 2; number <= 3; number++) segment(number);
  recordedThrough(9);
  // 3000 bytes against 2 * 500 + 2000.
  expect(reclaim.keptByFew()).toBeUndefined();
  segment(4);
  expect(reclaim.keptByFew()).toBe(1);
  // Young mail that is owed weighs against it.
  segment(6, 1, 2000);
  expect(reclaim.keptByFew()).toBeUndefined();
});

test('of messages whose recipients are partly done, a part of the bytes is owed', () => {
  segment(1, 10, 1000);
  for (let number = 2; number <= 4; number++) segment(number);
  recordedThrough(9);
  expect(reclaim.keptByFew()).toBeUndefined();
  for (let done = 0; done < 8; done++) {
    reclaim.give(1);
    reclaim.settle(1);
  }
  expect(reclaim.keptByFew()).toBe(1);
});

test('nothing is copied that accounting has not read', () => {
  segment(1, 1, 1);
  for (let number = 2; number <= 8; number++) segment(number);
  expect(reclaim.keptByFew()).toBeUndefined();
  recordedThrough(1);
  expect(reclaim.keptByFew()).toBe(1);
});

test('an outcome of a segment that is gone, or never was, is no harm', () => {
  segment(1);
  reclaim.give(9);
  reclaim.settle(9);
  reclaim.countQueueStates(9, 1);
  expect(reclaim.segments).toBe(1);
  expect(reclaim.sizeBytes).toBe(segmentBytes);
});
