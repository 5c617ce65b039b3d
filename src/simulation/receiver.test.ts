import { expect, test } from 'vitest';
import type { Connection, ConnectionEvents } from '../base/ports.ts';
import { Agenda } from './agenda.ts';
import { contentHash } from './mailContent.ts';
import { perfectNet } from './netFaults.ts';
import { Receiver } from './receiver.ts';
import { friendlyReceiver, type ReceiverBehaviour, type ReceiverTrouble } from './receiverBehaviour.ts';
import { SeededRandom } from './seededRandom.ts';
import { SimulatedNet } from './simulatedNet.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const at = { address: '192.0.2.25', port: 25 };
const minuteMs = 60_000;

class Client implements ConnectionEvents {
  connection!: Connection;
  text = '';
  end: string | undefined;
  received(bytes: Uint8Array): void {
    this.text += decoder.decode(bytes);
  }
  ended(): void {
    this.end = 'FIN';
  }
  drained(): void {}
  closed(error: string | undefined): void {
    this.end = error ?? 'orderly';
  }
}

function world(behaviour: Partial<ReceiverBehaviour> = {}, seed = 1) {
  const random = new SeededRandom(seed);
  const agenda = new Agenda(random);
  const net = new SimulatedNet(agenda, random);
  net.faults = { ...perfectNet, latencyMs: 20 };
  const merged = { ...friendlyReceiver, ...behaviour };
  const setup = { agenda, random, net, name: 'mx', addresses: [at.address], port: at.port };
  const receiver = new Receiver({ ...setup, behaviour: merged });
  void receiver.start();
  const host = net.host('client', ['192.0.2.1', '192.0.2.2']);
  /** Lets five seconds pass: less than any linger or idle time. */
  const run = (ms = 5_000): void => {
    agenda.after(ms, () => undefined);
    const untilMs = agenda.nowMs + ms;
    while (agenda.nextMs <= untilMs && agenda.step());
  };
  const connect = (localAddress = '192.0.2.1'): Client => {
    const client = new Client();
    host.connect({ remote: at, localAddress }, (connection) => (client.connection = connection), client);
    run();
    return client;
  };
  /** Writes each text after the reply to the one before; what was answered, in codes. */
  const say = (client: Client, ...texts: string[]): string => {
    const from = client.text.length;
    for (const text of texts) {
      client.connection.write([encoder.encode(text.replaceAll('|', '\r\n'))]);
      run();
    }
    return [...client.text.slice(from).matchAll(/^(\d{3})(?: .*)?$/gm)].map(([, code]) => code).join(' ');
  };
  const hello = (localAddress?: string): Client => {
    const client = connect(localAddress);
    say(client, 'EHLO a.test|');
    return client;
  };
  return { agenda, net, receiver, run, connect, say, hello };
}

/** Envelope and content in one group, as far as PIPELINING allows it. */
const envelope = (to: string): string => `MAIL FROM:<s@a.test>|RCPT TO:<${to}>|DATA|`;
const content = 'A: b||.dot|..|';
const body = 'Received: x| y|A: b||..dot|...|.|';

test('a message is noted for each recipient, without dots and trace, when it was taken', () => {
  const { receiver, say, hello } = world();
  const client = hello();
  expect(say(client, 'MAIL FROM:<s@a.test>|RCPT TO:<a@x.test>|RCPT TO:<b@x.test>|DATA|', body)).toBe(
    '250 250 250 354 250',
  );
  const hash = contentHash(encoder.encode(content.replaceAll('|', '\r\n')));
  expect(receiver.receptions).toMatchObject([
    { recipient: 'a@x.test', sender: 's@a.test', contentHash: hash, isTaken: true, isAccepted: true },
    { recipient: 'b@x.test', contentHash: hash, clientAddress: '192.0.2.1', connection: 0 },
  ]);
  expect(receiver.receptions[0]!.replyEndBytes).toBe(encoder.encode(client.text).length);
  expect(say(client, 'QUIT|')).toBe('221');
  client.connection.end();
  expect(receiver.violations).toEqual([]);
});

test.each([
  ['EHLO a.test|MAIL FROM:<s@a.test>|', 'MAIL before it has read the reply to EHLO'],
  ['MAIL FROM:<s@a.test>|', 'MAIL before a hello'],
  ['HELO a.test|', 'HELO without a refused EHLO'],
  ['EHLO a.test|', `${envelope('a@x.test')}A: b||.|`, 'sends content before it has read 354'],
  ['EHLO a.test|', 'MAIL FROM:<s@a.test>|', 'MAIL FROM:<s@a.test>|', 'MAIL inside a transaction'],
  ['EHLO a.test|', 'MAIL FROM:<s@a.test> AUTH=<>|', 'MAIL with AUTH, which was not offered'],
  ['EHLO a.test|', 'RCPT TO:<a@x.test>|', 'RCPT outside a transaction'],
  ['EHLO a.test|', 'MAIL FROM:<s@a.test>|', 'DATA|', 'DATA without a recipient'],
  ['EHLO a.test|', envelope('a@x.test'), body, 'DATA|', 'DATA outside a transaction'],
  ['EHLO a.test|', envelope('a@x.test'), 'a\nb|.|', '1 bare CR or LF in a content'],
  ['EHLO a.test|', 'QUIT|RSET|', 'RSET before it has read the reply to QUIT'],
  ['EHLO a.test|', 'VRFY a|', 'unexpected VRFY'],
  ['EHLO a.test\n', 'a command ends in LF alone: EHLO a.test'],
])('%j %j is held against the client', (...texts) => {
  const { receiver, say, connect } = world();
  const violation = texts.pop()!;
  say(connect(), ...texts);
  expect(receiver.violations).toContain(`mx connection 0: ${violation}`);
});

test('a client that speaks before the greeting is noticed', () => {
  const { receiver, say, connect } = world({ troubles: [{ at: 'greeting', how: 'silence', rate: 1 }] });
  say(connect(), 'EHLO a.test|');
  expect(receiver.violations).toEqual(['mx connection 0: EHLO before it has read the reply to (connect)']);
});

test('pipelining is right where it was offered and wrong where it was not', () => {
  for (const extensions of [['PIPELINING'], ['SIZE']]) {
    const { receiver, say, hello } = world({ extensions });
    const client = hello();
    say(client, envelope('a@x.test'), `${body}${envelope('b@x.test')}`, body);
    expect(receiver.violations.length > 0).toBe(extensions[0] !== 'PIPELINING');
    expect(receiver.receptions).toHaveLength(2);
  }
});

test('commands that were pipelined behind a refused MAIL are no fault, later ones are', () => {
  const { receiver, say, hello } = world({ troubles: [{ at: 'mail', how: 'defer', rate: 1 }] });
  const client = hello();
  expect(say(client, envelope('a@x.test'))).toBe('451 503 554');
  expect(receiver.violations).toEqual([]);
  say(client, 'RCPT TO:<a@x.test>|');
  expect(receiver.violations).toEqual(['mx connection 0: RCPT outside a transaction']);
});

test('an envelope that ended without content must be reset', () => {
  for (const reset of ['RSET|', '']) {
    const { receiver, say, hello } = world({ refuseRate: 1 });
    const client = hello();
    expect(say(client, envelope('a@x.test'))).toBe('250 550 554');
    say(client, `${reset}MAIL FROM:<s@a.test>|`);
    expect(receiver.violations).toEqual(reset === '' ? ['mx connection 0: MAIL inside a transaction'] : []);
  }
});

test('a recipient that got a 5xx is not tried again on the same connection', () => {
  for (const atDotRate of [0, 1]) {
    const { receiver, say, hello } = world({ refuseRate: 1, atDotRate });
    const client = hello();
    say(client, envelope('a@x.test'), atDotRate === 0 ? 'RSET|' : body, envelope('a@x.test'));
    expect(receiver.violations).toEqual(['mx connection 0: RCPT for a@x.test again after a 5xx']);
    expect(receiver.verdicts.find(({ code }) => code > 499)).toMatchObject({
      recipient: 'a@x.test',
      stage: atDotRate === 0 ? 'rcpt' : 'dot',
    });
  }
});

test('after a 421 only QUIT is right', () => {
  const { receiver, say, hello } = world({ troubles: [{ at: 'mail', how: 'close', rate: 1 }] });
  const client = hello();
  expect(say(client, 'MAIL FROM:<s@a.test>|')).toBe('421');
  expect(client.end).toBe('FIN');
  client.connection.end();
  expect(receiver.violations).toEqual([]);
});

test('a recipient meets the same fate each time, and a deferral ends', () => {
  const { receiver, say, hello } = world({ deferRate: 1, deferTimes: 3 });
  const client = hello();
  const fate = receiver.fateOf('a@x.test');
  expect(fate).toMatchObject({ kind: 'defer', at: 'rcpt' });
  const times = fate.kind === 'defer' ? fate.times : 0;
  for (let i = 0; i < times; i++) expect(say(client, envelope('a@x.test'), 'RSET|')).toBe('250 450 554 250');
  expect(say(client, envelope('a@x.test'))).toBe('250 250 354');
  expect(receiver.fateOf('a@x.test')).toEqual(fate);
});

test('a greylisted triple is accepted once its time is over', () => {
  const { say, hello, run } = world({ greylistMs: 10 * minuteMs, idleMs: 60 * minuteMs });
  const client = hello();
  expect(say(client, envelope('a@x.test'), 'RSET|')).toBe('250 450 554 250');
  run(5 * minuteMs);
  expect(say(client, envelope('a@x.test'), 'RSET|')).toBe('250 450 554 250');
  run(5 * minuteMs);
  expect(say(client, envelope('a@x.test'))).toBe('250 250 354');
  expect(say(hello('192.0.2.2'), envelope('a@x.test'))).toBe('250 450 554');
});

test('connections over the limit of an address are refused, and the peak is noted', () => {
  const { receiver, connect, run } = world({ maxConnections: 2 });
  const clients = [connect(), connect(), connect(), connect('192.0.2.2')];
  expect(clients.map(({ text }) => text.slice(0, 3))).toEqual(['220', '220', '421', '220']);
  expect([...receiver.peaks]).toEqual([
    ['192.0.2.1', 3],
    ['192.0.2.2', 1],
  ]);
  for (const { connection } of clients) connection.end();
  run();
  expect(receiver.held).toBe(0);
  connect();
  expect(receiver.peaks.get('192.0.2.1')).toBe(3);
  expect(receiver.connections.filter(({ closedMs }) => closedMs === undefined)).toHaveLength(1);
});

test('a connection the client has let go is not held by it, though its end is still under way', () => {
  const { receiver, connect, agenda } = world();
  const first = connect();
  first.connection.reset();
  expect([receiver.held, agenda.nextMs < Number.POSITIVE_INFINITY]).toEqual([0, true]);
  connect();
  expect(receiver.peaks.get('192.0.2.1')).toBe(1);
});

test('who was told 421 is told so again, for twice as long each time', () => {
  const { connect, run } = world({ maxConnections: 1, escalationMs: minuteMs });
  const greeting = (): string => {
    const client = connect();
    client.connection.end();
    run();
    return client.text.slice(0, 3);
  };
  const first = connect();
  expect(greeting()).toBe('421');
  first.connection.end();
  expect(greeting()).toBe('421');
  run(90_000);
  expect(greeting()).toBe('421');
  run(5 * minuteMs);
  expect(greeting()).toBe('220');
});

test('messages over the rate of an address wait for the window', () => {
  const { say, hello, run } = world({ rateMessages: 1, rateWindowMs: minuteMs });
  const client = hello();
  say(client, envelope('a@x.test'), body);
  expect(say(client, 'MAIL FROM:<s@a.test>|')).toBe('451');
  expect(say(hello('192.0.2.2'), 'MAIL FROM:<s@a.test>|')).toBe('250');
  run(minuteMs);
  expect(say(client, 'MAIL FROM:<s@a.test>|')).toBe('250');
});

test('a connection carries no more messages than allowed', () => {
  const { receiver, say, hello } = world({ maxMessagesPerConnection: 1 });
  const client = hello();
  expect(say(client, envelope('a@x.test'), body, 'MAIL FROM:<s@a.test>|')).toBe('250 250 354 250 421');
  client.connection.end();
  expect(receiver.receptions).toHaveLength(1);
});

test.each<[ReceiverTrouble, string, string | undefined, boolean]>([
  [{ at: 'greeting', how: 'hangUp', rate: 1 }, '', 'FIN', false],
  [{ at: 'greeting', how: 'silence', rate: 1 }, '', undefined, false],
  [{ at: 'ehlo', how: 'reset', rate: 1 }, '', 'ECONNRESET', false],
  [{ at: 'rcpt', how: 'silence', rate: 1 }, '250', undefined, false],
  [{ at: 'data', how: 'defer', rate: 1 }, '250 250 451 500 500', undefined, false],
  [{ at: 'content', how: 'hangUp', rate: 1 }, '250 250 354', 'FIN', false],
  [{ at: 'dot', how: 'reset', rate: 1 }, '250 250 354', 'ECONNRESET', false],
  [{ at: 'dot', how: 'close', rate: 1 }, '250 250 354 421', 'FIN', false],
  [{ at: 'taken', how: 'hangUp', rate: 1 }, '250 250 354', 'FIN', true],
  [{ at: 'taken', how: 'silence', rate: 1 }, '250 250 354', undefined, true],
])('trouble %j looks like it', (trouble, codes, end, isTaken) => {
  const { receiver, say, hello } = world({ troubles: [trouble] }, 3);
  const client = hello();
  expect(say(client, envelope('a@x.test'), `${'x'.repeat(70_000)}|`, '.|')).toBe(codes);
  expect(client.end).toBe(end);
  expect(receiver.receptions.some((note) => note.isTaken)).toBe(isTaken);
  expect(receiver.receptions.some((note) => note.isAccepted)).toBe(false);
});

test('HELO is right where EHLO is refused', () => {
  const { receiver, say, connect } = world({ extensions: undefined });
  const client = connect();
  expect(say(client, 'EHLO a.test|', 'HELO a.test|', 'MAIL FROM:<s@a.test>|')).toBe('502 250 250');
  expect(receiver.violations).toEqual([]);
});

test('odd replies are of every kind, and their codes can be read', () => {
  const { say, hello } = world({ oddReplyRate: 1 });
  const client = hello();
  const before = client.text.length;
  for (let i = 0; i < 40; i++) expect(say(client, 'NOOP|')).toBe('250');
  const replies = client.text.slice(before);
  expect(replies).toMatch(/^250-/m);
  expect(replies).toMatch(/^250\r$/m);
  expect(replies).toMatch(/^250 fine\r$/m);
});

test('a tarpit answers late, in order', () => {
  const { say, run, hello } = world({ tarpitMs: 2 * minuteMs });
  const client = hello();
  run(4 * minuteMs);
  expect(say(client, 'MAIL FROM:<s@a.test>|RCPT TO:<a@x.test>|NOOP|')).not.toBe('250 250 250');
  run(4 * minuteMs);
  expect(client.text).toMatch(/sender fine\r\n250 2.1.5 recipient fine\r\n250 2.0.0 fine\r\n$/);
});

test('a client that falls silent is closed on, and one that does not close is reset', () => {
  const { hello, run, receiver } = world({ idleMs: minuteMs });
  const client = hello();
  run(2 * minuteMs);
  expect(client.text).toMatch(/421 .*\r\n$/);
  expect(client.end).toBe('ECONNRESET');
  expect(receiver.held).toBe(0);
});
