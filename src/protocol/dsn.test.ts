import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DsnFacts, failureDsn } from './dsn.ts';
import { transferNeed } from './quotedPrintable.ts';

const encoder = new TextEncoder();
const date = 'Thu, 1 Jan 2026 12:00:00 +0000';

const plain: DsnFacts = {
  messageId: '1f.100000000002a9@mx.sender.example',
  from: '',
  to: 'news@sender.example',
  date,
  hostName: 'mx.sender.example',
  envId: '',
  arrivalDate: 'Thu, 1 Jan 2026 11:59:58 +0000',
  recipients: [
    {
      address: 'nobody@isp.example',
      orcpt: '',
      status: '5.1.1',
      diagnostic:
        '550 5.1.1 <nobody@isp.example>: no such user here, see https://isp.example/help for what to do',
      remoteMta: 'mx1.isp.example',
      lastAttemptDate: date,
    },
  ],
  returned: {
    is: 'headers',
    bytes: encoder.encode('From: <news@sender.example>\r\nSubject: The news\r\n'),
    smtpUtf8: false,
  },
};

const expired: DsnFacts = {
  ...plain,
  from: 'Bounces "of" us <bounces@sender.example>',
  envId: 'job 7+x=1',
  recipients: [
    {
      address: 'one@slow.example',
      orcpt: 'rfc822;One+2Bnews@old.example',
      status: '4.4.7',
      diagnostic: 'no route to host',
      remoteMta: '',
      lastAttemptDate: date,
    },
    {
      address: 'jörg@slow.example',
      orcpt: '',
      status: '4.4.7',
      diagnostic: '',
      remoteMta: '192.0.2.25',
      lastAttemptDate: date,
    },
  ],
  returned: {
    is: 'headers',
    bytes: encoder.encode('From: Jörg <j@sender.example>\r\nSubject: =?x?= \r\n'),
    smtpUtf8: true,
  },
};

const international: DsnFacts = {
  ...plain,
  to: 'новости@пример.example',
  recipients: [
    {
      ...plain.recipients[0]!,
      address: 'jörg@isp.example',
      diagnostic: '550 5.1.1 kein Empfänger',
      remoteMta: '2001:db8::25',
    },
  ],
  returned: {
    is: 'message',
    bytes: encoder.encode('Subject: Grüße\r\n\r\nBis bald\r\n.\r\n'),
    smtpUtf8: true,
  },
};

const samples = { plain, expired, international };

test.each(
  Object.entries(samples),
)('the report %s is byte for byte what its golden file holds', (name, facts) => {
  const file = new URL(`../../test/dsn/${name}.golden`, import.meta.url);
  const { content } = failureDsn(facts);
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(file, content);
  expect(new TextDecoder().decode(content)).toBe(readFileSync(file, 'utf8'));
});

test('only a sender whom nothing else reaches gets a report that needs SMTPUTF8', () => {
  expect(failureDsn(expired)).toMatchObject({ smtpUtf8: false, eightBit: false });
  expect(failureDsn(international)).toMatchObject({ smtpUtf8: true, eightBit: true });
});

test('a message that is returned whole keeps its eighth bits', () => {
  const bytes = encoder.encode('Subject: x\r\n\r\nGrüße\r\n');
  const { content, eightBit } = failureDsn({ ...plain, returned: { is: 'message', bytes, smtpUtf8: false } });
  expect(eightBit).toBe(true);
  expect(new TextDecoder().decode(content)).toContain(
    'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\nGrüße\r\n',
  );
});

const evil = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom(
    'x\r\nFinal-Recipient: rfc822; y@z',
    '\n\n--=_1f',
    '\u2028a',
    'a'.repeat(1500),
    'b '.repeat(700),
  ),
);

test('whatever remote and client say, the report has the fields it has, in lines that may travel', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(
      evil,
      evil,
      evil,
      evil,
      evil,
      bytes,
      (diagnostic, address, orcpt, envId, remoteMta, header) => {
        const recipient = { address, orcpt, status: '5.0.0', diagnostic, remoteMta, lastAttemptDate: date };
        const returned = { is: 'headers', bytes: header, smtpUtf8: false } as const;
        const { content, eightBit } = failureDsn({
          ...plain,
          envId,
          recipients: [recipient, recipient],
          returned,
        });
        expect(transferNeed(content)).toBe('7bit');
        expect(eightBit).toBe(false);
        const text = new TextDecoder().decode(content);
        expect(text.match(/^Final-Recipient:/gm)).toHaveLength(2);
        expect(text.match(/^Action:/gm)).toHaveLength(2);
        const boundary = /boundary="([^"]+)"/.exec(text)![1]!;
        expect(text.split(`--${boundary}`)).toHaveLength(5);
        // No empty line parts a group that has something in it.
        const status = text.split(`--${boundary}`)[2]!.split('\r\n\r\n').slice(1, -1);
        for (const group of status.slice(1)) expect(group).toMatch(/^(Original|Final)-Recipient:/);
      },
    ),
  );
});

test('a message that knows what our boundary is does not end a part', () => {
  const bytes = encoder.encode('A: --=_1f.100000000002a9_mx.sender.example\r\n');
  const { content } = failureDsn({ ...plain, returned: { is: 'headers', bytes, smtpUtf8: false } });
  const text = new TextDecoder().decode(content);
  const boundary = /boundary="([^"]+)"/.exec(text)![1]!;
  expect(text.split(`--${boundary}`)).toHaveLength(5);
});
