import { expect, test } from 'vitest';
import { directiveIn, directives, sections } from './directives.ts';
import { domainTable } from './resolveDomains.ts';
import { injectionSourceTable } from './resolveSources.ts';

test('no directive stands twice in the same scope', () => {
  const places = directives.flatMap((row) => row.scopes.map((scope) => `${scope} ${row.name}`));
  expect(places.filter((place, at) => places.indexOf(place) !== at)).toEqual([]);
});

test('every scope is a section or global, and every section has a scope it stands in', () => {
  const scopes = new Set(['global', ...sections.map((section) => section.name)]);
  for (const row of [...directives, ...sections]) {
    for (const scope of row.scopes) expect(scopes, `${row.name}: ${scope}`).toContain(scope);
    expect(row.doc, row.name).toMatch(/^[A-Z</0-9a-z].*\.$/);
  }
});

test('every default that is not in parentheses is a value of its directive', () => {
  for (const { name, defaultText, reader } of directives) {
    if (defaultText === '' || defaultText.startsWith('(')) continue;
    expect(reader.read(defaultText).kind, `${name} ${defaultText}`).toBe('value');
  }
});

test.each([
  ['source', injectionSourceTable],
  ['domain', domainTable],
] as const)('what is honoured in <%s> is held by its settings', (scope, table) => {
  const honoured = directives.filter((row) => row.status === 'honoured' && row.scopes.includes(scope));
  const names = honoured.map((row) => row.name).filter((name) => name !== 'include');
  const held = Object.values(table).flatMap((source) => source.names);
  expect(names.filter((name) => !held.includes(name))).toEqual([]);
});

test('a family of names covers its members only', () => {
  expect(directiveIn('domain', 'sparkpost-api-url')?.name).toBe('sparkpost-*');
  expect(directiveIn('source', 'sparkpost-api-url')).toBeUndefined();
  expect(directiveIn('global', 'threads')).toBeUndefined();
});
