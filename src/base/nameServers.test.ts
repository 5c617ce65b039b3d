import { expect, test } from 'vitest';
import { nameServersOf } from './nameServers.ts';

test.each([
  ['nameserver 192.0.2.1\nsearch a.test\n  nameserver\t2001:DB8::1 # two\n', ['192.0.2.1', '2001:db8::1']],
  ['# nameserver 192.0.2.1\n;nameserver 192.0.2.2\noptions ndots:1', ['127.0.0.1']],
  ['nameserver fe80::1%eth0', ['fe80::1%eth0']],
  ['nameserver router\nnameserver 192.0.2.9', ['192.0.2.9']],
  ['nameserver 192.0.2.1\n'.repeat(5), ['192.0.2.1', '192.0.2.1', '192.0.2.1']],
  ['', ['127.0.0.1']],
])('resolv.conf %j names %j', (text, expected) => {
  expect(nameServersOf(text)).toEqual(expected);
});
