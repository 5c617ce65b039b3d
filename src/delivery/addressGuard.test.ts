import { expect, test } from 'vitest';
import { guardedKindOf } from './addressGuard.ts';

test.each([
  ['127.0.0.1', 'loopback'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['10.0.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.0', undefined],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd00::1', 'private'],
  ['169.254.1.1', 'link-local'],
  ['fe80::1', 'link-local'],
  ['0.0.0.0', 'unspecified'],
  ['::', 'unspecified'],
  ['::7f00:1', 'unspecified'],
  ['224.0.0.1', 'multicast'],
  ['ff02::1', 'multicast'],
  ['255.255.255.255', 'reserved'],
  ['not an address', 'reserved'],
  ['192.0.2.1', undefined],
  ['8.8.8.8', undefined],
  ['2001:db8::1', undefined],
])('%s is %s', (address, kind) => {
  expect(guardedKindOf(address)).toBe(kind);
});
