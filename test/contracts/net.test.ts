import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemNet } from '../../src/base/node/net.ts';
import type { Connection, ConnectionEvents, Listening, Net } from '../../src/base/ports.ts';
import { Agenda } from '../../src/simulation/agenda.ts';
import { perfectNet } from '../../src/simulation/netFaults.ts';
import { SeededRandom } from '../../src/simulation/seededRandom.ts';
import { SimulatedNet } from '../../src/simulation/simulatedNet.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A simulated net whose agenda goes on by itself while the test waits. */
function simulatedNet(faults = perfectNet): Net {
  const random = new SeededRandom(7);
  const agenda = new Agenda(random);
  const net = new SimulatedNet(agenda, random);
  net.faults = faults;
  let isOver = false;
  cleanups.push(() => {
    isOver = true;
  });
  const goOn = (): void => {
    agenda.step();
    if (!isOver) setImmediate(goOn);
  };
  goOn();
  return net.host('test', ['127.0.0.1', '127.0.0.9']);
}

const slow = { latencyMs: 40, slowRate: 0.2, slowMs: 900, splitRate: 0.5, tightWindowRate: 0 };

/** One end of a connection, its events kept in order and awaitable. */
class End implements ConnectionEvents {
  connection!: Connection;
  readonly seen: string[] = [];
  bytes = 0;
  text = '';
  #waiting: { done: () => boolean; resolve: () => void }[] = [];

  taken: (bytes: Uint8Array) => void = () => {};

  received(bytes: Uint8Array): void {
    this.taken(bytes);
    this.bytes += bytes.length;
    if (this.bytes < 1000) this.text += new TextDecoder().decode(bytes);
    this.#note('received');
  }
  ended(): void {
    this.#note('ended');
  }
  drained(): void {
    this.#note('drained');
  }
  closed(error: string | undefined): void {
    this.#note(`closed ${error ?? 'orderly'}`);
  }
  opened(connection: Connection): void {
    this.connection = connection;
    cleanups.push(() => connection.reset());
    this.#note('opened');
  }
  #note(event: string): void {
    if (this.seen.at(-1) !== event) this.seen.push(event);
    this.#waiting = this.#waiting.filter(({ done, resolve }) => !done() || void resolve());
  }
  until(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ done, resolve }));
  }
  has(event: string): Promise<void> {
    return this.until(() => this.seen.some((seen) => seen.startsWith(event)));
  }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each([
  ['the system', systemNet],
  ['a perfect simulation', simulatedNet],
  ['a slow simulation', () => simulatedNet({ ...perfectNet, ...slow })],
])('the net of %s', (_name, makeNet) => {
  let net: Net;
  beforeEach(() => {
    net = makeNet();
  });

  async function listen(server: End, address = '127.0.0.1'): Promise<Listening> {
    const listening = await net.listen({ address, port: 0 }, (connection) => {
      server.opened(connection);
      return server;
    });
    cleanups.push(() => void listening.close());
    return listening;
  }

  async function pair(): Promise<{ client: End; server: End }> {
    const [client, server] = [new End(), new End()];
    const { at } = await listen(server);
    net.connect({ remote: at, localAddress: undefined }, (connection) => client.opened(connection), client);
    await Promise.all([client.has('opened'), server.has('opened')]);
    return { client, server };
  }

  test('both ends know both addresses in canonical form', async () => {
    const { client, server } = await pair();
    expect(server.connection.remote).toEqual(client.connection.local);
    expect(server.connection.local).toEqual(client.connection.remote);
    expect(server.connection.remote.address).toBe('127.0.0.1');
  });

  test('chunks of one write arrive in order', async () => {
    const { client, server } = await pair();
    client.connection.write([bytesOf('EHLO '), bytesOf(''), bytesOf('x'), bytesOf('\r\n')]);
    await server.until(() => server.text === 'EHLO x\r\n');
  });

  test('after the peer ended we can still write, and both ends close orderly', async () => {
    const { client, server } = await pair();
    client.connection.end();
    await server.has('ended');
    server.connection.write([bytesOf('bye')]);
    server.connection.end();
    await Promise.all([client.has('closed'), server.has('closed')]);
    expect(client.text).toBe('bye');
    expect(client.seen.at(-1)).toBe('closed orderly');
    expect(server.seen.at(-1)).toBe('closed orderly');
  });

  test('a peer that does not read holds bytes back, and drained comes when it took them', async () => {
    const { client, server } = await pair();
    server.connection.pause();
    const megabyte = new Uint8Array(1 << 20);
    for (let i = 0; i < 32; i++) client.connection.write([megabyte]);
    expect(client.connection.unsentBytes()).toBeGreaterThan(0);
    expect(client.seen).not.toContain('drained');
    server.connection.resume();
    await client.has('drained');
    expect(client.connection.unsentBytes()).toBe(0);
    await server.until(() => server.bytes === 32 << 20);
  });

  test('what is held back of one large write becomes less with every piece the peer reads', async () => {
    const { client, server } = await pair();
    server.connection.pause();
    const sizeBytes = 32 << 20;
    client.connection.write([bytesOf('x'), new Uint8Array(sizeBytes)]);
    const atFirst = client.connection.unsentBytes();
    expect(atFirst).toBeGreaterThan(0);
    server.connection.resume();
    let held = atFirst;
    await server.until(() => {
      held = client.connection.unsentBytes();
      return held > 0 && held < atFirst - 65_536;
    });
    expect(held).toBeLessThan(atFirst);
    await server.until(() => server.bytes === sizeBytes + 1);
    await client.has('drained');
  });

  test('large writes keep their order, and an end waits for all of them', async () => {
    const { client, server } = await pair();
    server.connection.pause();
    for (const letter of ['a', 'b', 'c']) {
      client.connection.write([bytesOf(letter), new Uint8Array(8 << 20).fill(letter.charCodeAt(0))]);
    }
    const seen: number[] = [];
    server.taken = (bytes) => {
      for (const byte of bytes) if (seen.at(-1) !== byte) seen.push(byte);
    };
    client.connection.end();
    server.connection.resume();
    await server.has('ended');
    expect([server.bytes, ...seen]).toEqual([(24 << 20) + 3, 97, 98, 99]);
  });

  test('a write the kernel took at once owes no drained', async () => {
    const { client, server } = await pair();
    client.connection.write([bytesOf('x')]);
    await server.until(() => server.text === 'x');
    expect(client.connection.unsentBytes()).toBe(0);
    expect(client.seen).toEqual(['opened']);
  });

  test('reset reaches the peer as ECONNRESET and closes our side', async () => {
    const { client, server } = await pair();
    server.connection.reset();
    await Promise.all([client.has('closed'), server.has('closed')]);
    expect(client.seen.at(-1)).toBe('closed ECONNRESET');
  });

  test('writing, ending and resetting a closed connection do nothing', async () => {
    const { client, server } = await pair();
    server.connection.reset();
    await client.has('closed');
    client.connection.write([bytesOf('x')]);
    client.connection.end();
    client.connection.reset();
    expect(client.connection.unsentBytes()).toBe(0);
    expect(client.seen.filter((event) => event.startsWith('closed'))).toHaveLength(1);
  });

  test('a refused attempt gives only closed with the code', async () => {
    const { at, close } = await listen(new End());
    await close();
    const client = new End();
    net.connect({ remote: at, localAddress: undefined }, (connection) => client.opened(connection), client);
    await client.has('closed');
    expect(client.seen).toEqual(['closed ECONNREFUSED']);
  });

  test.each([
    ['a name instead of an address', 'localhost', undefined, 'EINVAL'],
    ['a local address that is none', '127.0.0.1', 'here', 'EINVAL'],
    ['a local address this machine does not have', '127.0.0.1', '192.0.2.77', 'EADDRNOTAVAIL'],
  ])('connecting with %s is an event, not an exception', async (_, address, localAddress, code) => {
    const client = new End();
    net.connect({ remote: { address, port: 9 }, localAddress }, () => {}, client);
    await client.has('closed');
    expect(client.seen).toEqual([`closed ${code}`]);
  });

  test('the local address that was asked for is used', async () => {
    const [client, server] = [new End(), new End()];
    const { at } = await listen(server);
    const localAddress = '127.0.0.9';
    net.connect({ remote: at, localAddress }, (connection) => client.opened(connection), client);
    await server.has('opened');
    expect(server.connection.remote.address).toBe(localAddress);
  });

  test('an abandoned attempt says nothing more', async () => {
    const [client, server, next] = [new End(), new End(), new End()];
    const { at } = await listen(server);
    net
      .connect({ remote: at, localAddress: undefined }, (connection) => client.opened(connection), client)
      .abandon();
    net.connect({ remote: at, localAddress: undefined }, (connection) => next.opened(connection), next);
    await next.has('opened');
    expect(client.seen).toEqual([]);
  });

  test('a port in use rejects with EADDRINUSE', async () => {
    const { at } = await listen(new End());
    await expect(net.listen(at, () => new End())).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('close stops accepting and leaves accepted connections alone', async () => {
    const [client, server] = [new End(), new End()];
    const listening = await listen(server);
    const options = { remote: listening.at, localAddress: undefined };
    net.connect(options, (connection) => client.opened(connection), client);
    await Promise.all([client.has('opened'), server.has('opened')]);
    await listening.close();
    client.connection.write([bytesOf('still here')]);
    await server.until(() => server.text === 'still here');
    const late = new End();
    net.connect(options, (connection) => late.opened(connection), late);
    await late.has('closed');
    expect(late.seen).toEqual(['closed ECONNREFUSED']);
  });
});
