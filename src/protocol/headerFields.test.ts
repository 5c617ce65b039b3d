import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ContentScanner, dotStuff } from './dataStream.ts';
import { dotUnstuffed } from './dotStuffing.ts';
import { fieldFinder, type HeaderField, withoutRanges } from './headerFields.ts';

const octets = (characters: string): Uint8Array =>
  Uint8Array.from(characters, (character) => character.charCodeAt(0));
const characters = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => String.fromCharCode(...chunk)).join('');

/** Cut at these offsets, in any order. */
function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  const chunks = edges.slice(1).map((to, i) => bytes.subarray(edges[i]!, to));
  return chunks.filter((chunk) => chunk.length > 0);
}

const find = (content: string, ...names: string[]): readonly HeaderField[] =>
  fieldFinder(names)([octets(content)], 'raw');

/** What `find` finds, as name and value. */
const said = (content: string, ...names: string[]): readonly string[] =>
  find(content, ...names).map(({ name, value }) => `${name}:${value}`);

test('a field is found by its name in any case, with its value, its blanks and its lines', () => {
  const content = 'Subject: a\r\nx-JOB: \t b \r\nTo: c\r\n\r\nX-Job: body\r\n';
  expect(find(content, 'x-job')).toEqual([{ name: 'x-job', value: ' \t b ', from: 12, to: 25 }]);
});

test('a folded field is one value without its line ends, and all of its lines are its own', () => {
  const content = 'X-Job: a\r\n\tb\r\n  c\r\nTo: d\r\n';
  expect(find(content, 'x-job')).toEqual([{ name: 'x-job', value: ' a\tb  c', from: 0, to: 19 }]);
});

test('blanks before the colon are obsolete and do not hide a field', () => {
  expect(said('X-Job \t: a\r\n\r\n', 'x-job')).toEqual(['x-job: a']);
});

test('fields of one name are found all, in their order', () => {
  expect(said('X-Job: a\r\nTo: b\r\nX-JOB:c\r\n\r\n', 'x-job', 'to')).toEqual([
    'x-job: a',
    'to: b',
    'x-job:c',
  ]);
});

test('a name that only begins as a wanted one, or ends so, is another name', () => {
  expect(said('X-Jobs: a\r\nX-Jo: b\r\nOld-X-Job: c\r\nX-Job.: d\r\n\r\n', 'x-job')).toEqual([]);
});

test('the section ends at the empty line, at the first line that is no field, and at a fold without a field', () => {
  for (const end of ['\r\n', 'no field\r\n', ': no name\r\n', 'n\xe9: 8-bit name\r\n', '> From: quoted\r\n'])
    expect(said(`To: a\r\n${end}X-Job: b\r\n`, 'x-job')).toEqual([]);
  expect(said(' folded\r\nX-Job: b\r\n', 'x-job')).toEqual([]);
});

test('a value is read as UTF-8; octets that are none, and controls, are there to be judged', () => {
  expect(said('X-Job: gr\xc3\xbcn\r\n\r\n', 'x-job')).toEqual(['x-job: gr\u00fcn']);
  expect(said('X-Job: gr\xfcn\x01\x00\r\n\r\n', 'x-job')).toEqual(['x-job: gr\ufffdn\x01\x00']);
});

test('content that ends within the section ends a field', () => {
  expect(find('X-Job: a', 'x-job')).toEqual([{ name: 'x-job', value: ' a', from: 0, to: 8 }]);
  expect(find('X-Job: a\r\n', 'x-job')).toEqual([{ name: 'x-job', value: ' a', from: 0, to: 10 }]);
  expect(find('', 'x-job')).toEqual([]);
});

test('stuffed dots belong to their lines, not to names and values', () => {
  const stuffed = '..X: a\r\n. folded\r\nTo: b\r\n.\r\n';
  const fields = fieldFinder(['.x'])([octets(stuffed)], 'dotStuffed');
  expect(fields).toEqual([{ name: '.x', value: ' a folded', from: 0, to: 18 }]);
});

/** The same by splitting text. */
function reference(content: string, wanted: readonly string[]): readonly string[] {
  const found: string[] = [];
  let open = false;
  let isFirst = true;
  for (const line of content.split('\r\n')) {
    const fold = /^[ \t]/.test(line) && !isFirst;
    const field = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:(.*)$/s.exec(line);
    if (!fold && field === null) break;
    if (fold && open) found[found.length - 1] += line;
    if (!fold) {
      open = wanted.includes(field![1]!.toLowerCase());
      if (open) found.push(`${field![1]!.toLowerCase()}:${field![2]!}`);
    }
    isFirst = false;
  }
  return found;
}

const lines = fc.array(
  fc.constantFrom(
    'X-Job: a',
    'x-job : b',
    'To: c',
    ' d',
    '\te',
    '.f: g',
    '',
    '.',
    'no field',
    'X-Job:',
    '. h',
  ),
  { maxLength: 9 },
);
const cuts = fc.array(fc.nat(), { maxLength: 6 });

test('the fields are those of a naive reading, in both forms, however the content is cut', () => {
  const wanted = ['x-job', '.f'];
  const finder = fieldFinder(wanted);
  fc.assert(
    fc.property(lines, fc.boolean(), cuts, (text, isStuffed, at) => {
      const raw = octets(text.map((line) => `${line}\r\n`).join(''));
      const wire = isStuffed ? octets(characters(dotStuff([raw]))) : raw;
      const fields = finder(cutAt(wire, at), isStuffed ? 'dotStuffed' : 'raw');
      expect(fields.map(({ name, value }) => `${name}:${value}`)).toEqual(
        reference(characters([raw]), wanted),
      );
    }),
    { numRuns: 2000 },
  );
});

test('content without the fields that were found holds no such field, and is sound in its form', () => {
  const finder = fieldFinder(['x-job', '.f']);
  fc.assert(
    fc.property(lines, fc.boolean(), cuts, cuts, (text, isStuffed, at, atAgain) => {
      const raw = octets(text.map((line) => `${line}\r\n`).join(''));
      const wire = isStuffed ? octets(characters(dotStuff([raw]))) : raw;
      const form = isStuffed ? 'dotStuffed' : 'raw';
      const chunks = cutAt(wire, at);
      const fields = finder(chunks, form);
      const left = withoutRanges(chunks, fields);
      expect(finder(cutAt(octets(characters(left)), atAgain), form)).toEqual([]);

      const length = fields.reduce((sum, { from, to }) => sum + to - from, 0);
      const scanner = new ContentScanner(form);
      const whole = octets(characters(left));
      expect(scanner.scan(whole, 0, whole.length)).toBe(isStuffed ? whole.length : -1);
      expect(scanner.fault).toBeUndefined();
      expect(whole.length).toBe(wire.length - length);
      const after = isStuffed ? characters(dotUnstuffed(whole)) : characters([whole]);
      expect(characters([raw]).endsWith(after.slice(after.search(/(^|\r\n)\r\n|$/)))).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('what is left are views of the chunks, and all of them where nothing is cut', () => {
  const chunks = [octets('abc'), octets('def'), octets('ghi')];
  expect(withoutRanges(chunks, [])).toEqual(chunks);
  const left = withoutRanges(chunks, [
    { from: 1, to: 2 },
    { from: 2, to: 7 },
  ]);
  expect(characters(left)).toBe('ahi');
  for (const view of left) expect(chunks.some(({ buffer }) => buffer === view.buffer)).toBe(true);
});
