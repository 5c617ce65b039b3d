import type { SourceIpLimit } from './config.ts';
import { parseCidrTexts } from './hostValues.ts';
import { splitWords } from './lexer.ts';
import { count, dataRate, type Reading, rate, right, type ValueReader, wrong } from './values.ts';

/** `source-ip-max-...`: a range of local addresses, then what `inner` reads. A list, for lines add up. */
function afterCidr<T>(inner: ValueReader<T>): ValueReader<readonly SourceIpLimit<T>[]> {
  const expected = `an address or a range such as 10.0.0.0/8, then ${inner.expected}`;
  const read = (text: string): Reading<readonly SourceIpLimit<T>[]> => {
    const words = splitWords(text);
    if ('problem' in words) return wrong(words.problem, { at: words.at });
    const [first, second, third] = words;
    if (first === undefined || second === undefined) return wrong(`Expected ${expected}.`);
    if (third !== undefined) return wrong(`Nothing may follow here: expected ${expected}.`, { at: third.at });
    const ranges = parseCidrTexts(first.text);
    if (ranges === undefined) return wrong(`Expected ${expected}.`, { length: first.length });
    const value = inner.read(second.text);
    if (value.kind === 'wrong') return { ...value, at: second.at, length: second.length };
    return value.kind === 'value' ? right([{ ranges, value: value.value }]) : value;
  };
  return { type: `CIDR ${inner.type}`, expected, list: false, read };
}

export const sourceIpCount = afterCidr(count);
export const sourceIpRate = afterCidr(rate);
export const sourceIpDataRate = afterCidr(dataRate);

/** By the names of their value types. */
export const sourceIpReaders = [
  ['cidr-count', sourceIpCount],
  ['cidr-rate', sourceIpRate],
  ['cidr-data-rate', sourceIpDataRate],
] as const;
