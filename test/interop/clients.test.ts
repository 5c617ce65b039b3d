import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon, freePorts, makeSite, type Site, waitUntil } from '../ledger/daemon.ts';
import { Sink } from '../ledger/sink.ts';
import { missingPrograms } from './debianPackages.ts';
import { clients, type Mail, msmtp, run, smtplib, swaks, swaksReply, type Target } from './mailClients.ts';
import { traceOf } from './trace.ts';

const missing = missingPrograms({ swaks: 'swaks', curl: 'curl', msmtp: 'msmtp', python3: 'python3' });
const names = ['swaks', 'curl', 'smtplib', 'msmtp'] as const;
type Client = (typeof names)[number];

/** Addresses of this machine that the configuration treats differently; 127.0.0.1 may do everything. */
const stranger = '127.0.0.2';
const sizeLimited = '127.0.0.3';
const maxMessageSizeBytes = 20_000;

const content = Buffer.from(
  'From: <sender@client.test>\r\nTo: <to@client.test>\r\nSubject: interop\r\n' +
    'Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@client.test>\r\n\r\n.hidden\r\n..\r\nend\r\n',
);
const mailTo = (to: string, changes: Partial<Mail> = {}): Mail => ({
  from: 'sender@client.test',
  to,
  content,
  ...changes,
});

describe.skipIf(missing !== undefined)('mail clients at a listener', () => {
  const contents = new Map<string, Buffer[]>();
  let sink: Sink;
  let site: Site;
  let daemon: Daemon | undefined;
  let open: Target;
  /** A listener whose allowed-hosts names 127.0.0.1 alone. */
  let restricted: Target;

  beforeAll(async () => {
    const [port] = await freePorts(1);
    sink = await Sink.start({ receptions: [], contents });
    site = await makeSite({
      sinkPort: sink.port,
      extra: [
        'relay-domain ours.test',
        `<source ${sizeLimited}>`,
        '  always-allow-relaying yes',
        `  max-message-size ${maxMessageSizeBytes}`,
        '</source>',
        `<smtp-listener 127.0.0.1:${port}>`,
        '  allowed-hosts 127.0.0.1',
        '</smtp-listener>',
      ].join('\n'),
    });
    open = { port: site.ports[0]! };
    restricted = { port: port! };
    daemon = await Daemon.start({ ...site, ports: [...site.ports, port!] });
  });
  afterAll(async () => {
    await daemon?.stop();
    await sink?.stop();
    await site?.remove();
  });

  const send = async (client: Client, mail: Mail, target: Target): Promise<string> =>
    (await clients[client]([mail], target))[0]!;

  /** How a message arrived: who put trace fields before it when it is otherwise unchanged. */
  const arrived = async ({ to, content: sent }: Mail): Promise<string | undefined> => {
    await waitUntil(() => contents.has(to), 10_000);
    const received = contents.get(to) ?? [];
    return received.length === 1 ? traceOf(received[0]!, sent) : `${received.length} times`;
  };

  const heard: Readonly<Record<Client, () => Promise<string>>> = {
    swaks: async () => (await swaks(open, ['--quit-after', 'EHLO'])).stdout,
    curl: async () => (await run('curl', ['-sv', `smtp://127.0.0.1:${open.port}/curl.test`])).stderr,
    smtplib: async () => JSON.stringify((await smtplib([mailTo('hello@client.test')], open)).features),
    msmtp: async () => (await msmtp(open, ['--serverinfo'])).stdout,
  };
  test.each([
    ['swaks', ['PIPELINING', 'SIZE', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'CHUNKING']],
    ['curl', ['PIPELINING', 'SIZE', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'CHUNKING']],
    ['smtplib', ['pipelining', 'size', '8bitmime', 'smtputf8', 'enhancedstatuscodes', 'chunking']],
    ['msmtp', ['PIPELINING']],
  ] as const)('%s hears the extensions it can name', async (client, keywords) => {
    const said = await heard[client]();
    expect(keywords.filter((keyword) => !said.includes(keyword))).toEqual([]);
  });

  test.each(names)('%s is told 250, and its message arrives unchanged', async (client) => {
    const mail = mailTo(`plain-${client}@client.test`);
    expect(await send(client, mail, open)).toMatch(/^250 /);
    expect(await arrived(mail)).toBe('penstock.test');
  });

  test('swaks sends MAIL, RCPTs and DATA in one go (RFC 2920)', async () => {
    const to = ['pipelined-1@client.test', 'pipelined-2@client.test'];
    const said = await swaks(open, ['--pipeline', '--from', 'sender@client.test', '--to', to.join(',')]);
    expect(said.stdout).toMatch(
      / -> DATA\n<- {2}250 2\.1\.0 .*\n<- {2}250 2\.1\.5 .*\n<- {2}250 2\.1\.5 .*\n<- {2}354/,
    );
    expect(swaksReply(said)).toMatch(/^250 /);
    expect(await waitUntil(() => to.every((one) => contents.has(one)), 10_000)).toBe(true);
  });

  test('smtplib sends every octet above 127 with BODY=8BITMIME (RFC 6152)', async () => {
    const octets = Buffer.concat([
      content,
      Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i)),
      Buffer.from('\r\n'),
    ]);
    const mail = mailTo('octets@client.test', { content: octets, mailOptions: ['BODY=8BITMIME'] });
    expect(await send('smtplib', mail, open)).toBe('250 sent');
    expect(await arrived(mail)).toBe('penstock.test');
  });

  test.each([
    ['smtplib', 'δοκιμή-1@παράδειγμα.test'],
    ['curl', 'δοκιμή-2@client.test'],
  ] as const)('%s sends to a non-ASCII address with SMTPUTF8 (RFC 6531)', async (client, to) => {
    const mail = mailTo(to, { from: 'jörg@client.test', mailOptions: ['SMTPUTF8'] });
    expect(await send(client, mail, open)).toMatch(/^250 /);
    expect(await arrived(mail)).toBe('penstock.test');
  });

  test('swaks, which does not say SMTPUTF8, may not use a non-ASCII address', async () => {
    expect(await send('swaks', mailTo('δοκιμή-3@client.test'), open)).toMatch(/^553 5\.6\.7 /);
  });

  const tooBig = Buffer.concat([content, Buffer.from('x'.repeat(70).concat('\r\n').repeat(400))]);
  test.each(names)('%s is refused what is larger than its source allows (RFC 1870)', async (client) => {
    const target = { ...open, clientAddress: sizeLimited };
    const big = mailTo(`big-${client}@client.test`, { content: tooBig });
    const small = mailTo(`small-${client}@client.test`);
    expect(await send(client, big, target)).toMatch(/^552 5\.3\.4 /);
    expect(await send(client, small, target)).toMatch(/^250 /);
    expect(await arrived(small)).toBe('penstock.test');
    expect(contents.has(big.to)).toBe(false);
  });

  test('the size that a source allows stands in its EHLO reply, and is exact', async () => {
    const target = { ...open, clientAddress: sizeLimited };
    const fits = mailTo('fits@client.test', { content: filledTo(maxMessageSizeBytes) });
    const over = mailTo('over@client.test', { content: filledTo(maxMessageSizeBytes + 1) });
    const { replies, features } = await smtplib([fits, over], target);
    expect(features.size).toBe(`${maxMessageSizeBytes}`);
    expect(replies[0]).toBe('250 sent');
    expect(replies[1]).toMatch(/^552 5\.3\.4 /);
    // swaks does not declare the size: the octets themselves are counted.
    expect(await send('swaks', { ...fits, to: 'fits-swaks@client.test' }, target)).toMatch(/^250 /);
    expect(await send('swaks', { ...over, to: 'over-swaks@client.test' }, target)).toMatch(/^552 5\.3\.4 /);
  });

  test.each(names)('%s may not relay from where no source allows it, but may send to us', async (client) => {
    const target = { ...open, clientAddress: stranger };
    const relayed = mailTo(`relayed-${client}@elsewhere.test`);
    const local = mailTo(`local-${client}@ours.test`);
    expect(await send(client, relayed, target)).toMatch(/^550 5\.7\.1 /);
    expect(await send(client, local, target)).toMatch(/^250 /);
    expect(await arrived(local)).toBe('penstock.test');
    expect(contents.has(relayed.to)).toBe(false);
  });

  test.each([
    ['swaks', /Connection reset by peer|remote host closed/i],
    // The reset may be there before curl has looked whether the connection is.
    ['curl', /Connection reset by peer|Failed to connect/],
    ['smtplib', /Connection reset by peer/],
    ['msmtp', /reset by peer|network read error/i],
  ] as const)('%s is reset where allowed-hosts does not name it, and served where it does', async (client, how) => {
    const mail = mailTo(`reset-${client}@client.test`);
    expect(await send(client, mail, { ...restricted, clientAddress: stranger })).toMatch(how);
    expect(contents.has(mail.to)).toBe(false);
    expect(await send(client, mail, restricted)).toMatch(/^250 /);
    expect(await arrived(mail)).toBe('penstock.test');
  });

  test('a host that allowed-hosts does not name gets a reset and not one byte', async () => {
    expect(await connectionOutcome(restricted.port, stranger)).toEqual({ octets: 0, error: 'ECONNRESET' });
    expect(await connectionOutcome(restricted.port, '127.0.0.1')).toMatchObject({ error: undefined });
  });
});

/** The content with lines added, to be so large in all. */
function filledTo(octets: number): Buffer {
  const line = `${'x'.repeat(98)}\r\n`;
  const missingOctets = octets - content.length;
  const lines = line.repeat(Math.floor(missingOctets / 100) - 1);
  return Buffer.concat([content, Buffer.from(`${lines}${'y'.repeat(missingOctets - lines.length - 2)}\r\n`)]);
}

/** What a client that says nothing gets, until the connection ends or the greeting comes. */
function connectionOutcome(
  port: number,
  localAddress: string,
): Promise<{ octets: number; error: string | undefined }> {
  return new Promise((resolve) => {
    let octets = 0;
    let error: string | undefined;
    const socket = createConnection({ port, host: '127.0.0.1', localAddress });
    socket.on('data', (data) => {
      octets += data.length;
      socket.destroy();
    });
    socket.on('error', (reason: NodeJS.ErrnoException) => {
      error = reason.code;
    });
    socket.on('close', () => resolve({ octets, error }));
  });
}
