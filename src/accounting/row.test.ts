import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AcctRecordType } from '../config/config.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import { enhancedStatusText } from './enhancedStatusText.ts';
import { columnsFor } from './fields.ts';
import { maxFieldChars, rowWriter } from './row.ts';
import { deliveryEvent, envelope } from './samples.testing.ts';

const utc = (): number => 0;
const headerOf = (records: readonly AcctRecordType[]): string => rowWriter(records, utc).header.trimEnd();

const delivered = deliveryEvent();
const failed = deliveryEvent({
  kind: 'failed',
  rcpt: 'u5@dest.example',
  status: '5.1.1',
  diagnostic: '550 5.1.1 no such recipient: <u5@dest.example> in "RCPT TO:<u5@dest.example>"',
  bounceCategory: 'bad-mailbox',
  dlvSizeBytes: 0,
  vmtaPool: '',
  jobId: '',
});
const neverReached = deliveryEvent({
  kind: 'deferred',
  rcpt: 'bücher@bücher.example',
  status: '4.4.1',
  diagnostic: '',
  dsnMta: 'mx.xn--bcher-kva.example (198.51.100.101)',
  bounceCategory: 'no-answer-from-host',
  dlvSourceIp: '0.0.0.0',
  dlvEsmtpAvailable: '',
  dlvSizeBytes: 0,
});
const hostile = deliveryEvent({
  kind: 'failed',
  status: '5.7.999',
  orig: '',
  diagnostic: '550 a,b "c"\r\nd,2026-01-01 00:00:00+0000\0\x1b[31m\u2028end',
  bounceCategory: 'policy-related',
  dlvEsmtpAvailable: 'X"Y',
  envId: 'tab\there',
});

function golden(name: string): string {
  return readFileSync(new URL(`../../test/accounting/${name}.golden`, import.meta.url), 'utf8');
}

test('Delivery rows are byte for byte what the golden file holds', () => {
  const writer = rowWriter(['d', 'b', 't'], utc);
  const rows = [delivered, failed, neverReached, hostile].map((event) => writer.eventRow(event));
  expect(writer.header + rows.join('')).toBe(golden('delivery'));
});

test('mail of our own making has rows of its outcome, as of type api, and no receipt: nobody submitted it', () => {
  const writer = rowWriter(['d', 'r'], utc);
  const { reception } = envelope();
  expect(writer.receiptRows(envelope({ reception: { ...reception, type: 'local' } }))).toBe('');
  expect(writer.eventRow(deliveryEvent({ orig: '', srcMta: '' }))).toContain(',api,,smtp,');
});

test('Receipt rows are byte for byte what the golden file holds', () => {
  const writer = rowWriter(['r'], () => -240);
  const two = envelope({
    vmtaPool: 'pool1',
    reversePath: '',
    recipients: [
      { forwardPath: 'a@dest.example', domain: 'dest.example', orcpt: 'rfc822;a@dest.example' },
      { forwardPath: '"x,y"@dest.example', domain: 'dest.example', orcpt: '' },
    ],
  });
  expect(writer.header + writer.receiptRows(envelope()) + writer.receiptRows(two)).toBe(golden('receipt'));
});

test('A file of receipts and deliveries is byte for byte what the golden file holds', () => {
  const writer = rowWriter(['r', 'd'], () => 330);
  const rows = [writer.receiptRows(envelope()), writer.eventRow(delivered), writer.eventRow(failed)];
  expect(writer.header + rows.join('')).toBe(golden('mixed'));
});

test('Any mix of d, b and t has the same 23 columns, dsnDiag the ninth', () => {
  const mixes: AcctRecordType[][] = [['d'], ['b'], ['t'], ['t', 'd'], ['b', 'd'], ['t', 'b', 'd']];
  const headers = new Set(mixes.map(headerOf));
  expect(headers.size).toBe(1);
  const names = columnsFor(['d']).map((column) => column.name);
  expect(names).toHaveLength(23);
  expect(names[8]).toBe('dsnDiag');
});

test('a tq row has the columns of its own alone, and in a mix those of deliveries', () => {
  const event: QueueEvent = {
    kind: 'queueFailed',
    queue: 'bücher.example/vmta29',
    timeLoggedMs: Date.UTC(2026, 1, 8, 21, 53, 39),
    status: '4.4.1',
    diagnostic: '',
    dsnMta: 'mx.xn--bcher-kva.example (198.51.100.101)',
    dlvSourceIp: '0.0.0.0',
    dlvDestinationIp: '198.51.100.101',
  };
  const alone = rowWriter(['tq'], utc);
  expect(alone.header + alone.eventRow(event)).toBe(
    [
      'type,timeLogged,dsnStatus,dsnDiag,dsnMta,dlvType,dlvSourceIp,dlvDestinationIp,vmta,queue',
      'tq,2026-02-08 21:53:39+0000,4.4.1 (no answer from host),,mx.xn--bcher-kva.example (198.51.100.101),' +
        'smtp,0.0.0.0,198.51.100.101,vmta29,bücher.example/vmta29',
      '',
    ].join('\r\n'),
  );
  expect(alone.eventRow(delivered)).toBe('');
  const mixed = rowWriter(['d', 'tq'], utc);
  expect(mixed.header).toBe(rowWriter(['d'], utc).header);
  expect(mixed.eventRow(event).split(',')).toHaveLength(23);
  expect(rowWriter(['t'], utc).eventRow(event)).toBe('');
});

test('A record type that was not asked for gives no row', () => {
  const writer = rowWriter(['b'], utc);
  expect(writer.eventRow(delivered)).toBe('');
  expect(writer.receiptRows(envelope())).toBe('');
  expect(writer.eventRow(failed)).not.toBe('');
});

const corpus = new URL('../../../shared/corpus/pmta-acct/', import.meta.url);
const hasCorpus = existsSync(corpus);
if (!hasCorpus) console.warn('SKIPPED: no PowerMTA accounting corpus beside the project');

describe.skipIf(!hasCorpus)('against the corpus', () => {
  const lines = (name: string): string[] => readFileSync(new URL(name, corpus), 'utf8').split('\n');

  test('Headers are those of real PowerMTA files', () => {
    const known = [...lines('headers.txt'), ...lines('v50-shaped.csv')];
    expect(known).toContain(headerOf(['d', 'b', 't']));
    expect(known).toContain(headerOf(['r']));
  });

  test('The sample deliveries and the sample receipt come out as their lines stand', () => {
    const known = lines('v50-shaped.csv');
    const writer = rowWriter(['d', 'b', 't'], utc);
    expect(known).toContain(writer.eventRow(delivered).trimEnd());
    expect(known).toContain(
      rowWriter(['r'], () => -240)
        .receiptRows(envelope())
        .trimEnd(),
    );
    const bounce: DeliveryEvent = {
      ...delivered,
      kind: 'failed',
      timeLoggedMs: Date.UTC(2026, 1, 8, 21, 53, 54),
      timeQueuedMs: Date.UTC(2026, 1, 8, 21, 53, 54),
      orig: 'b-3@bounce.op0.example',
      rcpt: 'u3@yahoo.fr',
      status: '4.7.0',
      diagnostic: '421 4.7.0 mx2.dest.example Error: too many errors',
      dsnMta: 'mx2.dest.example (198.51.100.9)',
      bounceCategory: 'policy-related',
      dlvSourceIp: '203.0.113.11',
      dlvDestinationIp: '198.51.100.9',
      vmta: 'vmta21',
      vmtaPool: '',
      jobId: '',
      queue: 'yahoo.rollup/vmta21',
    };
    // Our messages come by SMTP; the sample's came by API.
    const row = writer
      .eventRow({ ...bounce, kind: 'deferred' })
      .trimEnd()
      .replace(',smtp,app', ',api,app');
    expect(known).toContain(row);
  });
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', '\0', '\x1b', '\x85', ' ', 'a', 'é', '\u2028') }),
);
const textFields = ['orig', 'rcpt', 'orcpt', 'diagnostic', 'dsnMta', 'bounceCategory', 'srcMta'] as const;
const moreTextFields = ['dlvSourceIp', 'dlvEsmtpAvailable', 'vmta', 'vmtaPool', 'jobId', 'envId'] as const;
const anyEvent = fc
  .record(Object.fromEntries([...textFields, ...moreTextFields].map((name) => [name, anyText])))
  .map((over) => deliveryEvent(over as Partial<DeliveryEvent>));

test('A row is one CSV record and reads back to its fields, whatever bytes they hold', () => {
  const writer = rowWriter(['d'], utc);
  const blanked = (text: string): string => text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, ' ');
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 4 }), (events) => {
      const bytes = new TextEncoder().encode(events.map((event) => writer.eventRow(event)).join(''));
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      expect(text.split(/[\r\n]+/)).toHaveLength(events.length + 1);
      const records: string[][] = parse(text, { record_delimiter: '\r\n' });
      expect(records).toHaveLength(events.length);
      for (const [i, event] of events.entries()) {
        const fields = records[i]!;
        expect(fields).toHaveLength(23);
        const diagnostic = event.diagnostic === '' ? '' : `smtp;${event.diagnostic}`;
        const read = [fields[3], fields[4], fields[5], fields[8], fields[16], fields[20], fields[22]];
        const meant = [
          event.orig,
          event.rcpt,
          event.orcpt,
          diagnostic,
          event.dlvEsmtpAvailable,
          event.envId,
          event.vmtaPool,
        ];
        expect(read).toEqual(meant.map((value) => blanked(value)));
      }
    }),
  );
});

test('A field is quoted only where RFC 4180 asks for it, but the ESMTP list always', () => {
  const writer = rowWriter(['d'], utc);
  const row = writer.eventRow(deliveryEvent({ dlvEsmtpAvailable: 'SIZE', jobId: 'a b;c' }));
  expect(row).toContain(',"SIZE",');
  expect(row.match(/"/g)).toHaveLength(2);
  expect(writer.eventRow(deliveryEvent({ dlvEsmtpAvailable: '' }))).not.toContain('"');
});

test('A field of any length is cut to its bound', () => {
  const row = rowWriter(['d'], utc).eventRow(deliveryEvent({ diagnostic: 'x'.repeat(1_000_000) }));
  expect(row.split(',')[8]).toHaveLength(maxFieldChars);
});

test('Enhanced status codes carry the words of RFC 3463', () => {
  const expected = {
    '2.0.0': '2.0.0 (success)',
    '4.0.0': '4.0.0 (undefined status)',
    '5.1.1': '5.1.1 (bad destination mailbox address)',
    '4.4.1': '4.4.1 (no answer from host)',
    '5.7.1': '5.7.1 (delivery not authorized)',
    '4.7.0': '4.7.0 (other or undefined security status)',
    '5.7.26': '5.7.26 (multiple authentication checks failed)',
    '5.7.999': '5.7.999 (other or undefined security status)',
    '5.9.1': '5.9.1 (undefined status)',
    '': '',
  };
  for (const [status, text] of Object.entries(expected)) expect(enhancedStatusText(status)).toBe(text);
});
