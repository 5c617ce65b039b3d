import { expect, test } from 'vitest';
import type { Config } from '../config/config.ts';
import { compileOwnHosts, type OwnHosts } from './ownHosts.ts';

const setting = <T>(value: T) => ({ value, origin: undefined });
const own = (listeners: readonly { address: string; port: number }[]): OwnHosts =>
  compileOwnHosts({
    hostNames: setting(['mail.own.test', 'alias.own.test']),
    listeners,
    virtualMtas: [{ smtpSourceHosts: [setting({ address: '192.0.2.7', hostName: 'x' })] }],
    smtpSourceHosts: [setting({ address: '2001:db8::7', hostName: 'y' })],
  } as unknown as Config);

test('an address on which we listen is ours, on that port', () => {
  const { isOwnEndpoint } = own([{ address: '192.0.2.1', port: 25 }]);
  expect(isOwnEndpoint('192.0.2.1', 25)).toBe(true);
  expect(isOwnEndpoint('192.0.2.1', 2525)).toBe(false);
  expect(isOwnEndpoint('192.0.2.7', 25)).toBe(false);
});

test('where we listen on all addresses, those we send from are ours', () => {
  const { isOwnEndpoint } = own([{ address: '0.0.0.0', port: 25 }]);
  expect(isOwnEndpoint('192.0.2.7', 25)).toBe(true);
  expect(isOwnEndpoint('2001:db8::7', 25)).toBe(false);
  expect(own([{ address: '::', port: 25 }]).isOwnEndpoint('2001:db8::7', 25)).toBe(true);
});

test('a name of ours counts where others reach a listener of ours at that port', () => {
  expect(own([{ address: '0.0.0.0', port: 25 }]).isOwnHost('alias.own.test', 25)).toBe(true);
  expect(own([{ address: '0.0.0.0', port: 25 }]).isOwnHost('mx.other.test', 25)).toBe(false);
  expect(own([{ address: '0.0.0.0', port: 2525 }]).isOwnHost('mail.own.test', 25)).toBe(false);
  expect(own([{ address: '127.0.0.1', port: 25 }]).isOwnHost('mail.own.test', 25)).toBe(false);
});
