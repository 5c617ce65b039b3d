import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  NameServer,
  rcodes,
  recursionAvailable,
  type Say,
  soa,
  truncated,
} from '../../../test/ledger/nameServer.ts';
import type { Dns, Endpoint } from '../ports.ts';
import { systemDns } from './dns.ts';
import { readAnswer } from './dnsCodec.ts';

const timeoutMs = 300;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function nameServer(say: Say): Promise<NameServer> {
  const server = await NameServer.start(say);
  open.push({ close: () => server.stop() });
  return server;
}

const a = (name: string, data: string, ttl = 300): Answer => ({ type: 'A', name, ttl, data });
const mx = (name: string, preference: number, exchange: string): Answer => ({
  type: 'MX',
  name,
  ttl: 60,
  data: { preference, exchange },
});
const ask = (...servers: Endpoint[]): Dns => systemDns({ servers, timeoutMs });

describe('a question to name servers', () => {
  test('gives addresses, mail exchangers, and how long they may be kept', async () => {
    const server = await nameServer(({ name, type }) =>
      type === 'MX'
        ? { answers: [mx(name, 10, 'MX1.test'), mx(name, 0, '.')] }
        : { answers: [a(name, '192.0.2.1')] },
    );
    expect(await ask(server).query('R.test', 'A')).toEqual({
      kind: 'found',
      records: ['192.0.2.1'],
      ttlMs: 300_000,
    });
    expect(await ask(server).query('R.test', 'MX')).toEqual({
      kind: 'found',
      records: [
        { preference: 10, exchange: 'mx1.test' },
        { preference: 0, exchange: '.' },
      ],
      ttlMs: 60_000,
    });
  });

  test('tells NXDOMAIN from NODATA, and how long either holds', async () => {
    const server = await nameServer(({ name }) => ({
      rcode: name === 'gone.test' ? rcodes.NXDOMAIN : 0,
      authorities: [soa],
    }));
    expect(await ask(server).query('gone.test', 'MX')).toEqual({
      kind: 'none',
      exists: false,
      ttlMs: 60_000,
    });
    expect(await ask(server).query('here.test', 'MX')).toEqual({ kind: 'none', exists: true, ttlMs: 60_000 });
  });

  test('goes by TCP when the answer did not fit', async () => {
    const many = Array.from({ length: 200 }, (_, i) => mx('big.test', i, `mx${i}.big.test`));
    const server = await nameServer((_, __, by) =>
      by === 'udp' ? { flags: recursionAvailable | truncated } : { answers: many },
    );
    const answer = await ask(server).query('big.test', 'MX');
    expect(answer.kind === 'found' && answer.records).toHaveLength(200);
    expect(server.asked).toEqual(['udp big.test MX', 'tcp big.test MX']);
  });

  test('whose answer is truncated by TCP, too, fails', async () => {
    const server = await nameServer(() => ({ flags: recursionAvailable | truncated }));
    expect(await ask(server).query('r.test', 'A')).toEqual({ kind: 'failed', code: 'TRUNCATED' });
  });

  test('asks for 1232 octets with EDNS, and again without where that is not understood', async () => {
    const sizes: (number | undefined)[] = [];
    const server = await nameServer(({ name }, { additionals = [] }) => {
      const [opt] = additionals;
      sizes.push(opt?.type === 'OPT' ? opt.udpPayloadSize : undefined);
      return opt === undefined ? { answers: [a(name, '192.0.2.1')] } : { rcode: rcodes.NOTIMP };
    });
    expect(await ask(server).query('r.test', 'A')).toMatchObject({ kind: 'found' });
    expect(sizes).toEqual([1232, undefined]);
  });

  test('goes to the next server when one refuses, fails, is lame or closed', async () => {
    const good = await nameServer(({ name }) => ({ answers: [a(name, '192.0.2.1')] }));
    const bad = await Promise.all([
      nameServer(() => ({ rcode: rcodes.REFUSED })),
      nameServer(() => ({ rcode: rcodes.SERVFAIL })),
      nameServer(() => ({ flags: 0 })),
    ]);
    for (const server of [...bad, await closedPort()]) {
      expect(await ask(server, good).query('r.test', 'A')).toMatchObject({ kind: 'found' });
    }
    expect(bad.map(({ asked }) => asked.length)).toEqual([1, 1, 1]);
  });

  test('that no server answers well is a failure with the reason of the last', async () => {
    const refusing = await nameServer(() => ({ rcode: rcodes.REFUSED }));
    const failing = await nameServer(() => ({ rcode: rcodes.SERVFAIL }));
    expect(await ask(refusing, failing).query('r.test', 'A')).toEqual({ kind: 'failed', code: 'SERVFAIL' });
    expect(await ask(await closedPort()).query('r.test', 'A')).toEqual({
      kind: 'failed',
      code: 'ECONNREFUSED',
    });
    expect(await systemDns({ servers: [] }).query('r.test', 'A')).toEqual({
      kind: 'failed',
      code: 'NOSERVER',
    });
  });

  test('is put twice to a silent server, which is asked last from then on', async () => {
    const silent = await nameServer(() => undefined);
    expect(await ask(silent).query('r.test', 'A')).toEqual({ kind: 'failed', code: 'TIMEOUT' });
    expect(silent.asked).toHaveLength(2);
    const good = await nameServer(({ name }) => ({ answers: [a(name, '192.0.2.1')] }));
    const dns = ask(silent, good);
    for (let i = 0; i < 4; i++) expect(await dns.query('r.test', 'A')).toMatchObject({ kind: 'found' });
    expect(silent.asked).toHaveLength(3);
  });

  test('goes to several servers in turn', async () => {
    const servers = await Promise.all(
      [1, 2].map((i) => nameServer(({ name }) => ({ answers: [a(name, `192.0.2.${i}`)] }))),
    );
    const dns = ask(...servers);
    for (let i = 0; i < 4; i++) await dns.query('r.test', 'A');
    expect(servers.map(({ asked }) => asked.length)).toEqual([2, 2]);
  });

  test('follows an alias that the server left to us', async () => {
    const server = await nameServer(({ name }) =>
      name === 'a.test'
        ? { answers: [{ type: 'CNAME', name, ttl: 30, data: 'b.test' }] }
        : { answers: [a(name, '192.0.2.2')] },
    );
    expect(await ask(server).query('a.test', 'A')).toEqual({
      kind: 'found',
      records: ['192.0.2.2'],
      ttlMs: 30_000,
    });
  });

  test('with aliases without end fails', async () => {
    const server = await nameServer(({ name }) => ({
      answers: [{ type: 'CNAME', name, ttl: 30, data: `x${name}` }],
    }));
    expect(await ask(server).query('a.test', 'A')).toEqual({ kind: 'failed', code: 'ALIASES' });
    expect(server.asked).toHaveLength(9);
  });

  test('is answered only by what has its id and its question', async () => {
    const wrong: Packet[] = [
      { id: 0, questions: [{ name: 'r.test', type: 'A' }] },
      { questions: [{ name: 'other.test', type: 'A' }] },
      { questions: [{ name: 'r.test', type: 'MX' }] },
      { questions: [] },
      { type: 'query' },
    ];
    for (const packet of wrong) {
      const evil = await nameServer((_, { id }) => ({
        ...packet,
        id: packet.id === undefined ? id! : (id! + 1) & 0xffff,
        answers: [a('r.test', '203.0.113.66')],
      }));
      const dns = systemDns({ servers: [evil], timeoutMs: 50 });
      expect(await dns.query('r.test', 'A')).toEqual({ kind: 'failed', code: 'TIMEOUT' });
    }
  });

  test('that is answered with garbage goes to the next server', async () => {
    const bad = await nameServer((_, query) => {
      const octets = encode({ type: 'response', id: query.id!, questions: query.questions! } as Packet);
      octets.writeUInt16BE(9, 6);
      return octets;
    });
    expect(await ask(bad).query('r.test', 'A')).toEqual({ kind: 'failed', code: 'GARBAGE' });
  });

  test.each([
    `${'x'.repeat(70)}.test`,
    'a..test',
    '\u0000.test',
    '.',
  ])('for %j is not put: it does not exist', async (name) => {
    expect(await ask(await closedPort()).query(name, 'MX')).toEqual({
      kind: 'none',
      exists: false,
      ttlMs: 0,
    });
  });

  test('for localhost never leaves this machine', async () => {
    const dns = ask(await closedPort());
    expect(await dns.query('localhost', 'A')).toMatchObject({ records: ['127.0.0.1'] });
    expect(await dns.query('mail.LOCALHOST.', 'AAAA')).toMatchObject({ records: ['::1'] });
    expect(await dns.query('localhost', 'MX')).toMatchObject({ kind: 'none', exists: true });
  });

  test('waits when 256 are under way', async () => {
    let most = 0;
    let now = 0;
    const held: (() => void)[] = [];
    const udp = createSocket('udp4');
    udp.on('message', (octets, { port, address }) => {
      now += 1;
      most = Math.max(most, now);
      const { id, questions } = decode(octets);
      const answers = [a(questions![0]!.name, '192.0.2.1')];
      const said = encode({ type: 'response', id, flags: recursionAvailable, questions, answers } as Packet);
      held.push(() => {
        now -= 1;
        udp.send(said, port, address);
      });
      // Ten more than that were asked: they come only when others have gone.
      if (held.length >= 256 || most >= 256) for (const release of held.splice(0)) release();
    });
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    open.push(udp);
    const dns = systemDns({ servers: [{ address: '127.0.0.1', port: udp.address().port }] });
    const all = await Promise.all(Array.from({ length: 266 }, (_, i) => dns.query(`n${i}.test`, 'A')));
    expect(all.every(({ kind }) => kind === 'found')).toBe(true);
    expect(most).toBe(256);
  });
});

async function closedPort(): Promise<Endpoint> {
  const closed = createSocket('udp4').bind(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address();
  closed.close();
  return { address: '127.0.0.1', port };
}

test('no octets whatever make the reader throw', () => {
  const question = { id: 7, name: 'r.test', type: 'MX' } as const;
  const sound = encode({
    type: 'response',
    id: 7,
    flags: recursionAvailable,
    questions: [{ name: 'r.test', type: 'MX' }],
    answers: [mx('r.test', 10, 'mx.r.test'), { type: 'CNAME', name: 'r.test', data: 'x.test' }],
    authorities: [soa],
  } as Packet);
  const kinds = ['reply', 'stray', 'garbage'];
  const changed = fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 8 });
  fc.assert(
    fc.property(changed, fc.nat(sound.length), (changes, length) => {
      const octets = Buffer.from(sound);
      for (const [at, value] of changes) octets[at] = value;
      octets.writeUInt16BE(7, 0);
      expect(kinds).toContain(readAnswer(octets.subarray(0, length), question).kind);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (octets) => {
      const bytes = Buffer.concat([Buffer.from([0, 7, 0x81, 0x80]), octets]);
      expect(kinds).toContain(readAnswer(bytes, question).kind);
    }),
  );
});
