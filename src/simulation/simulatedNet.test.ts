import { expect, test } from 'vitest';
import type { Connection, ConnectionEvents, ConnectOptions } from '../base/ports.ts';
import { Agenda } from './agenda.ts';
import { type NetFaults, perfectNet } from './netFaults.ts';
import { SeededRandom } from './seededRandom.ts';
import type { SimulatedConnection } from './simulatedConnection.ts';
import { type SimulatedHost, SimulatedNet } from './simulatedNet.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const at = { address: '192.0.2.25', port: 25 };

class End implements ConnectionEvents {
  connection!: Connection;
  readonly seen: string[] = [];
  text = '';
  parts = 0;

  received(bytes: Uint8Array): void {
    this.text += decoder.decode(bytes);
    this.parts += 1;
  }
  ended(): void {
    this.seen.push('ended');
  }
  drained(): void {
    this.seen.push('drained');
  }
  closed(error: string | undefined): void {
    this.seen.push(`closed ${error ?? 'orderly'}`);
  }
}

function world(faults: Partial<NetFaults> = {}, seed = 1) {
  const random = new SeededRandom(seed);
  const agenda = new Agenda(random);
  const wire: string[] = [];
  const net = new SimulatedNet(agenda, random, (what, from, to, bytes) =>
    wire.push(
      `${agenda.nowMs} ${what} ${from.port}>${to.port} ${bytes === undefined ? '' : decoder.decode(bytes)}`,
    ),
  );
  net.faults = { ...perfectNet, ...faults };
  const [client, server] = [net.host('client', ['192.0.2.1', '192.0.2.2']), net.host('server', [at.address])];
  const served: End[] = [];
  void server.listen(at, (connection) => {
    const end = new End();
    end.connection = connection;
    served.push(end);
    return end;
  });
  const connect = (host: SimulatedHost = client, options: Partial<ConnectOptions> = {}) => {
    const end = new End();
    const opened = (connection: Connection): void => {
      end.connection = connection;
      end.seen.push('opened');
    };
    const pending = host.connect({ remote: at, localAddress: undefined, ...options }, opened, end);
    return { end, pending };
  };
  const run = (untilMs = Number.POSITIVE_INFINITY): void => {
    while (agenda.nextMs <= untilMs && agenda.step());
  };
  const pair = () => {
    const { end } = connect();
    while (served.length === 0 || end.seen.length === 0) agenda.step();
    return { client: end, server: served[0]! };
  };
  return { agenda, net, client, server, served, connect, run, pair, wire };
}

const write = (end: End, text: string): void => end.connection.write([encoder.encode(text)]);

test('bytes that are split and delayed arrive complete and in order', () => {
  let parts = 0;
  for (let seed = 0; seed < 50; seed++) {
    const { pair, run } = world({ latencyMs: 50, slowRate: 0.3, slowMs: 500, splitRate: 1 }, seed);
    const { client, server } = pair();
    for (let i = 0; i < 20; i++) write(client, `line ${i}\r\n`);
    client.connection.end();
    run();
    expect(server.text).toBe(Array.from({ length: 20 }, (_, i) => `line ${i}\r\n`).join(''));
    expect(server.seen).toEqual(['ended']);
    parts += server.parts;
  }
  expect(parts).toBeGreaterThan(50 * 20);
});

test('the same seed gives the same wire, another seed another one', () => {
  const wireOf = (seed: number): readonly string[] => {
    const { pair, run, wire } = world({ latencyMs: 50, splitRate: 0.5 }, seed);
    const { client, server } = pair();
    for (let i = 0; i < 10; i++) {
      write(client, 'EHLO x\r\n');
      write(server, '250 OK\r\n');
    }
    run();
    return wire;
  };
  expect(wireOf(3)).toEqual(wireOf(3));
  expect(wireOf(3)).not.toEqual(wireOf(4));
});

test('nothing is heard inside a call', () => {
  const { pair, run } = world();
  const { client, server } = pair();
  write(client, 'x');
  client.connection.reset();
  expect([server.text, client.seen]).toEqual(['', ['opened']]);
  run();
  expect(client.seen).toEqual(['opened', 'closed orderly']);
  expect(server.seen).toEqual(['closed ECONNRESET']);
});

test('a killed process hears nothing more, and its peer an end or a reset', () => {
  const heard = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const { pair, run, client: host, connect, net } = world({ latencyMs: 20 }, seed);
    const { client, server } = pair();
    const late = connect();
    if (seed % 2 === 0) write(server, 'lost');
    host.crash('killed');
    run();
    expect([client.seen, client.text, late.end.seen]).toEqual([['opened'], '', []]);
    heard.add(server.seen.join());
    server.connection.end();
    run();
    expect(server.seen.at(-1)).toMatch(/closed/);
    expect(net.openEnds).toBe(0);
  }
  expect([...heard].sort()).toEqual(['closed ECONNRESET', 'ended']);
});

test('who writes to a process that is gone gets a reset', () => {
  const { pair, run, client: host } = world({ latencyMs: 20 }, 2);
  const { server } = pair();
  host.crash('killed');
  run();
  write(server, '250 OK\r\n');
  run();
  expect(server.seen.at(-1)).toBe('closed ECONNRESET');
});

test('after a loss of power there is silence first', () => {
  const { pair, run, agenda, client: host } = world();
  const { server } = pair();
  host.crash('powerLoss');
  run(agenda.nowMs + 999);
  expect(server.seen).toEqual([]);
  run();
  expect(server.seen).toEqual(['closed ECONNRESET']);
});

test('the listeners of a dead process refuse, and its successor may listen in its place', () => {
  const { server, net, connect, run } = world();
  server.crash('killed');
  const { end } = connect();
  run();
  expect(end.seen).toEqual(['closed ECONNREFUSED']);
  void net.host('server again', [at.address]).listen(at, () => new End());
  const again = connect();
  run();
  expect(again.end.seen).toEqual(['opened']);
});

test('a wildcard listener serves the addresses of its own machine only', () => {
  const { net, connect, run } = world();
  const host = net.host('other', ['198.51.100.1', '198.51.100.2']);
  const listened: string[] = [];
  void host.listen({ address: '0.0.0.0', port: 2525 }, ({ local }) => {
    listened.push(local.address);
    return new End();
  });
  const here = connect(undefined, { remote: { address: '198.51.100.2', port: 2525 } });
  const elsewhere = connect(undefined, { remote: { address: at.address, port: 2525 } });
  run();
  expect([here.end.seen, elsewhere.end.seen]).toEqual([['opened'], ['closed ECONNREFUSED']]);
  expect(listened).toEqual(['198.51.100.2']);
});

test('an address of the other family cannot be reached', () => {
  const { connect, run } = world();
  const { end } = connect(undefined, { remote: { address: '2001:db8::1', port: 25 } });
  run();
  expect(end.seen).toEqual(['closed ENETUNREACH']);
});

test('a blackhole ends in ETIMEDOUT after two minutes, or in nothing once it was given up', () => {
  const { connect, run, agenda, served } = world({ blackholeRate: 1 });
  const [patient, hasty] = [connect(), connect()];
  run(60_000);
  hasty.pending.abandon();
  run();
  expect([patient.end.seen, hasty.end.seen, served.length]).toEqual([['closed ETIMEDOUT'], [], 0]);
  expect(agenda.nowMs).toBe(127_000);
});

test('an attempt given up after the other side accepted it is a reset there', () => {
  const { connect, run, agenda, served } = world({ latencyMs: 0 });
  const { end, pending } = connect();
  while (served.length === 0) agenda.step();
  pending.abandon();
  run();
  expect([end.seen, served[0]!.seen]).toEqual([[], ['closed ECONNRESET']]);
});

test('a partition holds bytes back until it heals', () => {
  const { pair, run, net, agenda } = world({ latencyMs: 10 });
  const { client, server } = pair();
  net.partition('192.0.2.1', at.address);
  write(client, 'x');
  run(agenda.nowMs + 60_000);
  expect(server.text).toBe('');
  net.heal();
  run();
  expect([server.text, client.seen]).toEqual(['x', ['opened']]);
});

test('a partition that does not heal is ETIMEDOUT for the sender, and silence for the other', () => {
  const { pair, run, net, connect } = world({ latencyMs: 10 });
  const { client, server } = pair();
  net.partition('192.0.2.1', at.address);
  write(client, 'x');
  const late = connect();
  const unaffected = connect(undefined, { localAddress: '192.0.2.2' });
  run();
  expect(client.seen).toEqual(['opened', 'closed ETIMEDOUT']);
  expect(late.end.seen).toEqual(['closed ETIMEDOUT']);
  expect(unaffected.end.seen).toEqual(['opened']);
  expect(server.seen).toEqual([]);
});

test('a reset comes at any byte', () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 300; seed++) {
    const { connect, run, served } = world({ resetRate: 1, latencyMs: 5 }, seed);
    const { end } = connect();
    run(10);
    if (!end.seen.includes('opened') || end.seen.length > 1) continue;
    write(end, 'x'.repeat(140_000));
    run();
    const server = served[0]!;
    expect(end.seen.at(-1)).toMatch(/closed E/);
    expect(server.seen.at(-1)).toMatch(/closed E/);
    lengths.add(server.text.length);
  }
  expect(lengths.size).toBeGreaterThan(50);
});

test('with a tight window most of a write stays unsent until the peer reads', () => {
  const { pair, run } = world({ tightWindowRate: 1 });
  const { client, server } = pair();
  server.connection.pause();
  write(client, 'x'.repeat(10_000));
  run();
  expect(client.connection.unsentBytes()).toBeGreaterThan(8_000);
  server.connection.resume();
  run();
  expect([client.connection.unsentBytes(), server.text.length]).toEqual([0, 10_000]);
  expect(client.seen).toEqual(['opened', 'drained']);
});

test('the judge knows what the peer had read when it wrote, and whether it has let go', () => {
  const { pair, run } = world({ latencyMs: 10 });
  const { client, server } = pair();
  const judge = server.connection as SimulatedConnection;
  write(server, '220 ready\r\n');
  write(client, 'early');
  run();
  expect(judge.peerHadReadBytes).toBe(0);
  write(client, 'late');
  run();
  expect(judge.peerHadReadBytes).toBe('220 ready\r\n'.length);
  expect(judge.isLetGo).toBe(false);
  client.connection.end();
  expect(judge.isLetGo).toBe(true);
});

/** Both ends of a connection do what they like; each event is checked against the contract of `ports.ts`. */
test('whatever happens, each end hears a prefix of what was written, in order, and one closed at the end', () => {
  let complete = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = new SeededRandom(seed);
    const rate = (): number => (random.oneIn(2) ? 0 : random.below(100) / 200);
    const faults = { latencyMs: 30, slowRate: rate(), slowMs: 200, splitRate: rate(), resetRate: rate() };
    const { agenda, net, client, server, connect, served, run } = world(
      { ...faults, refuseRate: rate() / 4, blackholeRate: rate() / 4, tightWindowRate: rate() },
      seed,
    );
    const ends: { end: End; written: string }[] = [];
    const attempts = Array.from({ length: 4 }, () => connect());
    run(200);
    for (const end of [...attempts.map((attempt) => attempt.end), ...served]) {
      if (end.connection !== undefined) ends.push({ end, written: '' });
    }
    const wasReset = new Set<End>();
    const reset = (end: End): void => {
      wasReset.add(end);
      end.connection?.reset();
    };
    const acts: readonly ((one: { end: End; written: string }) => void)[] = [
      (one) => {
        if (one.end.seen.at(-1)?.startsWith('closed') || isEnded.has(one.end)) return;
        const text = `${random.u32()} `.repeat(1 + random.below(200));
        one.written += text;
        write(one.end, text);
      },
      ({ end }) => end.connection.pause(),
      ({ end }) => end.connection.resume(),
      ({ end }) => {
        if (!random.oneIn(8)) return;
        isEnded.add(end);
        end.connection.end();
      },
      ({ end }) => void (random.oneIn(20) && reset(end)),
      () => void (random.oneIn(20) && net.partition('192.0.2.1', at.address)),
      () => net.heal(),
    ];
    const isEnded = new Set<End>();
    for (let i = 0; i < 80 && ends.length > 0; i++) {
      random.pick(acts)(random.pick(ends));
      run(agenda.nowMs + random.below(60));
    }
    if (random.oneIn(4)) random.pick([client, server]).crash(random.pick(['killed', 'powerLoss']));
    net.heal();
    const all = [...attempts.map((attempt) => attempt.end), ...served];
    for (const end of all) {
      end.connection?.resume();
      end.connection?.end();
    }
    run();
    // A RST may have been lost: who had ended already waits for ever.
    for (const end of all) if (!end.seen.at(-1)?.startsWith('closed')) reset(end);
    run();
    for (const end of all) {
      const [closed, ...more] = end.seen.filter((event) => event.startsWith('closed'));
      expect(more).toEqual([]);
      if (closed !== undefined) expect(end.seen.at(-1)).toBe(closed);
      else expect(client.isDead || server.isDead).toBe(true);
      expect(end.seen.indexOf('opened')).toBeLessThanOrEqual(0);
    }
    for (const { end } of attempts) {
      const peer = served.find((one) => one.connection.remote.port === end.connection?.local.port);
      if (peer === undefined) continue;
      const written = (of: End): string => ends.find((one) => one.end === of)?.written ?? '';
      expect(written(end).startsWith(peer.text)).toBe(true);
      expect(written(peer).startsWith(end.text)).toBe(true);
      const isOrderly =
        end.seen.at(-1) === 'closed orderly' &&
        peer.seen.at(-1) === 'closed orderly' &&
        !wasReset.has(end) &&
        !wasReset.has(peer);
      complete += Number(isOrderly);
      if (isOrderly)
        expect([end.text.length, peer.text.length]).toEqual([written(peer).length, written(end).length]);
    }
    expect(net.openEnds).toBe(0);
  }
  expect(complete).toBeGreaterThan(100);
});
