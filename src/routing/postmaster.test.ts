import { expect, test } from 'vitest';
import type { Config, Setting } from '../config/config.ts';
import { compilePostmaster } from './postmaster.ts';
import { recipientOf } from './recipient.ts';

const setting = <T>(value: T): Setting<T> => ({ value, origin: undefined });

function forwarded(addresses: readonly string[], to: readonly string[]): readonly (readonly string[])[] {
  const config = { postmaster: setting(addresses), hostNames: setting(['mx.a.test', 'b.test']) };
  return compilePostmaster(config as Partial<Config> as Config)(to.map((one) => recipientOf(one)!)).map(
    ({ forwardPath, domain, orcpt }) => [forwardPath, domain, orcpt],
  );
}

test('postmaster and abuse at our own names go to every operator, and say whom they were for', () => {
  const orcpt = 'rfc822;postmaster@mx.a.test';
  expect(
    forwarded(['Ops@c.test', 'two@d.test'], ['PostMaster@MX.a.test', 'you@mx.a.test', 'abuse@b.test']),
  ).toEqual([
    ['Ops@c.test', 'c.test', orcpt],
    ['two@d.test', 'd.test', orcpt],
    ['you@mx.a.test', 'mx.a.test', ''],
    ['Ops@c.test', 'c.test', 'rfc822;abuse@b.test'],
    ['two@d.test', 'd.test', 'rfc822;abuse@b.test'],
  ]);
});

test('those of others, and all without an operator, stay as they are', () => {
  expect(forwarded(['ops@c.test'], ['postmaster@c.test'])).toEqual([['postmaster@c.test', 'c.test', '']]);
  expect(forwarded([], ['postmaster@b.test'])).toEqual([['postmaster@b.test', 'b.test', '']]);
});
