import { expect, test } from 'vitest';
import { headerSection } from './headerSection.ts';

const sectionOf = (text: string, isAll = true): string =>
  new TextDecoder().decode(headerSection(new TextEncoder().encode(text), isAll));

test('the header ends before the empty line', () => {
  expect(sectionOf('A: b\r\nC: d\r\n e\r\n\r\nF: body\r\n')).toBe('A: b\r\nC: d\r\n e\r\n');
  expect(sectionOf('\r\nA: body\r\n')).toBe('');
  expect(sectionOf('')).toBe('');
});

test('of a header that does not end, whole fields are left', () => {
  expect(sectionOf('A: b\r\nC: d\r\n e\r\n', false)).toBe('A: b\r\n');
  expect(sectionOf('A: b\r\nC: d\r\n e', false)).toBe('A: b\r\n');
  expect(sectionOf('A: b\r\nC: d\r\n e\r\n', true)).toBe('A: b\r\nC: d\r\n e\r\n');
});
