import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as hosts from './hostValues.ts';
import * as patterns from './patternValues.ts';
import type { ValueReader } from './values.ts';

const read = <T>(reader: ValueReader<T>, text: string): T | string => {
  const reading = reader.read(text);
  return reading.kind === 'value' ? reading.value : reading.kind;
};

function isReader(value: unknown): value is ValueReader<unknown> {
  return typeof value === 'object' && value !== null && 'read' in value;
}

test('no text makes a reader of hosts or patterns throw', () => {
  const exports: readonly unknown[] = [...Object.values(hosts), ...Object.values(patterns)];
  const readers = exports.filter(isReader);
  const pieces = fc.array(
    fc.constantFrom('[', ']', '/', ':', ',', ';', '$', '*.', 'a.b', '1.2.3.4', '::1', '(', '\\'),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...readers),
      fc.oneof(
        fc.string(),
        pieces.map((all) => all.join('')),
      ),
      (reader, text) => {
        expect(['value', 'wrong', 'notYet']).toContain(reader.read(text).kind);
      },
    ),
  );
});

test.each([
  ['0/0:25', { address: '0.0.0.0', port: 25 }],
  ['0.0.0.0:25', { address: '0.0.0.0', port: 25 }],
  ['192.0.2.1:2525', { address: '192.0.2.1', port: 2525 }],
  ['[::]:25', { address: '::', port: 25 }],
  ['[2001:DB8::1]:25', { address: '2001:db8::1', port: 25 }],
  ['10/8:25', 'wrong'],
  ['192.0.2.1', 'wrong'],
  ['192.0.2.1:0', 'wrong'],
  ['192.0.2.1:65536', 'wrong'],
  ['example.com:25', 'wrong'],
])('the listener %s is %j', (text, expected) => {
  expect(read(hosts.listenAddress, text)).toEqual(expected);
});

test('a bare IPv6 listener is told about brackets', () => {
  expect(hosts.listenAddress.read('::1:25')).toMatchObject({ kind: 'wrong', fix: 'write [::1]:25' });
});

test('a listener line may name a source', () => {
  expect(read(hosts.listenerLine, '192.0.2.1:25 source={In}')).toEqual({
    address: '192.0.2.1',
    port: 25,
    source: '{In}',
  });
  expect(hosts.listenerLine.read('192.0.2.1:25 source')).toMatchObject({ kind: 'wrong', at: 13 });
});

test('0/0 is every address of both families', () => {
  expect(read(hosts.cidrs, '0/0, 10/8')).toEqual([
    { address: '0.0.0.0', bits: 0 },
    { address: '::', bits: 0 },
    { address: '10.0.0.0', bits: 8 },
  ]);
  expect(hosts.cidrs.read('10/8  x')).toMatchObject({ kind: 'wrong', at: 6, length: 1 });
});

test.each([
  ['127.0.0.1/32', { kind: 'cidr', cidrs: [{ address: '127.0.0.1', bits: 32 }] }],
  ['{pmta-auth}', { kind: 'name', name: '{pmta-auth}' }],
  ['auth11', { kind: 'name', name: 'auth11' }],
  ['10.1', 'wrong'],
  ['1.2.3.4/33', 'wrong'],
])('the source %s is %j', (text, expected) => {
  expect(read(hosts.sourceArgument, text)).toEqual(expected);
});

test('a reversed smtp-source-host is explained, with the line to write', () => {
  expect(read(hosts.sourceHost, '192.0.2.1 Mta1.Example')).toEqual({
    address: '192.0.2.1',
    hostName: 'mta1.example',
  });
  expect(hosts.sourceHost.read('mta1.example 192.0.2.1')).toMatchObject({
    code: 'E-REVERSED-SOURCE-HOST',
    fix: 'write smtp-source-host 192.0.2.1 mta1.example',
  });
  expect(read(hosts.sourceHost, '192.0.2.1')).toBe('wrong');
  expect(read(hosts.sourceHost, '192.0.2.0/24 mta1.example')).toBe('notYet');
});

const host = (name: string, port = 0) => ({ host: name, isAddress: false, port });
const ip = (address: string, port = 0) => ({ host: address, isAddress: true, port });

test.each([
  [
    'mx1.example,[192.0.2.1]:2525;Backup.example:26',
    [[host('mx1.example'), ip('192.0.2.1', 2525)], [host('backup.example', 26)]],
  ],
  ['203.0.113.203', [[ip('203.0.113.203')]]],
  ['[IPv6:2001::1]:25', [[ip('2001::1', 25)]]],
  ['2001::1', [[ip('2001::1')]]],
  ['"a.example, b.example"', [[host('a.example'), host('b.example')]]],
  ['a.example:x', 'wrong'],
  [
    'Lookup-MX:Example.com;lookup-mx:b.example:26,c.example',
    [
      [{ ...host('example.com'), lookupMx: true }],
      [{ ...host('b.example', 26), lookupMx: true }, host('c.example')],
    ],
  ],
  ['lookup-mx:192.0.2.1', 'wrong'],
  ['lookup-mx:', 'wrong'],
])('smtp-hosts %s is %j', (text, expected) => {
  expect(read(hosts.smtpHosts, text)).toEqual(expected);
});

test.each([
  ['*', [{ kind: 'all' }]],
  ['Example.COM', [{ kind: 'exact', domain: 'example.com' }]],
  ['*.example.com', [{ kind: 'subdomains', domain: 'example.com' }]],
  ['[*.]example.com', [{ kind: 'domainAndSubdomains', domain: 'example.com' }]],
  ['[10/8]', [{ kind: 'literal', cidr: { address: '10.0.0.0', bits: 8 } }]],
  ['[IPv6:::1]', [{ kind: 'literal', cidr: { address: '::1', bits: 128 } }]],
  ['bücher.example', [{ kind: 'exact', domain: 'xn--bcher-kva.example' }]],
  ['{sparkpost}', [{ kind: 'exact', domain: '{sparkpost}' }]],
  ['a_b.queue', [{ kind: 'exact', domain: 'a_b.queue' }]],
  ['192.0.2.1', undefined],
  ['*example.com', undefined],
  ['a..b', undefined],
])('the domain pattern %s is %j', (text, expected) => {
  expect(hosts.parseDomainPatterns(text)).toEqual(expected);
});

test('several domains in one tag are sent to domain-macro', () => {
  expect(hosts.domainTag.read('a.example b.example')).toMatchObject({
    code: 'E-SEVERAL-DOMAINS',
    fix: 'write "domain-macro LIST a.example, b.example" above it, and <domain $LIST> here',
  });
});

test('domain keys have three fields, blanks after the commas tolerated', () => {
  expect(read(hosts.domainKey, 's, example.com,  /k.pem')).toEqual(['s', 'example.com', '/k.pem']);
  expect(hosts.domainKey.read('a,b.example,*,/k.pem')).toMatchObject({ code: 'E-DOMAIN-KEY-FIELDS' });
});

test.each([
  ['/@a\\.example$/  virtual-mta=v1', 'value'],
  ['/a/ virtual-mta=v1,recipient-priority=10', 'value'],
  ['/a/ call-to: other', 'value'],
  ['/a/ v1', 'wrong'],
])('mail-from %s is %s', (text, kind) => {
  expect(patterns.patternThenResult.read(text).kind).toBe(kind);
});

test('the culprit in a header pattern is marked where it stands', () => {
  expect(patterns.headerPattern.read('X-Job /a/ virtual-mta=v1').kind).toBe('value');
  expect(patterns.headerPattern.read('X-Job /a/ v1')).toMatchObject({ kind: 'wrong', at: 10 });
});
