import { expect, test } from 'vitest';
import { lineFaultOf } from './corpusMessages.ts';
import { traceOf } from './trace.ts';

test.each([
  ['a line of 999 octets', `a\r\n${'x'.repeat(999)}\r\n`, { what: 'more than 998 octets', line: 2 }],
  ['a bare CR', 'a\rb\r\n', { what: 'bare CR', line: 1 }],
  ['a bare LF', '\r\n\r\na\nb\r\n', { what: 'bare LF', line: 3 }],
  ['a NUL', 'a\0b\r\n', { what: 'NUL octet', line: 1 }],
  ['no fault in lines of 998 octets', `${'x'.repeat(998)}\r\n${'y'.repeat(998)}\r\n`, undefined],
])('the judge of lines finds %s', (_, content, fault) => {
  expect(lineFaultOf(Buffer.from(content))).toEqual(fault);
});

const content = Buffer.from('Received: by older.test; then\r\nSubject: x\r\n\r\nx\r\n');
const trace = 'Received: from a\r\n\tby b.test id 1; now\r\nReceived: from c by d.test; now\r\n';
test.each([
  ['names the hosts that put fields before the content', `${trace}${content}`, 'b.test,d.test'],
  ['finds no field where there is none', `${content}`, ''],
  ['rejects a changed octet', `${trace}${content}`.replace('Subject: x', 'Subject: y'), undefined],
  ['rejects a missing octet', `${trace}${content}`.slice(0, -3).concat('\r\n'), undefined],
  ['rejects any other field', `X-New: 1\r\n${content}`, undefined],
  ['rejects other fields between', `${trace}X-New: 1\r\n${content}`, undefined],
])('the judge of contents %s', (_, received, hosts) => {
  expect(traceOf(Buffer.from(received), content)).toBe(hosts);
});
