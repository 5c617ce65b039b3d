import type { Origin } from './config.ts';
import type { Finding } from './finding.ts';
import { sayError, sayWarning } from './say.ts';
import { maskSecrets } from './secrets.ts';

/** A stretch of a line; `column` counts from 1. Never has blanks at its ends. */
export interface Span {
  readonly text: string;
  readonly column: number;
}

/** One line, comment cut off (powermta a.1). `text` is the line as messages may show it. */
export type Line = {
  readonly file: string;
  readonly number: number;
  readonly text: string;
} & (
  | { readonly kind: 'blank' }
  /** Nothing but a comment: does not end a list that runs on. */
  | { readonly kind: 'comment' }
  /** Already reported; the parser skips it. */
  | { readonly kind: 'broken' }
  /** `<name argument>`; `closed` when `</name>` follows on the same line. */
  | {
      readonly kind: 'open';
      readonly name: Span;
      readonly argument: Span | undefined;
      readonly content: Span;
      readonly closed: boolean;
    }
  | { readonly kind: 'close'; readonly name: Span; readonly content: Span }
  | {
      readonly kind: 'directive';
      readonly name: Span;
      readonly value: Span | undefined;
      readonly content: Span;
    }
);

/** PowerMTA has no such bound; it keeps a stray binary from filling memory and terminal. */
export const maxLineLength = 65_536;

/** Characters of a list that runs on over several lines, all of them together. */
export const maxListLength = 262_144;

/** Whoever has more has given us something else than a configuration; it is not read on. */
export const mostErrors = 1_000;

const control = /[\u0000-\u0008\u000b-\u001f\u007f]/;

/** Splits a file into lines and names what each is. Never throws, whatever the text. */
export function lex(file: string, text: string): { lines: readonly Line[]; findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const lines: Line[] = [];
  let runsOn = false;
  let isUtf8 = true;
  let brokenLines = 0;
  const raws = text.replace(/^\ufeff/, '').split('\n');
  for (const [index, withReturn] of raws.entries()) {
    const raw = withReturn.endsWith('\r') ? withReturn.slice(0, -1) : withReturn;
    const { line, backslash } = lexLine(file, index + 1, raw, runsOn, findings);
    lines.push(line);
    // Once a file: in a wrong encoding there is hardly a line without.
    const stray = isUtf8 && 'content' in line ? line.content.text.indexOf('\ufffd') : -1;
    if (stray >= 0 && 'content' in line) {
      isUtf8 = false;
      const message = 'This file holds bytes that are not UTF-8; here are the first.';
      findings.push(sayWarning('W-NOT-UTF8', message, originAt(line, line.content.column + stray)));
    }
    runsOn = backslash;
    if (line.kind === 'broken' && ++brokenLines > mostErrors) break;
  }
  return { lines, findings };
}

/** Where something on a line stands. */
export function originAt(line: Line, column: number): Origin {
  return { file: line.file, line: line.number, column, text: line.text };
}

type Place = Pick<Line, 'file' | 'number' | 'text'>;

/** `backslash`: the next line is meant to belong to this one. */
interface LexedLine {
  readonly line: Line;
  readonly backslash: boolean;
}

function lexLine(file: string, number: number, raw: string, runsOn: boolean, findings: Finding[]): LexedLine {
  const tooLong = raw.length > maxLineLength;
  const text = maskSecrets(tooLong ? raw.slice(0, 200) : raw);
  const place: Place = { file, number, text };
  const reject = (code: string, message: string, column: number, fix = ''): LexedLine => {
    findings.push(sayError(code, message, { file, line: number, column, text }, { underline: 1, fix }));
    return broken(place, false);
  };
  if (tooLong) return reject('E-LINE-TOO-LONG', `This line is longer than ${maxLineLength} characters.`, 1);
  const controlAt = raw.search(control);
  if (controlAt >= 0) {
    const code = raw.charCodeAt(controlAt).toString(16).padStart(4, '0').toUpperCase();
    const message = `A configuration is plain text; this line holds the control character U+${code}.`;
    return reject('E-CONTROL-CHARACTER', message, controlAt + 1);
  }

  const cut = cutComment(raw);
  const content = span(cut.content, 0, cut.content.length);
  const backslash = content?.text.endsWith('\\') ?? false;
  if (runsOn) return broken(place, backslash);
  if (content === undefined) {
    return { line: { file, number, text, kind: cut.commented ? 'comment' : 'blank' }, backslash: false };
  }
  if (backslash) {
    const message = 'There is no continuation with a backslash: a directive ends with its line.';
    const fix = 'write it on one line (a comma list may run on after a comma)';
    reject('E-BACKSLASH', message, content.column + content.text.length - 1, fix);
    return broken(place, true);
  }
  if (cut.quoteAt >= 0) {
    const shown = text === raw ? `: the value read here is ${cut.content.slice(cut.quoteAt)}` : '';
    const message = `A # starts a comment even inside quotes${shown}.`;
    const origin = { file, line: number, column: cut.quoteAt + 1, text };
    findings.push(
      sayWarning('W-COMMENT-IN-QUOTES', message, origin, {
        underline: cut.content.length - cut.quoteAt,
        fix: 'a value cannot hold a #; in a pattern write \\x23',
      }),
    );
  }
  if (!content.text.startsWith('<')) {
    const [name, value] = headAndRest(content);
    return { line: { file, number, text, kind: 'directive', name, value, content }, backslash: false };
  }
  return lexTag(place, content) ?? reject('E-TAG', tagProblem(content.text), content.column);
}

function broken({ file, number, text }: Place, backslash: boolean): LexedLine {
  return { line: { file, number, text, kind: 'broken' }, backslash };
}

function lexTag(place: Place, content: Span): LexedLine | undefined {
  const match = /^<(\s*\/)?([^<]*[^<\s])\s*>(\s*<\s*\/\s*[^\s<>][^<>]*>)?$/.exec(content.text);
  if (match === null) return undefined;
  const { file, number, text } = place;
  const [, slash, inner, closing] = match;
  const innerAt = content.text.indexOf(inner!, 1 + (slash?.length ?? 0));
  const whole = span(inner!, 0, inner!.length)!;
  const column = content.column + innerAt + whole.column - 1;
  const [name, argument] = headAndRest({ text: whole.text, column });
  if (slash !== undefined) {
    if (closing !== undefined) return undefined;
    return { line: { file, number, text, kind: 'close', name, content }, backslash: false };
  }
  const closed = closing !== undefined;
  if (closed && !closing.replace(/[<>/]/g, ' ').trim().toLowerCase().startsWith(name.text.toLowerCase())) {
    return undefined;
  }
  return { line: { file, number, text, kind: 'open', name, argument, content, closed }, backslash: false };
}

function tagProblem(text: string): string {
  if (!text.includes('>')) return 'This tag has no closing >.';
  if (/^<\s*\/?\s*>/.test(text)) return 'This tag has no name.';
  return 'A tag stands alone on its line: <name argument>, then its directives, then </name>.';
}

/**
 * Cuts at the first `#`, quotes or not (powermta h.3). A quote that the cut left open is closed again;
 * `quoteAt` is where it began, otherwise -1.
 */
function cutComment(raw: string): { content: string; commented: boolean; quoteAt: number } {
  let quoteAt = -1;
  for (let at = 0; at < raw.length; at++) {
    const char = raw[at]!;
    if (char === '#') {
      const content = raw.slice(0, at).trimEnd();
      return { content: quoteAt < 0 ? content : `${content}"`, commented: true, quoteAt };
    }
    if (quoteAt >= 0) {
      if (char === '\\') at++;
      else if (char === '"') quoteAt = -1;
    } else if (char === '"' && (at === 0 || /[\s,<|]/.test(raw[at - 1]!))) quoteAt = at;
  }
  return { content: raw, commented: false, quoteAt: -1 };
}

/** The part between two offsets without the blanks around it; undefined when only blanks are left. */
export function span(text: string, from: number, to: number, column = 1): Span | undefined {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === end ? undefined : { text: text.slice(start, end), column: column + start };
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0xa0;
}

function headAndRest(whole: Span): readonly [Span, Span | undefined] {
  let end = 0;
  while (end < whole.text.length && !isBlank(whole.text.charCodeAt(end))) end++;
  const head = { text: whole.text.slice(0, end), column: whole.column };
  return [head, span(whole.text, end, whole.text.length, whole.column)];
}

/** A word of a value, quotes resolved. `at` and `length` count characters as written. */
export interface Word {
  readonly text: string;
  readonly at: number;
  readonly length: number;
}

/**
 * Splits a value at blanks; double quotes group, `\"` and `\\` stand for themselves inside them. A quote
 * in the middle of a word is an ordinary character. A text is the problem, standing at `at`.
 */
export function splitWords(
  value: string,
): readonly Word[] | { readonly problem: string; readonly at: number } {
  const words: Word[] = [];
  let at = 0;
  while (at < value.length) {
    if (isBlank(value.charCodeAt(at))) {
      at++;
      continue;
    }
    const start = at;
    let text = '';
    if (value[at] === '"') {
      at++;
      while (at < value.length && value[at] !== '"') {
        if (value[at] === '\\' && (value[at + 1] === '"' || value[at + 1] === '\\')) at++;
        text += value[at++];
      }
      if (at >= value.length) return { problem: 'This quote is not closed.', at: start };
      at++;
      if (at < value.length && !isBlank(value.charCodeAt(at))) {
        return { problem: 'There must be a blank behind a closing quote.', at };
      }
    } else {
      while (at < value.length && !isBlank(value.charCodeAt(at))) at++;
      text = value.slice(start, at);
    }
    words.push({ text, at: start, length: at - start });
  }
  return words;
}
