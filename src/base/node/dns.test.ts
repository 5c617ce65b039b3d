import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dns } from '../ports.ts';
import { systemDns } from './dns.ts';

/** RFC 1035 4.1.1 response codes. */
const rcodes = { ok: 0, servfail: 2, nxdomain: 3 };
const zone = new Map<string, { rcode: number; a?: number[]; aaaa?: number[]; aaaaRcode?: number }>([
  ['both.test', { rcode: 0, a: [192, 0, 2, 1], aaaa: [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1] }],
  ['v4.test', { rcode: 0, a: [192, 0, 2, 4] }],
  ['v4-and-trouble.test', { rcode: 0, a: [192, 0, 2, 4], aaaaRcode: rcodes.servfail }],
  ['empty.test', { rcode: 0 }],
  ['half-trouble.test', { rcode: 0, aaaaRcode: rcodes.servfail }],
  ['trouble.test', { rcode: rcodes.servfail }],
]);

let server: Socket;
let dns: Dns;
beforeAll(async () => {
  server = createSocket('udp4');
  server.on('message', (query, peer) => server.send(answer(query), peer.port, peer.address));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  dns = systemDns([`127.0.0.1:${server.address().port}`]);
});
afterAll(() => {
  server.close();
});

/** A name server for `zone`, as small as RFC 1035 4.1 lets it be. */
function answer(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  const question = query.subarray(12, at + 5);
  const isAaaa = query.readUInt16BE(at + 1) === 28;
  const entry = zone.get(labels.join('.').toLowerCase()) ?? { rcode: rcodes.nxdomain };
  const data = isAaaa ? entry.aaaa : entry.a;
  const rcode = isAaaa ? (entry.aaaaRcode ?? entry.rcode) : entry.rcode;
  const header = Buffer.from([query[0]!, query[1]!, 0x81, 0x80 | rcode, 0, 1, 0, data ? 1 : 0, 0, 0, 0, 0]);
  if (data === undefined) return Buffer.concat([header, question]);
  const record = Buffer.from([0xc0, 12, 0, isAaaa ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]);
  return Buffer.concat([header, question, record]);
}

test.each([
  ['both.test', { kind: 'found', addresses: ['192.0.2.1', '2001:db8::1'] }],
  ['v4.test', { kind: 'found', addresses: ['192.0.2.4'] }],
  ['v4-and-trouble.test', { kind: 'found', addresses: ['192.0.2.4'] }],
  ['empty.test', { kind: 'none' }],
  ['missing.test', { kind: 'none' }],
  ['half-trouble.test', { kind: 'failed', code: 'ESERVFAIL' }],
  ['trouble.test', { kind: 'failed', code: 'ESERVFAIL' }],
  [`${'x'.repeat(70)}.test`, { kind: 'none' }],
  ['localhost', { kind: 'found', addresses: ['127.0.0.1', '::1'] }],
  ['mail.LOCALHOST.', { kind: 'found', addresses: ['127.0.0.1', '::1'] }],
])('%s', async (name, expected) => {
  expect(await dns.addresses(name)).toEqual(expected);
});

test('no server at all is a failure to be tried again, not an absent name', async () => {
  const closed = createSocket('udp4').bind(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address();
  closed.close();
  expect(await systemDns([`127.0.0.1:${port}`]).addresses('v4.test')).toEqual({
    kind: 'failed',
    code: 'ECONNREFUSED',
  });
});
