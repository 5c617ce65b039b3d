import fc from 'fast-check';
import { expect, test } from 'vitest';
import { civilDate } from '../base/calendar.ts';
import { formatDateTime } from './dateTime.ts';
import { receivedField, type Trace } from './traceHeader.ts';

const trace: Trace = {
  heloName: 'app.example',
  clientAddress: '203.0.113.9',
  hostName: 'mx.example.com',
  listenerAddress: '2001:db8::1',
  protocol: 'ESMTP',
  id: '1f.2a9',
  date: formatDateTime(Date.UTC(2026, 10, 23, 18, 12, 32), -210),
  onlyRecipient: 'a@b.example',
  hideMessageSource: false,
};
const text = (changes: Partial<Trace>): string =>
  new TextDecoder().decode(receivedField({ ...trace, ...changes }));

test('the Received field says from whom, by whom, how, for whom and when (RFC 5321 4.4)', () => {
  expect(text({})).toBe(
    'Received: from app.example ([203.0.113.9]) by mx.example.com\r\n' +
      '\t([IPv6:2001:db8::1]) with ESMTP id 1f.2a9 for <a@b.example>;\r\n' +
      '\tMon, 23 Nov 2026 14:42:32 -0330\r\n',
  );
});

test('hide-message-source leaves client, listener and recipient out', () => {
  const hidden = text({ hideMessageSource: true });
  expect(hidden).toBe(
    'Received: by mx.example.com with ESMTP id 1f.2a9;\r\n\tMon, 23 Nov 2026 14:42:32 -0330\r\n',
  );
});

test('with several recipients none is named', () => {
  expect(text({ onlyRecipient: undefined })).not.toContain('for');
});

test('no HELO name breaks the field, and only a long word passes 78 columns', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (heloName) => {
      const field = text({ heloName });
      expect(field).toMatch(/^Received: [ -~]*(\r\n\t[ -~]+)*\r\n$/);
      expect(field).not.toMatch(/[()].*[()].*[()].*[()].*[()]/s);
      for (const line of field.split('\r\n')) {
        if (line.length > 78) expect(line.trim().split(' ').length).toBeLessThanOrEqual(3);
      }
    }),
  );
});

test('dates are those of the platform, for any second of 400 years and any zone', () => {
  const wallMs = fc.integer({ min: Date.UTC(1890, 0, 1), max: Date.UTC(2290, 0, 1) });
  fc.assert(
    fc.property(wallMs, fc.integer({ min: -840, max: 840 }), (ms, offset) => {
      const local = new Date(ms + offset * 60_000);
      const [weekday, day, month, year, time] = local.toUTCString().replace(',', '').split(' ');
      const sign = offset < 0 ? '-' : '+';
      const zone = `${sign}${String(Math.floor(Math.abs(offset) / 60) * 100 + (Math.abs(offset) % 60)).padStart(4, '0')}`;
      expect(formatDateTime(ms, offset)).toBe(`${weekday}, ${Number(day)} ${month} ${year} ${time} ${zone}`);
    }),
  );
});

test('the civil date of a day is right across leap days', () => {
  expect(civilDate(0)).toEqual({ year: 1970, month: 1, day: 1 });
  expect(civilDate(11_016)).toEqual({ year: 2000, month: 2, day: 29 });
  expect(civilDate(-1)).toEqual({ year: 1969, month: 12, day: 31 });
});
