import { describe, expect, test } from 'vitest';
import { ReplyParser } from '../protocol/reply.ts';
import { isTooManyRecipients, replyClass, replyDiagnostic, replyStatus } from './replyMeaning.ts';
import { replyDefaults } from './replySettings.testing.ts';

const parsed = (text: string) => new ReplyParser().feed(new TextEncoder().encode(text))[0]!;

test('a bare 553 means a bad mailbox only where the queue says so', () => {
  const otherwise = { smtp553MeansInvalidMailbox: false };
  expect(replyStatus(parsed('553 no\r\n'), otherwise)).toBe('5.0.0');
});

describe('the meaning of a reply', () => {
  test.each([
    [200, 2],
    [354, 3],
    [421, 4],
    [559, 5],
    [560, 4],
    [599, 4],
    [0, 4],
  ])('code %i acts as %iyz', (code, level) => {
    expect(replyClass(code)).toBe(level);
  });

  test.each([
    ['550 5.1.1 no\r\n', true, '5.1.1'],
    ['550-hello\r\n550 5.2.1 no\r\n', true, '5.2.1'],
    ['550 4.2.2 class of another code\r\n', true, '5.0.0'],
    ['571 5.7.1 beyond the range\r\n', true, '4.7.1'],
    ['553 no\r\n', true, '5.1.1'],
    ['553 no\r\n', false, '5.0.0'],
    ['551 moved\r\n', true, '5.1.6'],
    ['450 later\r\n', true, '4.0.0'],
    ['250 ok\r\n', false, '2.0.0'],
  ])('%j to RCPT (%s) has the status %s', (text, answersRcpt, status) => {
    expect(replyStatus(parsed(text), answersRcpt ? replyDefaults : undefined)).toBe(status);
  });

  test.each([
    [
      '550-5.1.1 The account\r\n550-5.1.1 does not\r\n550 5.1.1 exist\r\n',
      '550 5.1.1 The account does not exist',
    ],
    ['550-one\r\n550 two\r\n', '550 one two'],
    ['250\r\n', '250'],
    ['Bad Request\r\n', 'Bad Request'],
  ])('%j is reported as %j', (text, diagnostic) => {
    expect(replyDiagnostic(parsed(text))).toBe(diagnostic);
  });

  test.each([
    ['452 4.5.3 a\r\n', true],
    ['552 5.5.3 a\r\n', true],
    ['452 a\r\n', true],
    ['452 4.3.1 disk\r\n', false],
    ['552 a\r\n', false],
    ['450 a\r\n', false],
  ])('%j says "too many recipients": %s', (text, answer) => {
    expect(isTooManyRecipients(parsed(text))).toBe(answer);
  });
});
