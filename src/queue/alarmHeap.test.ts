import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Alarmed, AlarmHeap } from './alarmHeap.ts';

test('the first is always one whose alarm is the earliest, whatever is set, moved and taken back', () => {
  const move = fc.record({
    item: fc.nat(9),
    atMs: fc.oneof(fc.nat(50), fc.constant(Number.POSITIVE_INFINITY)),
  });
  fc.assert(
    fc.property(fc.array(move, { maxLength: 80 }), (moves) => {
      const items: Alarmed[] = Array.from({ length: 10 }, () => ({
        alarmAtMs: Number.POSITIVE_INFINITY,
        alarmPlace: -1,
      }));
      const heap = new AlarmHeap<Alarmed>();
      for (const { item, atMs } of moves) {
        heap.set(items[item]!, atMs);
        const first = Math.min(...items.map(({ alarmAtMs }) => alarmAtMs));
        expect(heap.firstAtMs()).toBe(first);
        expect(heap.first()?.alarmAtMs ?? Number.POSITIVE_INFINITY).toBe(first);
      }
      const left: number[] = [];
      for (let first = heap.first(); first !== undefined; first = heap.first()) {
        left.push(heap.firstAtMs());
        heap.set(first, Number.POSITIVE_INFINITY);
      }
      expect(left).toEqual(left.toSorted((x, y) => x - y));
    }),
  );
});
