import { expect, test } from 'vitest';
import { bounceCategory } from './bounceCategory.ts';

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
  expect(bounceCategory('5.1.1', '550 5.1.1 <spam@r.example> unknown')).toBe('bad-mailbox');
  expect(bounceCategory('5.7.1', '550 5.7.1 over quota')).toBe('quota-issues');
});
