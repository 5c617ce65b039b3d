import { expect, test } from 'vitest';
import { ContentIntake, contentHash, dotStuffed, withoutTrace } from './mailContent.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const contents = [
  '',
  '\r\n',
  '.\r\n',
  '..\r\n.x\r\nx.\r\n',
  'a: b\r\n\r\n.\r\n..\r\n...\r\n',
  '\r\n.\r\n\r\n',
];

test.each(contents)('%j comes out of the wire as it went in, however it is cut', (text) => {
  const wire = new Uint8Array([...dotStuffed(bytesOf(text)), ...bytesOf('MAIL')]);
  for (let cut = 0; cut <= wire.length; cut++) {
    const intake = new ContentIntake();
    const taken = intake.take(wire.subarray(0, cut), 0);
    const rest = intake.take(wire.subarray(cut), 0);
    expect(textOf(intake.content)).toBe(text);
    expect([taken + rest, intake.isComplete, intake.bareLineEnds]).toEqual([wire.length - 4, true, 0]);
  }
});

test.each([
  'a\nb\r\n',
  'a\rb\r\n',
  '\n',
  '.\n',
  '.\rx',
  'a\r\r\n',
])('a bare line end in %j is noticed', (text) => {
  const intake = new ContentIntake();
  intake.take(bytesOf(`${text}\r\n.\r\n`), 0);
  expect(intake.bareLineEnds).toBeGreaterThan(0);
  expect(intake.isComplete).toBe(true);
});

test('the dot line alone is the end, and half of it is not', () => {
  for (const [wire, isComplete] of [
    ['.\r\n', true],
    ['.\r', false],
    ['x.\r\n', false],
    ['x\n.\r\n', false],
  ] as const) {
    const intake = new ContentIntake();
    intake.take(bytesOf(wire), 0);
    expect(intake.isComplete).toBe(isComplete);
  }
});

test('our trace field is taken off, folded lines and all, and nothing else', () => {
  const rest = 'Received: older\r\nA: b\r\n\r\nx\r\n';
  expect(textOf(withoutTrace(bytesOf(`Received: a\r\n b\r\n\tc\r\n${rest}`)))).toBe(rest);
  expect(textOf(withoutTrace(bytesOf('A: Received:\r\n')))).toBe('A: Received:\r\n');
  expect(textOf(withoutTrace(bytesOf('Received: x')))).toBe('Received: x');
});

test('contents that differ in one octet, its place or their length have different hashes', () => {
  const hashes = new Set<string>();
  const all = [bytesOf('')];
  for (let at = 0; at < 100; at++) {
    for (const octet of [0, 1, 255]) {
      const bytes = new Uint8Array(100).fill(7);
      bytes[at] = octet;
      all.push(bytes);
    }
    all.push(new Uint8Array(at + 1));
  }
  for (const bytes of all) hashes.add(contentHash(bytes));
  expect(hashes.size).toBe(all.length);
});
