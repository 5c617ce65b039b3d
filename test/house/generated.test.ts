import { expect, test } from 'vitest';
import { referencePages } from '../../scripts/referencePages.ts';
import { columnsFor } from '../../src/accounting/fields.ts';
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

test("every reply that a message's way names is one the server sends", () => {
  const page = textOf('docs/path.md');
  const sent = new Set(
    [...textOf('docs/replies.md').matchAll(/^\| (\d{3}) \| ([\d.]+) \|/gm)].map(replyNamed),
  );
  const told = [...page.slice(0, page.indexOf('## 8. Queue')).matchAll(/(\d{3}) ([245]\.\d+\.\d+)/g)].map(
    replyNamed,
  );
  expect(told.length).toBeGreaterThan(20);
  expect(told.filter((reply) => !sent.has(reply))).toEqual([]);
});

function replyNamed([, code, enhanced]: RegExpExecArray): string {
  return `${code} ${enhanced}`;
}

test('the accounting page has the columns of a file with every record type, in order', () => {
  const [columns] = /^## Columns[\s\S]*(?=^## Files)/m.exec(textOf('docs/accounting.md'))!;
  const named = [...columns.matchAll(/^\| `(\w+)` \|/gm)].map(([, column]) => column);
  expect(named).toEqual(columnsFor(['d', 'b', 't', 'r']).map(({ name }) => name));
});
