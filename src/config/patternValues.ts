import { name, type Reading, right, splitAt, type ValueReader, wrong } from './values.ts';

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

/** `virtual-mta=X[,recipient-priority=N]` or `call-to: LIST`. */
export const patternResult: ValueReader<string> = {
  type: 'RESULT',
  expected: 'virtual-mta=NAME, recipient-priority=N or call-to: LIST',
  list: false,
  read: (rest) => {
    const call = /^call-to:\s*(\S+)$/i.exec(rest)?.[1];
    if (call !== undefined && name.read(call).kind === 'value') return right(rest);
    for (const part of splitAt(rest, /,/)) {
      const known = /^(virtual-mta=\S+|recipient-priority=\d{1,3})$/i.test(part.text);
      if (!known)
        return wrong(`Expected ${patternResult.expected}.`, { at: part.at, length: part.text.length });
    }
    return right(rest);
  },
};

/** `/re/ RESULT`; the result may also be a nested `<pattern-list>` on the next line. */
export const patternThenResult = patternThen(
  '/REGEX/ RESULT',
  'a pattern and a result such as virtual-mta=NAME',
  (rest) => patternResult.read(rest),
  true,
);

/** `NAME /re/ RESULT`. */
export const headerPattern: ValueReader<string> = {
  type: 'HEADER /REGEX/ RESULT',
  expected: 'a header name, a pattern and a result',
  list: false,
  read: (raw) => {
    const match = /^[^\s:/]+:?\s+(?=\/)/.exec(raw);
    if (match === null) return wrong(`Expected ${headerPattern.expected}.`);
    return shifted(patternThenResult.read(raw.slice(match[0].length)), match[0].length);
  },
};

function patternThen(
  type: string,
  expected: string,
  readRest: (rest: string) => Reading<string>,
  restMayMiss = false,
): ValueReader<string> {
  const read = (raw: string): Reading<string> => {
    const end = regexEnd(raw);
    if (typeof end !== 'number') return end;
    const rest = raw.slice(end).trim();
    if (rest === '') return restMayMiss ? right(raw) : wrong(`Expected ${expected}.`);
    const reading = readRest(rest);
    return reading.kind === 'value' ? right(raw) : shifted(reading, raw.length - rest.length);
  };
  return { type, expected, list: false, read };
}

function shifted<T>(reading: Reading<T>, by: number): Reading<T> {
  return reading.kind === 'wrong' ? { ...reading, at: reading.at + by } : reading;
}
