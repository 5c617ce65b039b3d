import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, makeSite, type Site, waitUntil } from '../ledger/daemon.ts';
import { tlsFiles } from '../ledger/misdeeds.ts';
import { type CorpusMessage, corpusMessages, missingCorpus } from './corpusMessages.ts';
import { missingPrograms } from './debianPackages.ts';
import { clients } from './mailClients.ts';
import { missingPostfix, PrivatePostfix } from './privatePostfix.ts';
import { traceOf } from './trace.ts';

const missing = missingCorpus() ?? missingPrograms({ python3: 'python3' }) ?? missingPostfix();
const sound = (missing === undefined ? corpusMessages() : []).filter(
  ({ lineFault }) => lineFault === undefined,
);
const trace = 'postfix.test,penstock.test';

/** What Postfix changes in header sections that break RFC 5322 2.2, whoever sends them. */
const changes: readonly Change[] = [
  {
    what: 'begins with an mbox line: Postfix ends the header section before it',
    concerns: ({ hasMboxLine }) => hasMboxLine,
    change: (content) => Buffer.concat([Buffer.from('\r\n'), content]),
  },
  {
    what: 'has a field name with a space behind it (RFC 5322 4.5): Postfix takes the space out',
    concerns: ({ content }) => spacedName.test(content.toString('latin1')),
    change: (content) => Buffer.from(content.toString('latin1').replace(spacedName, '$1:'), 'latin1'),
  },
];

interface Change {
  readonly what: string;
  readonly concerns: (message: CorpusMessage) => boolean;
  readonly change: (content: Buffer) => Buffer;
}

const spacedName = /^([!-9;-~]+)[ \t]+:/;

const ways = [
  { how: 'in the clear', domainLines: ['use-starttls no'], postfix: {} },
  {
    how: 'over TLS',
    domainLines: ['require-starttls yes', `smtp-tls-ca-file ${resolve(tlsFiles.certificate)}`],
    postfix: {
      main: [
        'smtpd_tls_security_level = encrypt',
        `smtpd_tls_cert_file = ${resolve(tlsFiles.certificate)}`,
        `smtpd_tls_key_file = ${resolve(tlsFiles.key)}`,
      ],
      services: ['tlsmgr unix - - n 1000? 1 tlsmgr'],
    },
  },
];

describe.skipIf(missing !== undefined).each(ways)('the corpus through Penstock to Postfix $how', (way) => {
  let postfix: PrivatePostfix;
  let site: Site;
  let daemon: Daemon | undefined;
  let letters = new Map<string, Buffer[]>();

  beforeAll(async () => {
    postfix = await PrivatePostfix.start('maildir', way.postfix);
    site = await makeSite({ sinkPort: postfix.port, domainLines: way.domainLines });
    daemon = await Daemon.start(site);
    const mails = sound.map(({ content }, i) => ({
      from: 'sender@corpus.test',
      to: recipientOf(i),
      content,
    }));
    const replies = await clients.smtplib(mails, { port: site.ports[0]! });
    expect(new Set(replies)).toEqual(new Set(['250 sent']));
    await waitUntil(async () => (await postfix.letterCount()) >= sound.length, 60_000);
    letters = await postfix.letters();
  });
  afterAll(async () => {
    await daemon?.stop();
    await postfix?.stop();
    await site?.remove();
  });

  const recipientOf = (i: number): string => `m${i}@corpus.test`;

  /** Messages that did not arrive once, as `expected` makes them, behind the two trace fields. */
  const surprising = (
    concerned: (message: CorpusMessage) => boolean,
    expected: (content: Buffer) => Buffer,
  ): string[] =>
    sound.flatMap((message, i) => {
      if (!concerned(message)) return [];
      const received = letters.get(recipientOf(i)) ?? [];
      const found = received[0] && traceOf(received[0], expected(message.content));
      return received.length === 1 && found === trace
        ? []
        : [`${message.name}: ${received.length} times, trace ${found}`];
    });

  const isChanged = (message: CorpusMessage): boolean => changes.some(({ concerns }) => concerns(message));
  const unchanged = sound.filter((message) => !isChanged(message)).length;

  test(`${unchanged} messages arrive byte for byte behind the two trace fields`, () => {
    expect(
      surprising(
        (message) => !isChanged(message),
        (content) => content,
      ),
    ).toEqual([]);
  });

  test.each(
    changes.map((change) => [sound.filter(change.concerns).length, change.what, change] as const),
  )('%i whose content %s; nothing else is changed', (_, __, { concerns, change }) => {
    expect(surprising(concerns, change)).toEqual([]);
  });

  test('a message of 20 MB arrives byte for byte, dots and all', async () => {
    const content = Buffer.from(`Subject: large\r\n\r\n${`.${'x'.repeat(76)}\r\n..\r\n`.repeat(240_000)}`);
    const mail = { from: 'sender@corpus.test', to: 'large@corpus.test', content };
    expect(await clients.smtplib([mail], { port: site.ports[0]! })).toEqual(['250 sent']);
    await waitUntil(async () => (await postfix.letterCount()) > sound.length, 60_000);
    const received = (await postfix.letters()).get(mail.to);
    expect(received?.map((one) => traceOf(one, content))).toEqual([trace]);
  });
});
