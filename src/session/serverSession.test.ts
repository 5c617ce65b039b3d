import fc from 'fast-check';
import { expect, test } from 'vitest';
import { replies } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { commandRules, type SessionPolicy } from './commands.ts';
import { type ReceivedMessage, ServerSession, type SessionEffect } from './serverSession.ts';

const octets = (characters: string): Uint8Array =>
  Uint8Array.from(characters, (character) => character.charCodeAt(0));

const policy: SessionPolicy = {
  hostName: 'mx.example.com',
  maxMessageSizeBytes: 0,
  maxRecipients: 0,
  maxMessageHops: 100,
  allowChunking: true,
  allowSmtputf8: true,
  commandTimeoutMs: 300_000,
  dataTimeoutMs: 60_000,
  tellsCommands: false,
  judgeRecipient: () => undefined,
  judgeSender: () => undefined,
  mayAnswer: () => true,
};

const transaction = 'MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n';

/** A client with its session, which stores every message at once. */
class Client {
  readonly session: ServerSession;
  readonly messages: ReceivedMessage[] = [];
  replies = '';
  closed = false;
  nowMs = 0;

  constructor(changes: Partial<SessionPolicy> = {}) {
    this.session = new ServerSession({ ...policy, ...changes }, 0);
    this.take(this.session.start());
  }

  take(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      expect(this.closed).toBe(false);
      if (effect.kind === 'send') this.replies += String.fromCharCode(...effect.bytes);
      else if (effect.kind === 'close') this.closed = true;
      else if (effect.kind === 'message') {
        this.messages.push(effect.message);
        this.take(this.session.stored({ ok: true, id: '1.1' }, this.nowMs));
      }
    }
  }

  /** The codes of what is answered, `250-` lines left out. */
  send(...chunks: readonly (string | Uint8Array)[]): string[] {
    this.replies = '';
    for (const chunk of chunks) {
      this.take(this.session.received(typeof chunk === 'string' ? octets(chunk) : chunk, this.nowMs));
      while (this.session.hasInput) this.take(this.session.goOn(this.nowMs));
    }
    return codes(this.replies);
  }
}

function codes(text: string): string[] {
  return text
    .split('\r\n')
    .filter((line) => /^\d{3} /.test(line))
    .map((line) => line.slice(0, 3));
}

function greeted(changes: Partial<SessionPolicy> = {}): Client {
  const client = new Client(changes);
  client.send('EHLO client.example\r\n');
  return client;
}

const contentOf = (message: ReceivedMessage): string =>
  message.chunks.map((chunk) => String.fromCharCode(...chunk)).join('');

/** What other servers have taken for the end of data (reliability.md, smuggling table). */
const smugglingForms = [
  '\n.\n',
  '\n.\r\n',
  '\r\n.\n',
  '\r\n.\r\r\n',
  '\r\r\n.\r\r\n',
  '\n\n.\r\n',
  '\n.\r',
  '\r.\n',
  '\r.\r',
  '\r.\r\n',
  '\r\n\0.\r\n',
  '\r\n.\r',
  '\r\n .\r\n',
  '\r\n.\0\r\n',
  '\r\n.\t\r\n',
];

test.each(smugglingForms)('%j never makes two messages of one, cut anywhere, by DATA or BDAT', (form) => {
  const content = `Subject: x\r\n\r\nbody${form}${transaction}DATA\r\nsmuggled\r\n`;
  for (let cut = 1; cut < content.length; cut++) {
    const data = greeted();
    expect(data.send(`${transaction}DATA\r\n`)).toEqual(['250', '250', '354']);
    const answers = data.send(content.slice(0, cut), `${content.slice(cut)}\r\n.\r\n`);
    expect(answers).toEqual([data.messages.length === 1 ? '250' : '550']);
    expect(data.messages.length === 1).toBe(form === '\r\n .\r\n' || form === '\r\n.\t\r\n');

    const bdat = greeted();
    bdat.send(transaction);
    const answer = bdat.send(`BDAT ${content.length} LAST\r\n`, content.slice(0, cut), content.slice(cut));
    expect(answer).toEqual([bdat.messages.length === 1 ? '250' : '550']);
    // In raw content a dot is any octet: only bare CR, bare LF and NUL are refused.
    expect(bdat.messages.length === 1).toBe(!/\r(?!\n)|(?<!\r)\n|\0/.test(content));
  }
});

test('a group of commands and its content are answered in one send', () => {
  const client = greeted();
  const effects = client.session.received(octets(`NOOP\r\n${transaction}DATA\r\n`), 0);
  expect(effects.map((effect) => effect.kind)).toEqual(['send']);
  const handed = client.session.received(octets(`x\r\n.\r\n${transaction}DATA\r\n`), 0);
  expect(handed.map((effect) => effect.kind)).toEqual(['message']);
  const after = client.session.stored({ ok: true, id: '1.1' }, 0);
  expect(after.map((effect) => effect.kind)).toEqual(['send']);
});

test('no 250 for content without stored(): what was pipelined behind it waits', () => {
  const client = greeted();
  client.session.received(octets(`${transaction}DATA\r\n`), 0);
  client.session.received(octets('x\r\n.\r\nNOOP\r\n'), 0);
  expect(client.session.received(octets('QUIT\r\n'), 0)).toEqual([]);
  expect(client.session.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  client.replies = '';
  client.take(client.session.stored({ ok: false, reply: replies.cannotStore }, 0));
  expect(codes(client.replies)).toEqual(['451', '250', '221']);
  expect(client.closed).toBe(true);
});

test('content is handed over as views of what was received', () => {
  const client = greeted();
  client.send(`${transaction}DATA\r\n`);
  const first = octets(`${'x'.repeat(70)}\r\n`.repeat(20));
  const second = octets(`${`${'y'.repeat(70)}\r\n`.repeat(20)}.\r\nNOOP\r\n`);
  expect(client.send(first, second)).toEqual(['250', '250']);
  const [message] = client.messages;
  expect(message!.chunks.map((chunk) => chunk.buffer)).toEqual([first.buffer, second.buffer]);
  expect(message).toMatchObject({
    sizeBytes: 2 * 1440,
    wireForm: 'dotStuffed',
    eightBit: false,
    protocol: 'ESMTP',
  });
});

test('content is byte for byte what was sent, however it is cut', () => {
  const line = fc.string({ unit: fc.constantFrom('.', 'a', 'é', ' '), maxLength: 900 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(3000), { maxLength: 6 }), (lines, at) => {
      const raw = lines.map((text) => `${text}\r\n`).join('');
      const wire = `${raw.replace(/(^|\n)\./g, '$1..')}.\r\n`;
      const client = greeted();
      client.send(`${transaction}DATA\r\n`);
      const cuts = [0, ...at.filter((cut) => cut < wire.length).sort((a, b) => a - b), wire.length];
      client.send(...cuts.slice(1).map((to, i) => wire.slice(cuts[i], to)));
      client.send(`${transaction}BDAT ${raw.length} LAST\r\n`, raw);
      const [byData, byBdat] = client.messages;
      expect(contentOf(byData!)).toBe(wire);
      expect(contentOf(byBdat!)).toBe(raw);
      expect([byData!.sizeBytes, byBdat!.sizeBytes]).toEqual([raw.length, raw.length]);
      expect(byData!.eightBit).toBe(raw.includes('é'));
    }),
    { numRuns: 50 },
  );
});

/** Everything after which a transaction must be forgotten (reliability A8). */
const endings: readonly (readonly [string, string, string])[] = [
  ['RSET', 'RSET\r\n', '250'],
  ['EHLO', 'EHLO again.example\r\n', '250'],
  ['HELO', 'HELO again.example\r\n', '250'],
  ['an accepted message', 'DATA\r\nx\r\n.\r\n', '250'],
  ['content that was refused', 'DATA\r\na\nb\r\n.\r\n', '550'],
  ['a message over the limit', `DATA\r\n${'x'.repeat(200)}\r\n.\r\n`, '552'],
  ['an accepted BDAT LAST', 'BDAT 3 LAST\r\nx\r\n', '250'],
  ['a refused BDAT LAST', 'BDAT 3 LAST\r\na\nb', '550'],
  ['a BDAT over the limit, then RSET', `BDAT 200\r\n${'x'.repeat(200)}RSET\r\n`, '250'],
  ['a refused chunk, then RSET', 'BDAT 3\r\na\nbRSET\r\n', '250'],
  ['an accepted chunk, then RSET', 'BDAT 3\r\nabcRSET\r\n', '250'],
];

test.each(endings)('after %s nothing of the transaction is left', (_, ending, code) => {
  const client = greeted({ maxMessageSizeBytes: 100 });
  client.send('MAIL FROM:<old@b.example> SMTPUTF8\r\nRCPT TO:<old@d.example>\r\n');
  expect(client.send(ending).at(-1)).toBe(code);
  client.messages.length = 0;
  expect(client.session.heldBytes).toBe(0);
  expect(client.send('RCPT TO:<c@d.example>\r\n', 'DATA\r\n', 'BDAT 1 LAST\r\nx')).toEqual([
    '503',
    '503',
    /HELO/.test(ending) ? '502' : '503',
  ]);
  client.send('MAIL FROM:<new@b.example>\r\n');
  expect(client.send('RCPT TO:<\xc3\xa9@d.example>\r\n')).toEqual(['553']);
  client.send('RCPT TO:<new@d.example>\r\nDATA\r\ny\r\n.\r\n');
  expect(client.messages).toMatchObject([
    { reversePath: 'new@b.example', recipients: [{ forwardPath: 'new@d.example' }], smtpUtf8: false },
  ]);
  expect(contentOf(client.messages[0]!)).toBe('y\r\n.\r\n');
});

test('a refused chunk swallows its octets, so that they are never commands', () => {
  const evil = 'RSET\r\nMAIL FROM:<evil@b.example>\r\n';
  const chunk = `BDAT ${evil.length}\r\n${evil}`;
  expect(new Client().send(chunk)).toEqual(['503']);
  expect(greeted().send(chunk)).toEqual(['503']);
  expect(greeted({ allowChunking: false }).send(transaction, chunk)).toEqual(['250', '250', '502']);
  const failed = greeted();
  expect(
    failed.send(transaction, 'BDAT 1\r\n\n', chunk, 'BDAT 1 LAST\r\nx', 'DATA\r\n', 'MAIL FROM:<>\r\n'),
  ).toEqual(['250', '250', '550', '503', '503', '503', '503']);
  expect(failed.messages).toEqual([]);
});

test.each([
  '-1',
  '0x10',
  '1e3',
  '1 LATS',
  'LAST',
  '',
  '9007199254740992',
  '99999999999999999999',
  '1 LAST x',
  '+1',
])('BDAT %s cannot be stepped over, so the session closes', (argument) => {
  const client = greeted();
  client.send(transaction);
  expect(client.send(`BDAT ${argument}\r\nQUIT\r\n`)).toEqual(['501']);
  expect(client.closed).toBe(true);
});

test('a CR at the very end of BDAT content is a bare one, at the end of a chunk it is not', () => {
  const client = greeted();
  client.send(transaction);
  expect(client.send('BDAT 2\r\nx\rBDAT 1 LAST\r\n\n')).toEqual(['250', '250']);
  client.send(transaction);
  expect(client.send('BDAT 2 LAST\r\nx\r')).toEqual(['550']);
});

test('a flood of tiny chunks costs what its octets cost', () => {
  const client = greeted();
  client.send(transaction);
  client.send('BDAT 1\r\nxBDAT 2\r\n\r\n'.repeat(7000));
  expect(client.session.heldBytes).toBeLessThan(100_000);
  client.send('BDAT 0 LAST\r\n');
  expect(client.messages[0]!.sizeBytes).toBe(21_000);
  expect(client.messages[0]!.chunks.length).toBeLessThan(30);
});

test('what will be refused is swallowed and not held', () => {
  const big = octets(`${'x'.repeat(70)}\r\n`.repeat(1000));
  for (const [changes, first] of [
    [{ maxMessageSizeBytes: 1000 }, ''],
    [{}, 'a\0b\r\n'],
    [{ maxMessageHops: 2 }, 'Received: x\r\n'.repeat(3)],
    [{}, 'A: b\r\n'.repeat(1001)],
    [{}, `A: b\r\n${` ${'c'.repeat(900)}\r\n`.repeat(300)}`],
  ] as const) {
    const client = greeted(changes);
    client.send(`${transaction}DATA\r\n`, first, big);
    expect(client.session.heldBytes).toBeLessThan(200);
    expect(client.send('\r\n.\r\n')[0]).toMatch(/^55\d$/);
    expect(client.messages).toEqual([]);
  }
});

test('the limits on size and hops hold to the octet and to the field', () => {
  const content = 'Received: x\r\nA: b\r\n\r\n..stuffed\r\n';
  const size = content.length - 1;
  const answer = (changes: Partial<SessionPolicy>): string[] =>
    greeted(changes).send(`${transaction}DATA\r\n`, content, '.', '\r\n').slice(3);
  expect(answer({ maxMessageSizeBytes: size, maxMessageHops: 1 })).toEqual(['250']);
  expect(answer({ maxMessageSizeBytes: size - 1 })).toEqual(['552']);
  expect(answer({ maxMessageHops: 0 })).toEqual(['554']);
});

test('recipients over the limit are put off, the earlier ones stand, and a flood of refused ones costs nothing', () => {
  const client = greeted({ maxRecipients: 2 });
  const rcpt = 'RCPT TO:<c@d.example>\r\n';
  expect(client.send('MAIL FROM:<>\r\n', rcpt.repeat(50))).toEqual([
    '250',
    '250',
    '250',
    ...Array(48).fill('452'),
  ]);
  client.send('DATA\r\nx\r\n.\r\n');
  expect(client.messages[0]!.recipients).toEqual([
    { forwardPath: 'c@d.example', domain: 'd.example', orcpt: '' },
    { forwardPath: 'c@d.example', domain: 'd.example', orcpt: '' },
  ]);
  const stranger = greeted({ judgeRecipient: (): Reply => replies.relayingDenied });
  stranger.send('MAIL FROM:<>\r\n');
  expect(stranger.send(rcpt.repeat(30))).toEqual([...Array(19).fill('550'), '421']);
  expect(stranger.closed).toBe(true);
});

test('one bad address in a list with good ones is no error of the client', () => {
  const client = greeted();
  client.send(transaction);
  expect(client.send('RCPT TO:<bad..dot@d.example>\r\n'.repeat(50))).toEqual(Array(50).fill('501'));
  expect(client.closed).toBe(false);
});

test('a stored message forgives earlier errors', () => {
  const client = greeted();
  client.send('X\r\n'.repeat(19), transaction, 'DATA\r\nx\r\n.\r\n', 'X\r\n'.repeat(19));
  expect(client.closed).toBe(false);
  expect(client.send('X\r\nQUIT\r\n')).toEqual(['421']);
});

/** What a client may say for ever without a message coming of it. */
const idleTalk: readonly (readonly [string, string])[] = [
  ['NOOP', 'NOOP\r\n'],
  ['EHLO', 'EHLO again.example\r\n'],
  ['HELO', 'HELO again.example\r\n'],
  ['VRFY', 'VRFY someone\r\n'],
  ['HELP', 'HELP\r\n'],
  ['a transaction that is given up', `${transaction}RSET\r\n`],
  ['empty chunks', `${transaction}${'BDAT 0\r\n'.repeat(50)}RSET\r\n`],
  ['content that is refused', `${transaction}DATA\r\n\n\r\n.\r\n`],
  ['chunks that are refused', `${transaction}BDAT 1 LAST\r\n\n`],
];

test.each(idleTalk)('%s for ever ends in 421', (_, talk) => {
  const client = greeted();
  expect(client.send(talk.repeat(98 / Math.max(1, talk.split('BDAT 0').length))).at(-1)).not.toBe('421');
  expect(client.closed).toBe(false);
  expect(client.send(talk.repeat(3)).at(-1)).toBe('421');
  expect(client.replies).toMatch(/421 4\.7\.0 too many commands without a message.*\r\n$/);
  expect(client.closed).toBe(true);
});

test('a client that tidies up around each message is never told that it talks too much', () => {
  const client = greeted();
  for (let i = 0; i < 300; i++) {
    client.send('RSET\r\nNOOP\r\nEHLO again.example\r\n', transaction, 'DATA\r\nx\r\n.\r\n');
  }
  expect(client.messages.length).toBe(300);
});

test('when nothing can be stored a client is sent away after a hundred tries', () => {
  const client = greeted();
  let tries = 0;
  while (!client.closed && tries < 1000) {
    client.session.received(octets(`${transaction}DATA\r\nx\r\n.\r\n`), 0);
    client.take(client.session.stored({ ok: false, reply: replies.cannotStore }, 0));
    tries++;
  }
  expect(tries).toBe(99);
});

test('bad recipients among good ones end somewhere, too', () => {
  const client = greeted();
  client.send(transaction);
  const bad = octets('RCPT TO:<a..b@d.example>\r\n'.repeat(10_000));
  client.send(bad);
  expect(client.closed).toBe(false);
  expect(client.send(bad).at(-1)).toBe('421');
});

test('input is carried out a turn at a time, in order, and comes to the same', () => {
  const stream = `MAIL FROM:<>\r\n${'RCPT TO:<c@d.example>\r\n'.repeat(250)}DATA\r\nx\r\n.\r\nNOOP\r\n`;
  const client = greeted();
  const [first, ...others] = [stream.slice(0, 6000), stream.slice(6000, 6050), stream.slice(6050)];
  client.replies = '';
  client.take(client.session.received(octets(first!), 0));
  expect([codes(client.replies).length, client.session.hasInput]).toEqual([100, true]);
  for (const bytes of others) expect(client.session.received(octets(bytes), 0)).toEqual([]);
  client.take(client.session.goOn(0));
  expect([codes(client.replies).length, client.session.hasInput]).toEqual([200, true]);
  client.take(client.session.goOn(0));
  expect(codes(client.replies)).toEqual(['250', ...Array(250).fill('250'), '354', '250', '250']);
  expect([client.session.hasInput, client.session.heldBytes]).toEqual([false, 0]);
  expect(client.messages[0]!.recipients.length).toBe(250);
  expect(client.session.goOn(0)).toEqual([]);
});

test('for a client that does not read its replies nothing is carried out, and its time runs', () => {
  let reads = false;
  const client = new Client({ mayAnswer: () => reads });
  client.replies = '';
  client.take(client.session.received(octets('EHLO a.test\r\nNOOP\r\n'), 0));
  client.take(client.session.goOn(1000));
  expect([client.replies, client.session.hasInput]).toEqual(['', true]);
  reads = true;
  client.take(client.session.goOn(2000));
  expect([codes(client.replies), client.session.hasInput]).toEqual([['250', '250'], false]);
  reads = false;
  client.take(client.session.received(octets('NOOP\r\n'), 3000));
  client.take(client.session.tick(302_000));
  expect([codes(client.replies).at(-1), client.closed]).toEqual(['421', true]);
  expect([client.session.hasInput, client.session.heldBytes]).toEqual([false, 0]);
});

test.each([
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '__PROTO__ x',
])('%s is just an unknown verb', (line) => {
  expect(greeted().send(`${line}\r\n`)).toEqual(['500']);
  expect(greeted().send(`MAIL FROM:<> ${line}\r\n`).length).toBe(1);
});

test('the judged path is the routed one', () => {
  const judged: string[] = [];
  const client = greeted({
    judgeRecipient: (path) => {
      judged.push(`${path.localPart} at ${path.domain}`);
      return path.routedLocalPart ? replies.relayingDenied : undefined;
    },
  });
  client.send('MAIL FROM:<>\r\n');
  expect(
    client.send(
      'RCPT TO:<"A b"@D.Example>\r\nRCPT TO:<x%y@d.example>\r\nRCPT TO:<@r:u@d.example>\r\nRCPT TO: <PostMaster>\r\n',
    ),
  ).toEqual(['250', '550', '550', '250']);
  client.send('DATA\r\n.\r\n');
  expect(judged).toEqual(['"A b" at d.example', 'x%y at d.example', 'PostMaster at mx.example.com']);
  expect(client.messages[0]!.recipients).toEqual([
    { forwardPath: '"A b"@D.Example', domain: 'd.example', orcpt: '' },
    { forwardPath: 'PostMaster@mx.example.com', domain: 'mx.example.com', orcpt: '' },
  ]);
});

test('a command must come whole in its time, octet by octet or not', () => {
  const client = new Client();
  for (client.nowMs = 0; client.nowMs < 300_000; client.nowMs += 100_000) client.send('N');
  expect(client.session.deadlineMs).toBe(300_000);
  client.replies = '';
  client.take(client.session.tick(299_999));
  expect(client.closed).toBe(false);
  client.take(client.session.tick(300_000));
  expect(codes(client.replies)).toEqual(['421']);
  expect(client.closed).toBe(true);
  expect(client.session.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  expect(client.session.received(octets('NOOP\r\n'), 300_001)).toEqual([]);
});

test('content must progress within its time-out and end within ten of them', () => {
  for (const begin of ['DATA\r\n', 'BDAT 1000\r\n', 'BDAT 1\r\nx']) {
    const client = greeted();
    client.nowMs = 1000;
    client.send(transaction, begin);
    if (!begin.endsWith('x')) expect(client.session.deadlineMs).toBe(61_000);
    let last = 0;
    while (client.session.deadlineMs > client.nowMs + 1 && client.nowMs < 2_000_000) {
      client.nowMs = Math.min(client.nowMs + 30_000, client.session.deadlineMs - 1);
      client.send(begin.endsWith('x') ? 'BDAT 1\r\nx' : 'x');
      last = client.session.deadlineMs;
    }
    expect(last).toBe(601_000);
    client.take(client.session.tick(last));
    expect(client.closed).toBe(true);
    expect(client.session.heldBytes).toBe(0);
  }
});

test('at shutdown an idle client is told at once, content under way may finish', () => {
  const idle = greeted();
  idle.send(transaction);
  idle.replies = '';
  idle.take(idle.session.shutDown(0));
  expect([codes(idle.replies), idle.closed]).toEqual([['421'], true]);

  for (const [before, after, answers] of [
    ['DATA\r\nx', '\r\n.\r\nNOOP\r\n', ['250', '421']],
    ['DATA\r\nx', '\n\r\n.\r\nNOOP\r\n', ['550', '421']],
    ['BDAT 1\r\nxBDAT 2\r\n', 'yzBDAT 0 LAST\r\n', ['250', '250', '421']],
    ['BDAT 3\r\nx', '\n\n', ['550', '421']],
  ] as const) {
    const busy = greeted();
    busy.send(transaction, before);
    expect(busy.session.shutDown(0)).toEqual([]);
    expect(busy.send(after)).toEqual(answers);
    expect(busy.closed).toBe(true);
  }
});

test('a message being stored at shutdown is answered first', () => {
  const client = greeted();
  client.session.received(octets(`${transaction}DATA\r\n`), 0);
  client.session.received(octets('x\r\n.\r\nNOOP\r\n'), 0);
  expect(client.session.shutDown(0)).toEqual([]);
  client.replies = '';
  client.take(client.session.stored({ ok: true, id: '1.1' }, 0));
  expect([codes(client.replies), client.closed]).toEqual([['250', '421'], true]);
});

test('held bytes count what content, recipients and waiting input pin, and fall back to nothing', () => {
  const client = greeted();
  client.session.received(octets(`${transaction}DATA\r\n`), 0);
  const withRecipients = client.session.heldBytes;
  expect(withRecipients).toBeGreaterThan(0);
  client.session.received(octets('x'.repeat(900)), 0);
  expect(client.session.heldBytes).toBe(withRecipients + 900);
  client.session.received(octets('\r\n.\r\n'), 0);
  expect(client.session.heldBytes).toBe(0);
  client.session.received(new Uint8Array(5000), 0);
  expect(client.session.heldBytes).toBeGreaterThanOrEqual(5000);
  client.session.stored({ ok: true, id: '1.1' }, 0);
  // The last octet of a command line that was too long.
  expect(client.session.heldBytes).toBe(1);
});

test('any octets, cut anywhere, are answered alike: legal replies, bounded memory, no exception', () => {
  const piece = fc.oneof(
    fc.constantFrom(...commandRules.keys()).map((verb) => `${verb} `),
    fc.constantFrom(
      'EHLO x\r\n',
      'HELO x\r\n',
      transaction,
      'DATA\r\n',
      '\r\n',
      '\n',
      '\r',
      '\r\n.\r\n',
      '.',
      'BDAT 3\r\n',
      'BDAT 5 LAST\r\n',
      'abc',
      'A: b\r\n',
      'RSET\r\n',
      'GET / HTTP/1.1\r\n',
      'x'.repeat(700),
    ),
    fc.string({ unit: 'binary', maxLength: 8 }).map((text) => text.replace(/[^\0-\xff]/g, 'u')),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 25 }),
      fc.array(fc.nat(2000), { maxLength: 8 }),
      (pieces, at) => {
        const stream = pieces.join('');
        const cuts = [0, ...at.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
        const run = (...chunks: string[]) => {
          const client = new Client({ maxMessageSizeBytes: 500 });
          client.send(...chunks);
          expect(client.session.heldBytes).toBeLessThan(10_000 + stream.length);
          const messages = client.messages.map((message) => ({ ...message, chunks: contentOf(message) }));
          return { replies: client.replies, closed: client.closed, messages };
        };
        const whole = run(stream);
        expect(whole.replies).toMatch(/^([2-5]\d\d[ -][^\r\n\0]*\r\n)*$/);
        expect(run(...cuts.slice(1).map((to, i) => stream.slice(cuts[i], to)))).toEqual(whole);
        expect(run(...stream)).toEqual(whole);
      },
    ),
    { numRuns: 300 },
  );
});

test('log-commands gets every command line before its reply, and nothing that AUTH says', () => {
  const told = new ServerSession({ ...policy, tellsCommands: true }, 0);
  told.start();
  const effects = told.received(
    new TextEncoder().encode('EHLO a.test\r\nAUTH PLAIN c2VjcmV0\r\nnoop\r\n'),
    1,
  );
  expect(effects.map((effect) => (effect.kind === 'command' ? effect.line : effect.kind))).toEqual([
    'EHLO a.test',
    'AUTH ...',
    'NOOP',
    'send',
  ]);
});

test('content given up for want of memory holds nothing, is swallowed, and ends in 452 with the session in step', () => {
  const client = new ServerSession(policy, 0);
  const say = (text: string): string =>
    client
      .received(new TextEncoder().encode(text), 1)
      .map((effect) => (effect.kind === 'send' ? new TextDecoder().decode(effect.bytes) : effect.kind))
      .join('');
  client.start();
  say('EHLO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n');
  say(`Subject: big\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(2000)}`);
  expect(client.heldBytes).toBeGreaterThan(100_000);
  client.shed();
  expect(client.heldBytes).toBeLessThan(5000);
  say(`${'y'.repeat(70)}\r\n`.repeat(2000));
  expect(client.heldBytes).toBeLessThan(5000);
  expect(say('.\r\nNOOP\r\n')).toMatch(/^452 4\.3\.1 .*\r\n250 /);
});
