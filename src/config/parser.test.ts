import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryConfigFiles } from './configFiles.ts';
import { directives, sections } from './directives.ts';
import { type ConfigNode, parse } from './parser.ts';
import { readConfig } from './readConfig.ts';
import { checkReport, renderFindings } from './render.ts';

const files = (texts: Record<string, string>) => memoryConfigFiles(new Map(Object.entries(texts)), 'h.test');
const parseText = (text: string) => parse('/c', files({ '/c': text }));
const codes = (text: string) => parseText(text).findings.map((finding) => finding.code);
const outline = (nodes: readonly ConfigNode[]): unknown[] =>
  nodes.map((node) =>
    node.kind === 'section' ? [node.definition.name, outline(node.children)] : node.definition.name,
  );

const fragment = fc.oneof(
  fc.constantFrom(...directives.map((row) => row.name)),
  fc.constantFrom(...sections.flatMap(({ name }) => [`<${name}>`, `<${name} a>`, `</${name}>`])),
  fc.constantFrom(
    '10m',
    'yes',
    '$m',
    '0/0:25',
    '/a/',
    '{{x}}',
    '{',
    '}',
    '#',
    '\\',
    ',',
    '"',
    'include /c',
    '\u0001',
  ),
);
const anyConfig = fc
  .array(fc.tuple(fragment, fc.constantFrom(' ', '\n', '\n', '\r\n')), { maxLength: 60 })
  .map((parts) => parts.map((part) => part.join('')).join(''));

test('whatever the text, reading ends, and every finding stands on a line that exists', () => {
  fc.assert(
    fc.property(fc.oneof(anyConfig, fc.string()), (text) => {
      const { config, findings } = readConfig('/c', files({ '/c': text }));
      expect(config === undefined).toBe(findings.some((finding) => finding.level === 'error'));
      const lines = text.split('\n').length;
      for (const { origin, underline } of findings) {
        if (origin === undefined) continue;
        expect(origin.line).toBeGreaterThan(0);
        expect(origin.line).toBeLessThanOrEqual(lines);
        expect(origin.column).toBeGreaterThan(0);
        expect(origin.column - 1 + underline).toBeLessThanOrEqual(origin.text.length);
      }
      expect(renderFindings(findings)).not.toContain('\u0001');
      expect(checkReport('/c', findings).findings).toHaveLength(findings.length);
    }),
  );
});

test('sections nest, and their tags may have blanks and capitals', () => {
  const text = ' < Virtual-MTA v1 >\n<domain *>\nMax-SMTP-Out 3\n</DOMAIN>\n</virtual-mta v1>';
  const { nodes, findings } = parseText(text);
  expect(findings).toEqual([]);
  expect(outline(nodes)).toEqual([['virtual-mta', [['domain', ['max-smtp-out']]]]]);
});

test.each([
  ['a section left open', '<domain *>\nretry-after 1m', 'E-UNCLOSED', 1],
  ['an inner section left open', '<virtual-mta v>\n<domain *>\n</virtual-mta>', 'E-UNCLOSED', 2],
  ['a closing tag too many', 'run-as-root no\n</domain>', 'E-UNEXPECTED-CLOSE', 2],
  ['an unknown directive', 'spool /s\nretry-afer 1m', 'E-UNKNOWN-DIRECTIVE', 2],
  ['a directive in the wrong place', '<source 10/8>\nmax-msg-rate 1/h\n</source>', 'E-MISPLACED', 2],
  ['an unknown section', '<domian *>\nwhatever 1\n<x>\n</x>\n</domian>', 'E-UNKNOWN-SECTION', 1],
  ['a section in the wrong place', '<source 10/8>\n<domain *>\n</domain>\n</source>', 'E-MISPLACED', 2],
  ['a value that is missing', 'spool', 'E-MISSING-VALUE', 1],
  ['a tag without its argument', '<domain>\n</domain>', 'E-MISSING-VALUE', 1],
  ['an argument too many', '<dns x>\n</dns>', 'E-BAD-VALUE', 1],
  ['a placeholder', 'postmaster {{who}}', 'E-PLACEHOLDER', 1],
  ['braces', 'source 10/8 {\nsmtp-service yes\n}', 'E-BRACES', 1],
])('%s is one error, on its line', (_, text, code, line) => {
  expect(parseText(text).findings).toMatchObject([{ level: 'error', code, origin: { line } }]);
});

test('what is meant is said: the nearest name here, where it belongs, or how PowerMTA writes it', () => {
  const fixOf = (text: string) => parseText(text).findings[0]!.fix;
  expect(fixOf('<domain *>\nretry-afer 1m\n</domain>')).toBe('did you mean retry-after?');
  expect(fixOf('retry-after 1m')).toBe('it belongs in <domain>');
  expect(fixOf('max-smpt-out 1')).toContain('did you mean max-smtp-out? It belongs in <virtual-mta>');
  expect(fixOf('<domain *>\nmax-conn-rate 1/s\n</domain>')).toBe('the directive is max-connect-rate');
  expect(fixOf('<accounting>\npath /x\n</accounting>')).toContain('<acct-file');
  expect(fixOf('<sorce 10/8>\n</sorce>')).toBe('did you mean <source>?');
  expect(fixOf('<http-access>\n</http-access>')).toContain('http-access CIDR LEVEL');
});

test('all faults are reported at once', () => {
  expect(codes('spool\nfoo bar\n<domain *>\nretry-after x\nretry-after 1\n')).toEqual([
    'E-MISSING-VALUE',
    'E-UNKNOWN-DIRECTIVE',
    'E-BAD-VALUE',
    'E-UNCLOSED',
  ]);
});

test('a wrong item of a list that runs on is marked on its own line', () => {
  const text = 'domain-macro big a.example,\n# between\n  b.example, c d,\ne.example';
  expect(parseText(text).findings).toMatchObject([{ code: 'E-BAD-VALUE', origin: { line: 3, column: 16 } }]);
});

test('a list runs on after a comma, and a bare domain-macro takes the next line', () => {
  const values = (text: string) =>
    parseText(text).nodes.map((node) => (node.kind === 'directive' ? node.reading : undefined));
  const value = (name: string, items: string[]) => ({ kind: 'value', value: { name, items } });
  expect(values('domain-macro a x.y,\n\tz.y\nrun-as-root no')).toMatchObject([
    value('a', ['x.y', 'z.y']),
    { value: false },
  ]);
  expect(values('domain-macro b\nx.y,z.y\n')).toMatchObject([value('b', ['x.y', 'z.y'])]);
  expect(values('domain-macro c x.y,\n<domain *>\n</domain>')).toMatchObject([
    value('c', ['x.y']),
    undefined,
  ]);
});

test('a single-value directive that is repeated in one block is warned of, in two blocks not', () => {
  expect(codes('<domain *>\nretry-after 1m\nretry-after 2m\n</domain>')).toEqual(['W-REPEATED']);
  expect(codes('<domain *>\nretry-after 1m\n</domain>\n<domain *>\nretry-after 2m\n</domain>')).toEqual([]);
  expect(codes('postmaster a@b\npostmaster c@d')).toEqual([]);
});

test('includes are spliced in place, relative to the file that names them', () => {
  const parsed = parse(
    '/e/c',
    files({
      '/e/c': 'include conf.d/*.conf\nspool /s',
      '/e/conf.d/b.conf': 'engines 2',
      '/e/conf.d/a.conf': 'host-id 1',
    }),
  );
  expect(parsed.findings).toEqual([]);
  expect(outline(parsed.nodes)).toEqual(['host-id', 'engines', 'spool']);
  expect(parsed.nodes[1]!.origin).toMatchObject({ file: '/e/conf.d/b.conf', line: 1 });
});

test('an include inside a section belongs to it', () => {
  const parsed = parse(
    '/c',
    files({ '/c': '<virtual-mta v>\ninclude k\n</virtual-mta>', '/k': 'max-smtp-out 5' }),
  );
  expect(outline(parsed.nodes)).toEqual([['virtual-mta', ['max-smtp-out']]]);
});

test('includes that go in a circle, too deep, or nowhere are errors on their line', () => {
  const findingsOf = (texts: Record<string, string>) => parse('/c', files(texts)).findings;
  expect(findingsOf({ '/c': '\ninclude d', '/d': 'include c' })).toMatchObject([
    { code: 'E-INCLUDE-LOOP', origin: { file: '/d', line: 1 } },
  ]);
  expect(findingsOf({ '/c': 'include x/../d', '/d': 'include ./c' })).toMatchObject([
    { code: 'E-INCLUDE-LOOP' },
  ]);
  const deep = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`/f${at}`, `include f${at + 1}`]));
  expect(findingsOf({ '/c': 'include f0', ...deep })).toMatchObject([{ code: 'E-INCLUDE-DEPTH' }]);
  expect(findingsOf({ '/c': '\ninclude x' })).toMatchObject([
    { code: 'E-FILE-MISSING', origin: { line: 2 } },
  ]);
  expect(findingsOf({ '/c': 'include x*' })).toMatchObject([{ code: 'W-INCLUDE-EMPTY' }]);
});

test('a section must close in the file that opened it', () => {
  const { findings } = parse('/c', files({ '/c': 'include a\nspool /s\n</dns>', '/a': '<dns>' }));
  expect(findings.map((finding) => finding.code)).toEqual(['E-UNCLOSED', 'E-UNEXPECTED-CLOSE']);
});

test('includes that double at every step end', () => {
  const texts = Object.fromEntries(
    Array.from({ length: 18 }, (_, at) => [`/f${at}`, `include f${at + 1}\ninclude f${at + 1}\n`]),
  );
  const { findings } = parse('/f0', files({ ...texts, '/f18': 'spool /s' }));
  expect(findings.length).toBeLessThan(100);
  expect(findings.map((finding) => finding.code)).toContain('E-INCLUDE-DEPTH');
});

test('a main file that cannot be read is the one finding', () => {
  expect(readConfig('/none', files({}))).toMatchObject({
    config: undefined,
    findings: [{ code: 'E-FILE-MISSING', message: 'There is no file /none.' }],
  });
});

test('sections nested by the thousand are errors, not a stack overflow', () => {
  const files = memoryConfigFiles(new Map([['deep', '<virtual-mta a>\n'.repeat(30_000)]]), 'h.test');
  const { config, findings } = readConfig('deep', files);
  expect(config).toBeUndefined();
  expect(findings.some(({ level }) => level === 'error')).toBe(true);
});
