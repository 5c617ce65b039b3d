import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, test } from 'vitest';
import { canonicalIp, cidrContains, formatCidr, formatIp, lastOf, parseCidr, parseIp } from './ip.ts';

const ipv4 = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'));
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'));

test('addresses read and print as ipaddr.js has them', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (text) => {
      const oracle = ipaddr.process(text);
      const ours = parseIp(text)!;
      expect(ours.family).toBe(oracle.kind() === 'ipv4' ? 4 : 6);
      expect(ours.value).toBe(oracle.toByteArray().reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));
      expect(parseIp(formatIp(ours))).toEqual(ours);
    }),
  );
});

test.each([
  ['::', '::'],
  ['1::', '1::'],
  ['0:0:1:0:0:0:1:0', '0:0:1::1:0'],
  ['2001:DB8::1', '2001:db8::1'],
  ['1:0:1:1:1:1:1:1', '1:0:1:1:1:1:1:1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
])('%s is written %s (RFC 5952)', (text, canonical) => {
  expect(canonicalIp(text)).toBe(canonical);
});

test.each([
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '256.1.1.1',
  '01.2.3.4',
  ':::',
  '1::2::3',
  '12345::',
  '1:2:3:4:5:6:7:8:9',
  'fe80::1%eth0',
  ' ::1',
])('%j is no address', (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test.each([
  ['10/8', '10.0.0.0/8'],
  ['173.194/16', '173.194.0.0/16'],
  ['0/0', '0.0.0.0/0'],
  ['10.1.2.3/24', '10.1.2.0/24'],
  ['192.0.2.7', '192.0.2.7/32'],
  ['::1', '::1/128'],
  ['2001:db8::1/32', '2001:db8::/32'],
])('%s is the range %s', (text, canonical) => {
  expect(formatCidr(parseCidr(text)!)).toBe(canonical);
});

test.each(['10', '10.1', '1.2.3.4/33', '::/129', '/8', '10/8/8', '10/-1'])('%j is no range', (text) => {
  expect(parseCidr(text)).toBeUndefined();
});

test('a range holds exactly first to last', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), fc.nat(32), (text, bits) => {
      const cidr = parseCidr(`${text}/${bits}`)!;
      const last = lastOf(cidr);
      const { family } = cidr;
      expect(cidrContains(cidr, { family, value: cidr.first })).toBe(true);
      expect(cidrContains(cidr, { family, value: last })).toBe(true);
      expect(cidrContains(cidr, { family, value: last + 1n })).toBe(false);
      expect(cidrContains(cidr, { family, value: cidr.first - 1n })).toBe(false);
    }),
  );
});
