import { expect, test } from 'vitest';
import type { CategoryRule } from '../config/config.ts';
import { compileBounceCategories } from './bounceCategory.ts';

const bounceCategory = compileBounceCategories([]);
const configured = (...rules: (readonly [string, string])[]) =>
  compileBounceCategories(rules.map(([expression, category]) => ({ expression, category }) as CategoryRule));

test.each([
  ['5.1.1', '550 5.1.1 no such user', 'bad-mailbox'],
  ['5.1.2', '550 5.1.2 no such domain', 'bad-domain'],
  ['5.1.10', '556 5.1.10 null MX', 'bad-domain'],
  ['5.1.8', '553 5.1.8 sender domain', 'invalid-sender'],
  ['5.2.1', '550 5.2.1 disabled', 'inactive-mailbox'],
  ['4.2.2', '452 4.2.2 over quota', 'quota-issues'],
  ['5.7.1', '554 5.7.1 looks like SPAM to us', 'spam-related'],
  ['5.7.1', '554 5.7.1 a Virus was found', 'virus-related'],
  ['5.7.1', '554 5.7.1 relay access denied', 'relaying-issues'],
  ['5.7.1', '550 5.7.1 refused', 'policy-related'],
  ['4.7.28', '421 4.7.28 unusual rate', 'policy-related'],
  ['5.0.0', '550 User unknown', 'bad-mailbox'],
  ['5.0.0', '550 mailbox full', 'quota-issues'],
  ['5.3.4', 'message too big', 'content-related'],
  ['5.6.7', 'SMTPUTF8 is needed', 'content-related'],
  ['4.4.1', 'no connection (ECONNREFUSED)', 'no-answer-from-host'],
  ['4.4.2', 'connection lost', 'bad-connection'],
  ['4.4.4', 'no route', 'routing-errors'],
  ['4.4.7', '', 'message-expired'],
  ['4.4.7', '450 4.7.1 spam?', 'message-expired'],
  ['4.5.0', 'out of step', 'protocol-errors'],
  ['5.0.0', '503 what', 'protocol-errors'],
  ['5.0.0', '550 no', 'other'],
])('%s %j is %s', (status, diagnostic, category) => {
  expect(bounceCategory(status, diagnostic)).toBe(category);
});

test('a status that names one cause outweighs the words, which outweigh a broad status', () => {
  expect(bounceCategory('5.1.7', '550 5.1.7 spam')).toBe('invalid-sender');
  expect(bounceCategory('5.7.1', '550 5.7.1 over quota')).toBe('quota-issues');
});

test('addresses and links say nothing of the cause', () => {
  expect(bounceCategory('5.1.1', '550 5.1.1 <spam@relay.example> gone')).toBe('bad-mailbox');
  expect(bounceCategory('5.1.1', '550 5.1.1 see https://help.example/spam?virus')).toBe('bad-mailbox');
});

test('the rules of the configuration go first, in their order, with whatever names they use', () => {
  const category = configured(
    ['^5\\.1\\.1;', 'gone'],
    ['x-pmta;bounce-queue', 'ours'],
    ['^5\\.1\\.1;smtp;550', 'later'],
  );
  expect(category('5.1.1', '550 5.1.1 no such user')).toBe('gone');
  expect(category('5.0.0', '550 no;x-pmta;bounce-queue')).toBe('ours');
  expect(category('5.2.2', '552 5.2.2 full')).toBe('quota-issues');
  expect(configured(['', 'other'])('5.1.1', '550 5.1.1 no such user')).toBe('other');
});
