import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/cli/exitCodes.ts';
import { files, root, textOf } from './sources.ts';

const pages = files.filter((path) => path.endsWith('.md'));

test('the exit codes in the documents are those of the program', () => {
  const rows = [...textOf('docs/exit-codes.md').matchAll(/^\| (\d+) \| (.+?) \|$/gm)];
  expect(rows.map(([, code, meaning]) => [Number(code), meaning])).toEqual(
    Object.values(exitCodes).map(({ code, meaning }) => [code, meaning]),
  );
});

test('links in documents lead somewhere', () => {
  expect(pages.flatMap((page) => deadLinks(page, textOf(page)))).toEqual([]);
});

/** `[text](path#heading)`; addresses with a scheme are not followed, and code is not read. */
function deadLinks(page: string, text: string): string[] {
  const prose = text.replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => !leadsSomewhere(page, text, link))
    .map((link) => `${page}: ${link}`);
}

function leadsSomewhere(page: string, text: string, link: string): boolean {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? page : posix.join(posix.dirname(page), path);
  if (path !== '' && !existsSync(posix.join(root, target))) return false;
  if (heading === undefined || !target.endsWith('.md')) return true;
  return headings(path === '' ? text : textOf(target)).includes(heading);
}

/** Headings as GitHub spells them in links. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('a link to a missing file and one to a missing heading are found, in either form', () => {
  const text = '# A title\n[a](none.md) [b](#a-title) [c](#b) [d](https://example.com) `[e](none.md)`';
  expect(deadLinks('docs/x.md', text)).toEqual(['docs/x.md: none.md', 'docs/x.md: #b']);
});
