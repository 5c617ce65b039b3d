/**
 * The pages of docs/ that are tables of the code: written by scripts/docs.mjs, and compared with what
 * lies in docs/ by test/house/generated.test.ts.
 */
import {
  type DirectiveDefinition,
  directives,
  type SectionDefinition,
  sections,
} from '../src/config/directives.ts';
import type { ContentFaultKind } from '../src/protocol/dataStream.ts';
import {
  badContent,
  chunkAccepted,
  greeting,
  hello,
  messageAccepted,
  noSuchVirtualMta,
  notServed,
  replies,
  virtualMtaNotAllowed,
} from '../src/protocol/replies.ts';
import type { Reply } from '../src/protocol/reply.ts';

/** Text by path from the root. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/directives.md', directivesPage()],
    ['docs/replies.md', repliesPage()],
  ]);
}

const generated = '<!-- Written by scripts/docs.mjs. Change the code it is read from, then run that. -->';

function directivesPage(): string {
  const count = (status: string): number => directives.filter((row) => row.status === status).length;
  const types = new Map(directives.map(({ reader }) => [reader.type, reader.expected]));
  return page([
    '# Directives',
    generated,
    `Every directive and section Penstock knows, from \`src/config/directives.ts\`: ${directives.length} rows, ` +
      `${count('honoured')} of them honoured, ${count('harmless')} harmless, ${count('unsafe')} unsafe. ` +
      'What the words mean is told in [configuration](configuration.md#honoured-harmless-unsafe). A name with ' +
      '"repeatable" may stand several times in one place; of any other the last one counts. A default in ' +
      'parentheses cannot be written.',
    '## Sections',
    table(['section', 'argument', 'stands', 'status', 'what it is'], sections.map(sectionCells)),
    '## Where directives stand',
    ...inScopes().flatMap(({ scopes, rows }) => [
      `### ${prose(scopes.map(scopeText).join(', '))}`,
      table(['directive', 'value', 'default', 'status', 'what it does'], rows.map(directiveCells)),
    ]),
    '## Value types',
    table(
      ['type', 'what is expected'],
      [...types].sort().map(([type, expected]) => [code(type), prose(expected)]),
    ),
  ]);
}

/** The table's own groups: neighbours that may stand in the same places. */
function inScopes(): { scopes: readonly string[]; rows: DirectiveDefinition[] }[] {
  const groups: { scopes: readonly string[]; rows: DirectiveDefinition[] }[] = [];
  for (const row of directives) {
    const last = groups.at(-1);
    if (last?.scopes === row.scopes) last.rows.push(row);
    else groups.push({ scopes: row.scopes, rows: [row] });
  }
  return groups;
}

function directiveCells(row: DirectiveDefinition): string[] {
  return [
    `${code(row.name)}${row.repeatable ? ', repeatable' : ''}`,
    code(row.reader.type),
    row.defaultText.startsWith('(') ? prose(row.defaultText) : code(row.defaultText),
    row.defaultNotHonoured ? `${row.status}, always said` : row.status,
    prose(row.doc),
  ];
}

function sectionCells(row: SectionDefinition): string[] {
  const argument = row.argument === undefined ? '' : code(row.argument.type);
  return [
    code(`<${row.name}>`),
    row.argumentMayMiss ? `${argument}, may miss` : argument,
    prose(row.scopes.map(scopeText).join(', ')),
    row.status,
    prose(row.doc),
  ];
}

function scopeText(scope: string): string {
  return scope === 'global' ? 'top level' : `in <${scope}>`;
}

const faults: readonly ContentFaultKind[] = ['bareCr', 'bareLf', 'nul', 'longLine'];

function repliesPage(): string {
  const rows = Object.values(replies);
  return page([
    '# Replies',
    generated,
    'Everything the server says, from `src/protocol/replies.ts`. When each ' +
      "is said is told in [a message's way](path.md). 421 and 221 close the connection, and so does whatever " +
      'says "closing connection"; after any other reply the session goes on.',
    '## The table',
    table(
      ['code', 'enhanced', 'text', 'RFC section'],
      rows.map((row) => [...replyCells(row), row.rfc]),
    ),
    '## With something of the client in them',
    table(
      ['code', 'enhanced', 'text', 'when'],
      [
        [greeting('HOST'), 'greeting; RFC 5321 4.3.1'],
        [notServed('HOST'), 'instead of a greeting: smtp-service no; closes; RFC 7504 3'],
        [hello('HOST', ['KEYWORD ...']), 'EHLO; HELO is answered by the name alone; RFC 5321 4.1.1.1'],
        [chunkAccepted(86), 'a BDAT chunk that is not the last; RFC 3030 2'],
        [noSuchVirtualMta('NAME'), 'content: X-Virtual-MTA, where it is obeyed'],
        [virtualMtaNotAllowed('NAME'), 'content: X-Virtual-MTA, not among allowed-virtual-mtas'],
        [messageAccepted('1f.2a9'), 'the message is stored; RFC 5321 4.2.5'],
        ...faults.map(
          (kind) => [badContent({ kind, line: 7 }), 'content; RFC 5321 2.3.8, 4.5.3.1.6'] as const,
        ),
      ].map(([reply, when]) => [...replyCells(reply as Reply), when as string]),
    ),
  ]);
}

function replyCells({ code: number, enhanced, lines }: Reply): string[] {
  return [String(number), enhanced, prose(lines.join(' / '))];
}

function page(parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``;
}

/** As it stands: nothing in it is Markdown or HTML. */
function prose(text: string): string {
  return text.replace(/[<>*|[\]_\\]/g, '\\$&');
}
