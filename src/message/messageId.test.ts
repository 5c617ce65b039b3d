import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatMessageId, parseMessageId, reportedBy, reportId } from './messageId.ts';

const id = fc.record({ epoch: fc.nat(0xffff_ffff), sequence: fc.maxSafeNat() });

test('an id is read as it was written', () => {
  fc.assert(
    fc.property(id, (one) => {
      expect(parseMessageId(formatMessageId(one))).toEqual(one);
    }),
  );
});

test("a report's id tells whose it is", () => {
  expect(formatMessageId(reportId({ epoch: 0x1f, sequence: 0x2a9 }, 3)!)).toBe('1f.100030000002a9');
  const message = fc.record({ epoch: fc.nat(0xffff_ffff), sequence: fc.nat(2 ** 36 - 1) });
  fc.assert(
    fc.property(message, fc.nat(0xffff), (failed, index) => {
      const report = reportId(failed, index)!;
      expect(report.sequence).toBeLessThan(2 ** 53);
      expect(reportedBy(report)).toEqual({ id: failed, index });
      expect(reportedBy(failed)).toBeUndefined();
    }),
  );
});

test('without room for a derived id there is none', () => {
  expect(reportId({ epoch: 1, sequence: 2 ** 36 }, 0)).toBeUndefined();
  expect(reportId({ epoch: 1, sequence: 1 }, 2 ** 16)).toBeUndefined();
  expect(reportId(reportId({ epoch: 1, sequence: 1 }, 0)!, 0)).toBeUndefined();
});
