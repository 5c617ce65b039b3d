import { type AcctRecordType, type Durability, domainDefaults, type Rate } from './config.ts';
import { splitWords, type Word } from './lexer.ts';

/**
 * What a value says, or why it says nothing. `at` and `length` mark the culprit within the text that was
 * read. `notYet` is well-formed PowerMTA that this release cannot honour and must not ignore.
 */
export type Reading<T> =
  | { readonly kind: 'value'; readonly value: T }
  | {
      readonly kind: 'wrong';
      readonly problem: string;
      readonly fix: string;
      readonly code: string;
      readonly at: number;
      /** undefined: to the end. */
      readonly length: number | undefined;
    }
  | { readonly kind: 'notYet'; readonly what: string };

/** One value type of powermta a.2: how a directive's text becomes a value. Never throws. */
export interface ValueReader<T> {
  /** As the documentation names it: INTERVAL, `yes|no`. */
  readonly type: string;
  /** For error messages: "an interval such as 10m or 1h30m". */
  readonly expected: string;
  /** A comma list: may run on over lines that end in a comma (powermta a.1). */
  readonly list: boolean;
  readonly read: (text: string) => Reading<T>;
}

export function right<T>(value: T): Reading<T> {
  return { kind: 'value', value };
}

export function wrong(
  problem: string,
  more: { fix?: string; code?: string; at?: number; length?: number } = {},
): Reading<never> {
  return {
    kind: 'wrong',
    problem,
    fix: more.fix ?? '',
    code: more.code ?? 'E-BAD-VALUE',
    at: more.at ?? 0,
    length: more.length,
  };
}

/** A reader of values that are one word, quoted or not. `read` gives undefined for "not what I expect". */
export function oneWord<T>(
  type: string,
  expected: string,
  read: (word: string) => T | Reading<T> | undefined,
): ValueReader<T> {
  const readWord = (text: string): Reading<T> => {
    const words = splitWords(text);
    if ('problem' in words) return wrong(words.problem, { at: words.at });
    const [first, second] = words;
    if (first === undefined) return wrong(`Expected ${expected}.`);
    if (second !== undefined) return wrong('Only one value may stand here.', { at: second.at });
    const value = read(first.text);
    if (value === undefined) return wrong(`Expected ${expected}.`);
    return isReading(value) ? value : right(value);
  };
  return { type, expected, list: false, read: readWord };
}

/** Several words, blanks between them. */
export function manyWords<T>(
  type: string,
  expected: string,
  least: number,
  most: number,
  read: (words: readonly Word[]) => Reading<T>,
): ValueReader<T> {
  const readWords = (text: string): Reading<T> => {
    const words = splitWords(text);
    if ('problem' in words) return wrong(words.problem, { at: words.at });
    if (words.length < least) return wrong(`Expected ${expected}.`);
    const extra = words[most];
    if (extra !== undefined) return wrong(`Nothing may follow here: expected ${expected}.`, { at: extra.at });
    return read(words);
  };
  return { type, expected, list: false, read: readWords };
}

/** A comma list. Blanks around commas and a comma at the end do no harm. */
export function listOf<T>(item: ValueReader<T>): ValueReader<readonly T[]> {
  const read = (text: string): Reading<readonly T[]> => {
    const values: T[] = [];
    for (const part of splitAt(text, /,/)) {
      if (part.text === '') continue;
      const reading = item.read(part.text);
      if (reading.kind === 'notYet') return reading;
      if (reading.kind === 'wrong') {
        const stray = /\s/.test(part.text)
          ? 'items are parted by commas; does the line before end in one?'
          : '';
        const length = reading.length ?? part.text.length - reading.at;
        return { ...reading, fix: reading.fix || stray, at: part.at + reading.at, length };
      }
      values.push(reading.value);
    }
    return values.length === 0 ? wrong(`Expected ${item.expected}, or several with commas.`) : right(values);
  };
  return { type: `${item.type},...`, expected: `${item.expected}, or several with commas`, list: true, read };
}

/** The parts between separators, without the blanks around them. */
export function splitAt(text: string, separator: RegExp): { text: string; at: number }[] {
  let at = 0;
  return text.split(separator).map((part) => {
    const start = at + (part.length - part.trimStart().length);
    at += part.length + 1;
    return { text: part.trim(), at: start };
  });
}

function isReading<T>(value: T | Reading<T>): value is Reading<T> {
  return typeof value === 'object' && value !== null && 'kind' in value && isReadingKind(value.kind);
}

function isReadingKind(kind: unknown): boolean {
  return kind === 'value' || kind === 'wrong' || kind === 'notYet';
}

export const boolean = oneWord('yes|no', 'yes or no (or true, false)', (word) =>
  new Map([
    ['yes', true],
    ['true', true],
    ['no', false],
    ['false', false],
  ]).get(word.toLowerCase()),
);

/** One of a few words, compared without case; booleans stand for `yes` and `no` where those are among them. */
export function choice<C extends string>(choices: readonly C[]): ValueReader<C> {
  const expected = choices.length === 1 ? `"${choices[0]}"` : `one of ${choices.join(', ')}`;
  return oneWord(choices.join('|'), expected, (word) => {
    const lower = word.toLowerCase();
    const meant = lower === 'true' ? 'yes' : lower === 'false' ? 'no' : lower;
    return choices.find((known) => known.toLowerCase() === lower || known === meant);
  });
}

function wholeNumber(word: string): number | undefined {
  return /^\d{1,10}$/.test(word) ? Number(word) : undefined;
}

/** `unlimited` reads as 0, which is what 0 means wherever a count may be 0. */
export const count = oneWord('N', 'a whole number, or unlimited', (word) =>
  word.toLowerCase() === 'unlimited' ? 0 : wholeNumber(word),
);

export const positive = oneWord('N', 'a whole number of at least 1', (word) => {
  const number = wholeNumber(word);
  return number === 0 ? undefined : number;
});

/** powermta b.1: what a resolver may answer by UDP (RFC 6891 6.2.3). */
export const ednsUdpLength = oneWord('N', 'a number of octets, 512 to 2048', (word) => {
  const number = wholeNumber(word);
  return number === undefined || number < 512 || number > 2048 ? undefined : number;
});

export const port = oneWord('PORT', 'a port number, 1 to 65535', readPort);

export function readPort(word: string): number | undefined {
  const number = wholeNumber(word);
  return number === undefined || number === 0 || number > 65_535 ? undefined : number;
}

const unitMs = new Map([
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
]);

/** Milliseconds of `1w2d12h`, `300s`; a bare number is seconds (powermta a.2). */
export function parseInterval(word: string): number | undefined {
  if (/^\d{1,9}$/.test(word)) return Number(word) * 1_000;
  if (!/^(\d{1,9}[wdhms])+$/i.test(word)) return undefined;
  let total = 0;
  for (const [, digits, unit] of word.matchAll(/(\d+)([a-z])/gi)) {
    total += Number(digits) * unitMs.get(unit!.toLowerCase())!;
  }
  return Number.isSafeInteger(total) ? total : undefined;
}

/** The shortest text that reads back as the same interval; whole seconds. */
export function formatInterval(intervalMs: number): string {
  let rest = intervalMs;
  let text = '';
  for (const [unit, ms] of unitMs) {
    const number = Math.floor(rest / ms);
    if (number > 0) text += `${number}${unit}`;
    rest -= number * ms;
  }
  return text === '' ? '0s' : text;
}

export const interval = oneWord('INTERVAL', 'an interval such as 10m or 1h30m, or 0', parseInterval);

export const positiveInterval = oneWord('INTERVAL', 'an interval above 0, such as 10m or 1h30m', (word) => {
  const intervalMs = parseInterval(word);
  return intervalMs === 0 ? undefined : intervalMs;
});

/** undefined is "never". */
export const intervalOrNever: ValueReader<number | undefined> = {
  type: 'INTERVAL|never',
  expected: 'an interval such as 8d, or never',
  list: false,
  read: (text) => (text.toLowerCase() === 'never' ? right(undefined) : interval.read(text)),
};

export const booleanOrInterval: ValueReader<boolean | number> = {
  type: 'yes|no|INTERVAL',
  expected: 'yes, no, or an interval such as 1h',
  list: false,
  read: (text) => (/^\d/.test(text) ? interval.read(text) : boolean.read(text)),
};

const intervalSteps = listOf(positiveInterval);

/** Up to 30 steps (powermta a.2). */
export const intervals: ValueReader<readonly number[]> = {
  ...intervalSteps,
  type: 'INTERVAL,...',
  expected: 'up to 30 intervals, such as 10m,10m,1h',
  read: (text) => {
    const reading = intervalSteps.read(text);
    const tooMany = reading.kind === 'value' && reading.value.length > 30;
    return tooMany ? wrong('At most 30 intervals may stand here; the last one repeats.') : reading;
  },
};

const sizeUnits = ['b', 'k', 'm', 'g', 't'];

/** Bytes of `40K`, `1G`, powers of 1024; a bare number is bytes; 0 and `unlimited` are 0 (no limit). */
export function parseSize(word: string): number | undefined {
  if (word.toLowerCase() === 'unlimited') return 0;
  const match = /^(\d{1,15})([bkmgt]?)$/i.exec(word);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * 1024 ** Math.max(0, sizeUnits.indexOf(match[2]!.toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest text that reads back as the same size. */
export function formatSize(sizeBytes: number): string {
  let number = sizeBytes;
  let unit = 0;
  while (number >= 1024 && number % 1024 === 0 && unit < sizeUnits.length - 1) {
    number /= 1024;
    unit++;
  }
  return unit === 0 ? String(number) : `${number}${sizeUnits[unit]!.toUpperCase()}`;
}

export const size = oneWord('SIZE', 'a size such as 250M, 40K or unlimited', parseSize);

/** Accounting files are at least 1M (powermta a.2). */
export const fileSize = oneWord('SIZE', 'a size of at least 1M', (word) => {
  const bytes = parseSize(word);
  return bytes !== undefined && bytes < 1_048_576 ? undefined : bytes;
});

const rateUnits = new Map([
  ['d', 86_400_000],
  ['day', 86_400_000],
  ['h', 3_600_000],
  ['hr', 3_600_000],
  ['m', 60_000],
  ['min', 60_000],
  ['s', 1_000],
  ['sec', 1_000],
]);

export const rate: ValueReader<Rate> = {
  type: 'RATE',
  expected: 'a rate such as 100/h, 1/20m or unlimited',
  list: false,
  read: readRate,
};

function readRate(text: string): Reading<Rate> {
  if (text.toLowerCase() === 'unlimited' || text === '0') return right(undefined);
  const match = /^(\d{1,9})(?:\.(\d{1,6}))?\/(\d{1,6})?([a-z]+)$/i.exec(text);
  const unit = match === null ? undefined : rateUnits.get(match[4]!.toLowerCase());
  if (match === null || unit === undefined) return wrong(`Expected ${rate.expected}.`);
  const multiple = match[3] === undefined ? 1 : Number(match[3]);
  if (match[2] !== undefined) {
    const fix = wholeRate(match[1]!, match[2], multiple, match[4]!);
    return wrong('A rate counts whole messages.', fix === undefined ? {} : { fix: `write ${fix}` });
  }
  if (Number(match[1]) === 0 || multiple === 0) return wrong(`Expected ${rate.expected}.`);
  return right({ count: Number(match[1]), perMs: multiple * unit });
}

/** `0.5/s` is `1/2s`: the same rate in whole numbers. */
function wholeRate(whole: string, fraction: string, multiple: number, unit: string): string | undefined {
  const numerator = Number(whole + fraction);
  const denominator = 10 ** fraction.length;
  if (numerator === 0) return undefined;
  let [a, b] = [numerator, denominator];
  while (b > 0) [a, b] = [b, a % b];
  const per = (denominator / a) * multiple;
  return `${numerator / a}/${per === 1 ? '' : per}${unit}`;
}

/** Octets instead of messages. */
export const dataRate: ValueReader<Rate> = {
  type: 'SIZE/TIME',
  expected: 'a data rate such as 10M/m, 2g/10h or unlimited',
  list: false,
  read: (text) => {
    if (text.toLowerCase() === 'unlimited' || text === '0') return right(undefined);
    const value = parseDataRate(text);
    return value === undefined ? wrong(`Expected ${dataRate.expected}.`) : right(value);
  },
};

function parseDataRate(word: string): Rate {
  const match = /^(\w+)\/(\d{1,6})?([a-z]+)$/i.exec(word);
  const sizeBytes = match === null ? undefined : parseSize(match[1]!);
  const unit = match === null ? undefined : rateUnits.get(match[3]!.toLowerCase());
  const multiple = Number(match?.[2] ?? 1);
  if (!sizeBytes || unit === undefined || multiple === 0) return undefined;
  return { count: sizeBytes, perMs: unit * multiple };
}

/** `v1`, `{auth}`, `Sbcglobal-errors`; compared without case (powermta a.1). */
export const name = oneWord('NAME', 'a name of letters, digits, ".", "-", "_" or "@"', (word) =>
  /^[\w.@+-]+$/.test(word) || /^\{[\w.@-]+\}$/.test(word) ? word : undefined,
);

export const names = listOf(name);

/** Several names on a line, blanks or commas between them. */
export const nameWords: ValueReader<readonly string[]> = {
  ...names,
  type: 'NAME...',
  expected: 'names',
  read: (text) => names.read(text.replace(/[\s,]+/g, ',')),
};

export const path = oneWord('PATH', 'a path', (word) => (word === '' ? undefined : word));

/** Free text, quotes resolved where it is one quoted word; may be empty only as `""`. */
export const text: ValueReader<string> = {
  type: 'TEXT',
  expected: 'a value',
  list: false,
  read: (raw) => {
    const words = splitWords(raw);
    return right('problem' in words || words.length !== 1 ? raw : words[0]!.text);
  },
};

/** A comma list of anything, checked no further; `""` clears it. */
export const texts = listOf<string>({ ...text, type: 'TEXT' });

/** `FILE [PASSWORD]`: reads the file's name. */
export const certificate = manyWords('FILE [PASSWORD]', 'a PEM file', 1, 2, (words) => right(words[0]!.text));

const recordTypes = new Map<string, AcctRecordType>([
  ['d', 'd'],
  ['delivery', 'd'],
  ['b', 'b'],
  ['bounce', 'b'],
  ['t', 't'],
  ['transient', 't'],
  ['tq', 'tq'],
  ['transient-queue', 'tq'],
  ['r', 'r'],
  ['receipt', 'r'],
]);

const laterRecordTypes = new Map([
  ['f', 'f'],
  ['feedback-loop', 'f'],
  ['rb', 'rb'],
  ['remote-bounce', 'rb'],
  ['rs', 'rs'],
  ['remote-status', 'rs'],
]);

/** What an accounting file holds: the types written now, and those that are known but written later. */
export interface Records {
  readonly now: readonly AcctRecordType[];
  readonly later: readonly string[];
}

const recordWords = listOf(
  oneWord('RECORD', 'record types out of d, b, t, tq, r, f, rb, rs', (word) => {
    const lower = word.toLowerCase();
    return recordTypes.get(lower) ?? laterRecordTypes.get(lower);
  }),
);

export const records: ValueReader<Records> = {
  ...recordWords,
  type: 'RECORD,...',
  read: (raw) => {
    const reading = recordWords.read(raw);
    if (reading.kind !== 'value') return reading;
    const all = new Set(reading.value);
    const now = [...new Set(recordTypes.values())].filter((type) => all.has(type));
    return right({ now, later: [...new Set(laterRecordTypes.values())].filter((type) => all.has(type)) });
  },
};

/** A connection may wait for more mail for up to ten minutes (powermta b.8). */
export const idleInterval = oneWord('INTERVAL', 'an interval of at most 10m, or 0', (word) => {
  const intervalMs = parseInterval(word);
  return intervalMs !== undefined && intervalMs > 600_000 ? undefined : intervalMs;
});

/** 0 is what the default is: 1000. */
export const maxRcpt = oneWord('N', 'a whole number', (word) => {
  const number = wholeNumber(word);
  return number === 0 ? domainDefaults.maxRcptPerMessage : number;
});

export const durability = choice<Durability>(['sync', 'os', 'none']);

export const dsnReturnDefault = choice<'headers' | 'full' | 'system'>(['headers', 'full', 'system']);

export const domainPrecedence = choice<'specificity' | 'scope'>(['specificity', 'scope']);

/** PowerMTA's special value chooses by the local address connected to; not in this release. */
export const defaultVirtualMtaName = oneWord('NAME', 'the name of a virtual MTA or pool', (word) =>
  word.toLowerCase() === 'by-smtp-source-ip'
    ? { kind: 'notYet', what: 'by-smtp-source-ip' }
    : word === ''
      ? ''
      : name.read(word),
);

/** A mailbox of the operator. */
export const address = oneWord('ADDRESS', 'an address such as admin@example.com', (word) =>
  /^[^\s@<>]+@[^\s@<>]+$/.test(word) ? word : undefined,
);

/** Where records go: a file, or a program behind a `|`. */
export type AcctPath = { readonly kind: 'file' | 'pipe'; readonly target: string };

export const acctPath: ValueReader<AcctPath> = {
  type: 'PATH',
  expected: 'a file',
  list: false,
  read: (raw) => {
    const read = text.read(raw);
    if (read.kind !== 'value') return read;
    if (read.value.startsWith('|')) return right({ kind: 'pipe', target: read.value.slice(1).trim() });
    const file = path.read(raw);
    return file.kind === 'value' ? right({ kind: 'file', target: file.value }) : file;
  },
};

/** A field's name (RFC 5322 3.6.8), with or without its colon; read in lower case. */
export const headerName = oneWord('HEADER', 'the name of a header', (word) =>
  /^[\x21-\x39\x3b-\x7e]+:?$/.test(word) ? word.replace(/:$/, '').toLowerCase() : undefined,
);

const headerNameList = listOf(headerName);

/** `""` is none: it clears what was inherited. */
export const headerNames: ValueReader<readonly string[]> = {
  ...headerNameList,
  read: (raw) => (raw.trim() === '""' ? right([]) : headerNameList.read(raw)),
};

/** What job ids are made of, or the special value `{auth}`. */
export const jobPrefix = oneWord('TEXT|{auth}', 'a prefix without blanks', (word) =>
  /^[\x21-\x7e]{0,64}$/.test(word) ? word : undefined,
);

export const dateHeader = choice<'no' | 'yes' | 'override'>(['no', 'yes', 'override']);

/** A given number of words, checked no further. */
export function words(least: number, most: number): ValueReader<readonly string[]> {
  const expected = least === most ? `${least} value${least === 1 ? '' : 's'}` : `at least ${least} values`;
  return manyWords('TEXT...', expected, least, most, (all) => right(all.map((word) => word.text)));
}
