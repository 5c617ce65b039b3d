import fc from 'fast-check';
import { expect, test } from 'vitest';
import { none, RecipientTable } from './columns.ts';
import { deadlineMs, ExpiryCalendar } from './expiryCalendar.ts';

test('nobody expires before bounce-after, nor more than 1/4096 of it (or 1 ms) late', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e9, max: 1e9, noNaN: true }),
      fc.integer({ min: 1, max: 1e9 }),
      (queuedAtMs, bounceAfterMs) => {
        const lateMs = deadlineMs(queuedAtMs, bounceAfterMs) - (queuedAtMs + bounceAfterMs);
        expect(lateMs).toBeGreaterThanOrEqual(0);
        expect(lateMs).toBeLessThanOrEqual(Math.max(1, bounceAfterMs / 4096));
      },
    ),
  );
});

test('the calendar always names a member with the earliest deadline', () => {
  const deadlines = fc.integer({ min: 0, max: 9 });
  const moves = fc.array(fc.record({ slot: fc.nat(15), atMs: deadlines }), { maxLength: 200 });
  fc.assert(
    fc.property(moves, (sequence) => {
      const calendar = new ExpiryCalendar(new RecipientTable());
      const members = new Map<number, number>();
      for (const { slot, atMs } of sequence) {
        const member = members.get(slot);
        if (member === undefined) {
          calendar.join(slot, atMs);
          members.set(slot, atMs);
        } else {
          calendar.leave(slot, member);
          members.delete(slot);
        }
        const earliest = Math.min(...members.values());
        expect(calendar.firstAtMs()).toBe(earliest);
        const first = calendar.first();
        expect(first === none ? Number.POSITIVE_INFINITY : members.get(first)).toBe(earliest);
      }
    }),
  );
});
