import fc from 'fast-check';
import { expect, test } from 'vitest';
import { localDay } from '../base/calendar.ts';
import { formatDay, formatTimestamp, parseDay, timestamps, untilMidnightMs } from './timestamp.ts';

const wallMs = fc.integer({ min: Date.UTC(1970, 0, 2), max: Date.UTC(2999, 0, 1) });
const offsetMinutes = fc.integer({ min: -14 * 60, max: 14 * 60 });

test('A timestamp is what the calendar says, in local time with its offset', () => {
  fc.assert(
    fc.property(wallMs, offsetMinutes, (ms, offset) => {
      const iso = new Date(ms + offset * 60_000).toISOString();
      const zone = Math.abs(offset);
      const hhmm = String(Math.floor(zone / 60) * 100 + (zone % 60)).padStart(4, '0');
      const expected = `${iso.slice(0, 10)} ${iso.slice(11, 19)}${offset < 0 ? '-' : '+'}${hhmm}`;
      expect(formatTimestamp(ms, offset)).toBe(expected);
    }),
  );
});

test('Half-hour zones and zones west of Greenwich are written as PowerMTA writes them', () => {
  const ms = Date.UTC(2014, 7, 24, 10, 30, 14);
  expect(formatTimestamp(ms, 330)).toBe('2014-08-24 16:00:14+0530');
  expect(formatTimestamp(ms, -210)).toBe('2014-08-24 07:00:14-0330');
  expect(formatTimestamp(ms, 0)).toBe('2014-08-24 10:30:14+0000');
});

test('The cache never answers with another second or another offset', () => {
  const zone = (ms: number): number => (ms < Date.UTC(2026, 2, 29, 1) ? 60 : 120);
  const cached = timestamps(zone);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -300_000, max: 300_000 })), (offsets) => {
      for (const offset of offsets) {
        const ms = Date.UTC(2026, 2, 29, 1) + offset;
        expect(cached.text(ms)).toBe(formatTimestamp(ms, zone(ms)));
      }
    }),
  );
});

test('A date is read back as it was written, and what is no date is not read', () => {
  fc.assert(
    fc.property(wallMs, offsetMinutes, (ms, offset) => {
      const day = localDay(ms, offset);
      expect(parseDay(formatDay(day))).toBe(day);
    }),
  );
  for (const text of ['2026-02-30', '2026-13-01', '2026-2-3', '2026-00-10', '']) {
    expect(parseDay(text)).toBeUndefined();
  }
});

test('Local midnight is the first moment of the next local date', () => {
  fc.assert(
    fc.property(wallMs, offsetMinutes, (ms, offset) => {
      const wait = untilMidnightMs(ms, offset);
      expect(localDay(ms + wait, offset)).toBe(localDay(ms, offset) + 1);
      expect(localDay(ms + wait - 1, offset)).toBe(localDay(ms, offset));
    }),
  );
});
