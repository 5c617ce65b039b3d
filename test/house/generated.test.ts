import { expect, test } from 'vitest';
import { referencePages } from '../../scripts/referencePages.ts';
import { textOf } from './sources.ts';

test.each([
  ...referencePages(),
])('%s says what the code says; node scripts/docs.mjs writes it', (path, text) => {
  expect(textOf(path)).toBe(text);
});

test('a word that Markdown or HTML would swallow stands in no generated page', () => {
  const swallowed = [...referencePages()].flatMap(([path, text]) =>
    (text.replace(/`[^`\n]*`|<!--.*-->/g, '').match(/(?<!\\)[<*]\S+/g) ?? []).map(
      (word) => `${path}: ${word}`,
    ),
  );
  expect(swallowed).toEqual([]);
});
