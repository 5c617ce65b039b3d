import type { Origin } from './config.ts';
import { besideFile, type ConfigFiles } from './configFiles.ts';
import { type DirectiveDefinition, directiveIn, type SectionDefinition, sectionNamed } from './directives.ts';
import type { Finding } from './finding.ts';
import { type Line, lex, maxListLength, mostErrors, originAt, type Span } from './lexer.ts';
import { NearestNames } from './nearest.ts';
import { placeOf, sayError, sayWarning } from './say.ts';
import { directiveProblem, sectionProblem } from './unknownNames.ts';
import type { Reading } from './values.ts';

/** One directive in its place, its value read. */
export interface DirectiveNode {
  readonly kind: 'directive';
  readonly definition: DirectiveDefinition;
  readonly origin: Origin;
  /** How many characters the name has. */
  readonly underline: number;
  /** Never `wrong`: those are reported and left out of the tree. */
  readonly reading: Exclude<Reading<unknown>, { kind: 'wrong' }>;
}

export interface SectionNode {
  readonly kind: 'section';
  readonly definition: SectionDefinition;
  readonly origin: Origin;
  readonly underline: number;
  /** undefined: none, or one that was wrong and is reported. */
  readonly argument: Exclude<Reading<unknown>, { kind: 'wrong' }> | undefined;
  readonly children: readonly ConfigNode[];
}

export type ConfigNode = DirectiveNode | SectionNode;

/** The file as a tree, includes spliced in, and everything that is wrong with its form. */
export interface ParsedConfig {
  readonly nodes: readonly ConfigNode[];
  /** false: the main file itself could not be read, and that is the one finding. */
  readonly readable: boolean;
  /** Nothing but the findings counts: there were too many errors to go on. */
  readonly givenUp: boolean;
  readonly findings: readonly Finding[];
}

const maxIncludeDepth = 20;
const maxFiles = 1_000;

/** A section that is open. `skipped` ones are unknown: their contents were reported with their tag. */
interface Frame {
  readonly name: string;
  readonly origin: Origin | undefined;
  readonly children: ConfigNode[];
  /** Where each directive that may stand once was written first. */
  readonly seen: Map<DirectiveDefinition, DirectiveNode>;
  readonly skipped: boolean;
  /** Sections of the same name that are open within a skipped one: their closing tags are not its own. */
  inner: number;
  /** Opened with `{`, which is not PowerMTA's; reported, but read on. */
  readonly braced: boolean;
}

interface Parse {
  readonly files: ConfigFiles;
  readonly findings: Finding[];
  /** The files being read, outermost first. */
  readonly reading: string[];
  readonly frames: Frame[];
  readonly names: NearestNames;
  filesRead: number;
  /** The first so many of `findings` are counted in `errors`. */
  counted: number;
  errors: number;
}

/** Reads a configuration and all it includes. Every fault is reported, not only the first. */
export function parse(mainFile: string, files: ConfigFiles): ParsedConfig {
  const global = openFrame('global', undefined, []);
  const state: Parse = {
    files,
    findings: [],
    reading: [],
    frames: [global],
    names: new NearestNames(),
    filesRead: 0,
    counted: 0,
    errors: 0,
  };
  readFile(state, mainFile, undefined);
  const givenUp = hasTooManyErrors(state);
  if (givenUp) {
    const message = `There are more than ${mostErrors} errors; what stands behind them was not read.`;
    state.findings.push(sayError('E-TOO-MANY-ERRORS', message, undefined));
  }
  return { nodes: global.children, readable: state.filesRead > 0, givenUp, findings: state.findings };
}

function hasTooManyErrors(state: Parse): boolean {
  const { findings } = state;
  for (; state.counted < findings.length; state.counted++) {
    if (findings[state.counted]!.level === 'error') state.errors++;
  }
  return state.errors > mostErrors;
}

function openFrame(
  name: string,
  origin: Origin | undefined,
  children: ConfigNode[],
  how: 'known' | 'skipped' | 'braced' = 'known',
): Frame {
  const skipped = how === 'skipped';
  return { name, origin, children, seen: new Map(), skipped, inner: 0, braced: how === 'braced' };
}

function readFile(state: Parse, path: string, includedAt: Origin | undefined): void {
  const { findings, frames, reading } = state;
  const file = state.files.read(path);
  if (file.kind === 'failed') {
    const code = file.code === 'ENOENT' ? 'E-FILE-MISSING' : 'E-FILE-UNREADABLE';
    const why = file.code === 'ENOENT' ? 'There is no file' : `${file.code}: cannot read`;
    findings.push(sayError(code, `${why} ${path}.`, includedAt, { underline: 7 }));
    return;
  }
  if (file.worldWritable) {
    findings.push(
      sayWarning('W-WORLD-WRITABLE', `Everyone on this host may change ${path}.`, undefined, {
        fix: `chmod o-w ${path}`,
      }),
    );
  }
  state.filesRead++;
  reading.push(path);
  const lexed = lex(path, file.text);
  for (const finding of lexed.findings) findings.push(finding);
  const base = frames.length;
  for (let at = 0; at < lexed.lines.length && !hasTooManyErrors(state); ) {
    at = readLine(state, lexed.lines, at, base);
  }
  reading.pop();
  // What would close it may stand in what was not read.
  if (hasTooManyErrors(state)) return;
  for (const frame of frames.splice(base)) {
    const message = `<${frame.name}> is not closed${includedAt === undefined ? '' : ' in this file'}.`;
    findings.push(
      sayError('E-UNCLOSED', message, frame.origin, {
        underline: frame.name.length + 1,
        fix: `</${frame.name}> closes it`,
      }),
    );
  }
}

/** Reads the line at `at`, and those it runs on to; gives the index of the next. */
function readLine(state: Parse, lines: readonly Line[], at: number, base: number): number {
  const line = lines[at]!;
  if (line.kind === 'blank' || line.kind === 'comment' || line.kind === 'broken') return at + 1;
  const top = state.frames.at(-1)!;
  if (line.kind === 'close') {
    closeSection(state, line, base);
    return at + 1;
  }
  if (top.skipped) {
    if (line.kind === 'open' && !line.closed && line.name.text.toLowerCase() === top.name) top.inner++;
    return at + 1;
  }
  const braceEnd = line.kind === 'directive' && /^\}\}?$/.test(line.content.text);
  if (braceEnd && top.braced && state.frames.length > base) {
    state.frames.pop();
    return at + 1;
  }
  if (line.kind === 'directive' && isBraceBlock(line)) {
    readBraceBlock(state, line);
    return at + 1;
  }
  const placeholder = /\{\{[^{}]*(\}\}|$)/.exec(line.content.text);
  if (placeholder !== null) {
    const origin = originAt(line, line.content.column + placeholder.index);
    const message = `${placeholder[0].slice(0, 60)} is a template's placeholder that was not filled in.`;
    state.findings.push(sayError('E-PLACEHOLDER', message, origin, { underline: placeholder[0].length }));
  }
  if (line.kind === 'open') {
    openSection(state, line, top, placeholder !== null);
    return at + 1;
  }
  return placeholder === null ? readDirective(state, lines, at, top) : at + 1;
}

const deepestNesting = 16;

function openSection(
  state: Parse,
  line: Line & { kind: 'open' },
  parent: Frame,
  argumentIsPlaceholder: boolean,
): void {
  const { findings, frames } = state;
  const name = line.name.text.toLowerCase();
  const origin = originAt(line, line.content.column);
  const underline = line.content.text.length;
  const definition = sectionNamed(name);
  if (definition === undefined || !definition.scopes.includes(parent.name)) {
    const problem = sectionProblem(parent.name, name, state.names);
    const at = originAt(line, line.name.column);
    findings.push(sayError(problem.code, problem.message, at, { underline: name.length, fix: problem.fix }));
  }
  const children: ConfigNode[] = [];
  // No section nests this deep (powermta a.1); what was refused above is not kept for others to walk.
  const isTooDeep = frames.length > deepestNesting;
  if (definition !== undefined && !isTooDeep) {
    const argument = argumentIsPlaceholder ? undefined : readArgument(state, line, definition);
    parent.children.push({ kind: 'section', definition, origin, underline, argument, children });
  }
  const how = definition === undefined || definition.free || isTooDeep ? 'skipped' : 'known';
  if (!line.closed) frames.push(openFrame(name, origin, children, how));
}

function readArgument(
  state: Parse,
  line: Line & { kind: 'open' },
  { name, argument, argumentMayMiss }: SectionDefinition,
): SectionNode['argument'] {
  if (line.argument === undefined) {
    if (argument !== undefined && !argumentMayMiss) {
      const message = `<${name}> needs ${argument.expected}.`;
      const origin = originAt(line, line.content.column);
      const underline = line.content.text.length;
      state.findings.push(sayError('E-MISSING-VALUE', message, origin, { underline }));
    }
    return undefined;
  }
  if (argument === undefined) {
    const origin = originAt(line, line.argument.column);
    const underline = line.argument.text.length;
    state.findings.push(sayError('E-BAD-VALUE', `<${name}> takes no value.`, origin, { underline }));
    return undefined;
  }
  return settle(state, argument.read(line.argument.text), [{ line, span: line.argument }]);
}

function closeSection(state: Parse, line: Line & { kind: 'close' }, base: number): void {
  const { findings, frames } = state;
  const name = line.name.text.toLowerCase();
  const opened = frames.findLastIndex((frame, at) => at >= base && frame.name === name);
  // Inside an unknown section only its own closing tag means anything.
  if (opened !== frames.length - 1 && frames.at(-1)!.skipped && opened < base) return;
  if (opened < 0) {
    const origin = originAt(line, line.content.column);
    const message = `</${line.name.text.slice(0, 60)}> closes no section that is open here.`;
    findings.push(sayError('E-UNEXPECTED-CLOSE', message, origin, { underline: line.content.text.length }));
    return;
  }
  if (opened === frames.length - 1 && frames[opened]!.inner > 0) {
    frames[opened]!.inner--;
    return;
  }
  for (const frame of frames.splice(opened).slice(1)) {
    const message = `<${frame.name}> is not closed before </${name}> in line ${line.number}.`;
    findings.push(
      sayError('E-UNCLOSED', message, frame.origin, {
        underline: frame.name.length + 1,
        fix: `</${frame.name}> closes it`,
      }),
    );
  }
}

/** `domain gmail.com {`: not PowerMTA's, but what it means is plain, so its contents are checked too. */
function isBraceBlock(line: Line & { kind: 'directive' }): boolean {
  const braces = /(^|\s)\{\{?(\s|$)/.test(line.value?.text ?? '');
  return braces && sectionNamed(line.name.text.toLowerCase()) !== undefined;
}

function readBraceBlock(state: Parse, line: Line & { kind: 'directive' }): void {
  const name = line.name.text.toLowerCase();
  const value = line.value!;
  const braceAt = value.text.search(/(^|\s)\{\{?(\s|$)/);
  const argument = value.text.slice(0, braceAt).trim();
  const origin = originAt(line, line.name.column);
  state.findings.push(
    sayError('E-BRACES', 'A section is not written with braces.', origin, {
      underline: line.content.text.length,
      fix: `write <${name}${argument === '' ? '' : ` ${argument}`}>, then its directives on their own lines, then </${name}>`,
    }),
  );
  const closed = /\}\s*$/.test(value.text);
  if (!closed) state.frames.push(openFrame(name, origin, [], 'braced'));
}

/** A piece of a value; a comma list may have several, one a line. */
interface Piece {
  readonly line: Line;
  readonly span: Span;
}

function readDirective(state: Parse, lines: readonly Line[], at: number, scope: Frame): number {
  const line = lines[at] as Line & { kind: 'directive' };
  const pattern = scope.name === 'bounce-category-patterns';
  const name = pattern ? '/' : line.name.text.toLowerCase();
  const origin = originAt(line, line.name.column);
  const underline = line.name.text.length;
  const definition = directiveIn(scope.name, name);
  if (definition === undefined) {
    const problem = directiveProblem(scope.name, name, state.names);
    state.findings.push(sayError(problem.code, problem.message, origin, { underline, fix: problem.fix }));
    return at + 1;
  }
  const value = pattern ? line.content : line.value;
  const pieces: Piece[] = value === undefined ? [] : [{ line, span: value }];
  const next = definition.reader.list ? runOn(lines, at + 1, pieces, name === 'domain-macro') : at + 1;
  if (pieces.length === 0) {
    const commented = line.text.includes('#') ? 'a # starts a comment, also in the middle of a value' : '';
    const message = `${name} needs ${definition.reader.expected}.`;
    state.findings.push(sayError('E-MISSING-VALUE', message, origin, { underline, fix: commented }));
    return next;
  }
  const length = pieces.reduce((sum, piece) => sum + piece.span.text.length, 0);
  if (length > maxListLength) {
    const message = `The list of ${name} runs on over more than ${maxListLength} characters, to line ${lines[next - 1]!.number}.`;
    const fix = 'a comma at the end of a line takes in the next line';
    state.findings.push(sayError('E-LINE-TOO-LONG', message, origin, { underline, fix }));
    return next;
  }
  const raw = pieces.map((piece) => piece.span.text).join('\n');
  const reading = settle(state, definition.reader.read(raw), pieces);
  if (reading === undefined) return next;
  if (name === 'include') {
    if (reading.kind === 'value') include(state, reading.value as string, origin, underline);
    return next;
  }
  const node: DirectiveNode = { kind: 'directive', definition, origin, underline, reading };
  const before = scope.seen.get(definition);
  if (before !== undefined && !definition.repeatable) {
    const message = `${name} stands in ${placeOf(before.origin, origin)} already; the last one counts.`;
    state.findings.push(
      sayWarning('W-REPEATED', message, origin, { underline, fix: 'take one of them out' }),
    );
  }
  scope.seen.set(definition, node);
  scope.children.push(node);
  return next;
}

/** Lines a comma list runs on to (powermta a.1): after a comma, and after a bare `domain-macro NAME`. */
function runOn(lines: readonly Line[], from: number, pieces: Piece[], isMacro: boolean): number {
  let at = from;
  for (;;) {
    const written = pieces.at(-1)?.span.text ?? '';
    const bareMacro = isMacro && pieces.length === 1 && /^\w+$/.test(written);
    if (!written.endsWith(',') && !bareMacro) return at;
    let next = at;
    while (lines[next]?.kind === 'comment') next++;
    const line = lines[next];
    if (line?.kind !== 'directive') return at;
    pieces.push({ line, span: line.content });
    at = next + 1;
  }
}

/** Reports a wrong value where it stands; the rest is passed on. */
function settle(
  state: Parse,
  reading: Reading<unknown>,
  pieces: readonly Piece[],
): Exclude<Reading<unknown>, { kind: 'wrong' }> | undefined {
  if (reading.kind !== 'wrong') return reading;
  let at = reading.at;
  let piece = pieces[0]!;
  for (const candidate of pieces) {
    piece = candidate;
    if (at <= candidate.span.text.length) break;
    at -= candidate.span.text.length + 1;
  }
  const room = Math.max(0, piece.span.text.length - at);
  const origin = originAt(piece.line, piece.span.column + Math.min(at, piece.span.text.length));
  const underline = Math.min(reading.length ?? room, room);
  state.findings.push(sayError(reading.code, reading.problem, origin, { underline, fix: reading.fix }));
  return undefined;
}

function include(state: Parse, written: string, origin: Origin, underline: number): void {
  const { files, findings, reading } = state;
  const pattern = besideFile(origin.file, written);
  const paths = files.expand(pattern);
  if (paths.length === 0) {
    findings.push(sayWarning('W-INCLUDE-EMPTY', `No file matches ${pattern}.`, origin, { underline }));
  }
  for (const path of paths) {
    if (reading.includes(path)) {
      const chain = [...reading.slice(reading.indexOf(path)), path].join(' includes ');
      findings.push(
        sayError('E-INCLUDE-LOOP', `This include goes in a circle: ${chain}.`, origin, { underline }),
      );
    } else if (reading.length >= maxIncludeDepth || state.filesRead >= maxFiles) {
      const message = `Includes go deeper than ${maxIncludeDepth} files, or there are more than ${maxFiles}.`;
      findings.push(sayError('E-INCLUDE-DEPTH', message, origin, { underline }));
      return;
    } else readFile(state, path, origin);
  }
}
