import { expect, test } from 'vitest';
import type { Config, DomainBlock } from '../config/config.ts';
import { lintRoutes } from './lints.ts';

const origin = { file: 'c', line: 1, column: 1, text: '' };
const block = (over: Partial<DomainBlock>): DomainBlock => ({
  origin,
  pattern: { kind: 'all' },
  scope: { kind: 'global' },
  settings: {
    smtpHosts: { value: [[{ host: '192.0.2.1', isAddress: true, port: 0 }]], origin },
  },
  ...over,
});
const codes = (...domains: DomainBlock[]): string[] =>
  lintRoutes({ domains } as unknown as Config).map(({ code }) => code);

test('mail that no smtp-hosts routes is warned of', () => {
  expect(codes()).toEqual(['W-NO-ROUTE']);
  expect(codes(block({ pattern: { kind: 'exact', domain: 'a.test' } }))).toEqual(['W-NO-ROUTE']);
  expect(codes(block({ scope: { kind: 'vmta', name: 'v' } }))).toEqual(['W-NO-ROUTE']);
  expect(codes(block({ settings: {} }))).toEqual(['W-NO-ROUTE']);
  expect(codes(block({}))).toEqual([]);
});
