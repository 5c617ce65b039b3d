import { expect, test } from 'vitest';
import { folded, ownHeader, plainMessage } from './ownMessage.ts';

const header = {
  from: 'Operator <ops@a.test>',
  to: 'you@b.test',
  subject: 'hello',
  date: 'Thu, 1 Jan 1970 00:00:00 +0000',
  messageId: '1.2@a.test',
};

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test('a message of ours says that nobody is to answer it', () => {
  expect(textOf(plainMessage({ ...header, text: 'One.\n  two' }))).toBe(
    [
      'From: Operator <ops@a.test>',
      'To: <you@b.test>',
      'Subject: hello',
      'Date: Thu, 1 Jan 1970 00:00:00 +0000',
      'Message-ID: <1.2@a.test>',
      'Auto-Submitted: auto-generated',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=us-ascii',
      '',
      'One.',
      '  two',
      '',
    ].join('\r\n'),
  );
});

test('nothing that is put into it makes a field, an eighth bit or a bare line end', () => {
  const bytes = plainMessage({
    ...header,
    from: 'x\r\nBcc: all@c.test',
    subject: 'a\nb\u2028c\u0085\ud800',
    text: 'é\r.\rx\u0000\ny',
  });
  expect(bytes.every((octet) => octet < 0x80 && octet !== 0)).toBe(true);
  expect(textOf(bytes)).not.toMatch(/^Bcc|[^\r]\n|\r[^\n]/m);
});

test('UTF-8 stays where it may', () => {
  expect(
    ownHeader({ ...header, to: 'jö@b.test', autoSubmitted: 'auto-replied', isInternational: true }),
  ).toContain('To: <jö@b.test>\r\n');
});

test('a line that is too long is broken, at blanks where there are any', () => {
  expect(folded(`${'a'.repeat(70)} ${'b'.repeat(20)}`)).toBe(`${'a'.repeat(70)}\r\n ${'b'.repeat(20)}`);
  const lines = textOf(plainMessage({ ...header, text: `    ${'q'.repeat(3000)}` })).split('\r\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(998);
  expect(lines.join('').match(/q/g)).toHaveLength(3000);
});
