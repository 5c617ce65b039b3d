import { compileLinearPattern, isBadPattern } from '../base/linearPattern.ts';
import { headerName, name, type Reading, right, splitAt, type ValueReader, wrong } from './values.ts';

/** Lines that begin with a regular expression. Only their syntax is read here; matching comes later. */

/** The offset behind the closing slash, or what is wrong. `/` inside is written `\/`. */
export function regexEnd(text: string): number | Reading<never> {
  if (!text.startsWith('/')) return wrong('Expected a pattern between slashes.', { length: 1 });
  let depth = 0;
  let classAt = -1;
  for (let at = 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\') at++;
    else if (char === '/') {
      if (classAt >= 0) return wrong('This [ is not closed.', { at: classAt, length: 1 });
      return depth === 0 ? at + 1 : wrong('A ( in this pattern is not closed.', { length: at + 1 });
    } else if (classAt >= 0) {
      if (char === ']' && at > classAt + (text[classAt + 1] === '^' ? 2 : 1)) classAt = -1;
    } else if (char === '[') classAt = at;
    else if (char === '(') depth++;
    else if (char === ')' && --depth < 0) return wrong('This ) closes nothing.', { at, length: 1 });
  }
  return wrong('This pattern has no closing slash.', {
    fix: 'a pattern stands on one line; write / as \\/ and # as \\x23 inside it',
  });
}

/** What follows a pattern of a `<pattern-list>`; '' and undefined where it does not say. */
export type ListResult =
  | { readonly kind: 'choice'; readonly virtualMta: string; readonly recipientPriority: number | undefined }
  | { readonly kind: 'call'; readonly list: string };

/** One line of a `<pattern-list>`. */
export interface ListLine {
  /** In lower case; '' for none. */
  readonly header: string;
  /** Between the slashes; '' for everything. */
  readonly expression: string;
  /** undefined: a nested list follows. */
  readonly result: ListResult | undefined;
}

const resultParts = /^(?:virtual-mta=(\S+)|recipient-priority=(\d{1,3}))$/i;

function readResult(text: string): Reading<ListResult> {
  const call = /^call-to:\s*(\S+)$/i.exec(text)?.[1];
  if (call !== undefined && name.read(call).kind === 'value') return right({ kind: 'call', list: call });
  let virtualMta = '';
  let recipientPriority: number | undefined;
  for (const part of splitAt(text, /,/)) {
    const match = resultParts.exec(part.text);
    const isName = match?.[1] === undefined || name.read(match[1]).kind === 'value';
    if (match === null || !isName) {
      return wrong(`Expected ${everythingResult.expected}.`, { at: part.at, length: part.text.length });
    }
    virtualMta = match[1] ?? virtualMta;
    if (match[2] !== undefined) recipientPriority = Number(match[2]);
  }
  return right({ kind: 'choice', virtualMta, recipientPriority });
}

/** `* RESULT`: `virtual-mta=X[,recipient-priority=N]` or `call-to: LIST`. */
export const everythingResult: ValueReader<ListLine> = {
  type: 'RESULT',
  expected: 'virtual-mta=NAME, recipient-priority=N or call-to: LIST',
  list: false,
  read: (text) => lineOf(readResult(text), '', ''),
};

/** `/re/ RESULT`; the result may also be a nested `<pattern-list>` on the next line. */
export const patternThenResult: ValueReader<ListLine> = {
  type: '/REGEX/ RESULT',
  expected: 'a pattern and a result such as virtual-mta=NAME',
  list: false,
  read: (raw) => {
    const end = regexEnd(raw);
    if (typeof end !== 'number') return end;
    const expression = raw.slice(1, end - 1);
    const compiled = compileLinearPattern(expression);
    if (isBadPattern(compiled)) {
      return wrong(compiled.message, { at: compiled.at + 1, length: compiled.length });
    }
    const rest = raw.slice(end).trim();
    if (rest === '') return right({ header: '', expression, result: undefined });
    return shifted(lineOf(readResult(rest), '', expression), raw.length - rest.length);
  },
};

/** `NAME /re/ RESULT`. */
export const headerPattern: ValueReader<ListLine> = {
  type: 'HEADER /REGEX/ RESULT',
  expected: 'a header name, a pattern and a result',
  list: false,
  read: (raw) => {
    const match = /^([^\s:/]+:?)\s+(?=\/)/.exec(raw);
    const header = match === null ? undefined : headerName.read(match[1]!);
    if (match === null || header?.kind !== 'value') return wrong(`Expected ${headerPattern.expected}.`);
    const line = patternThenResult.read(raw.slice(match[0].length));
    return line.kind === 'value'
      ? right({ ...line.value, header: header.value })
      : shifted(line, match[0].length);
  },
};

function lineOf(result: Reading<ListResult>, header: string, expression: string): Reading<ListLine> {
  return result.kind === 'value' ? right({ header, expression, result: result.value }) : result;
}

function shifted<T>(reading: Reading<T>, by: number): Reading<T> {
  return reading.kind === 'wrong' ? { ...reading, at: reading.at + by } : reading;
}
