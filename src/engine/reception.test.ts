import { expect, test } from 'vitest';
import { type Access, compileAccess } from '../access/access.ts';
import { configOf, relays } from '../access/configFixture.ts';
import type { Clock, Connection, ConnectionEvents } from '../base/ports.ts';
import { planListeners } from '../listener/listenerPlan.ts';
import { Receptions } from './reception.ts';

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Events one behind the other, and no time. */
class Turns implements Clock {
  readonly #waiting: (() => void)[] = [];

  wallMs = (): number => 0;
  monotonicMs = (): number => 0;
  zoneOffsetMinutes = (): number => 0;
  after = (): { cancel(): void } => ({ cancel: () => undefined });

  soon(callback: () => void): void {
    this.#waiting.push(callback);
  }

  /** Runs what waits now, not what comes of it. How much that was. */
  pass(): number {
    const due = this.#waiting.splice(0);
    for (const callback of due) callback();
    return due.length;
  }
}

class FakeConnection implements Connection {
  readonly remote = { address: '192.0.2.1', port: 4000 };
  readonly local = { address: '192.0.2.9', port: 25 };
  replies = '';
  ended = false;
  paused = false;
  /** A client that does not read. */
  isDeaf = false;
  #unsentBytes = 0;

  unsentBytes(): number {
    return this.#unsentBytes;
  }
  write(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.replies += new TextDecoder().decode(chunk);
      if (this.isDeaf) this.#unsentBytes += chunk.length;
    }
  }
  read(events: ConnectionEvents): void {
    this.isDeaf = false;
    this.#unsentBytes = 0;
    events.drained();
  }
  startTls(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  reset(): void {
    this.ended = true;
  }
  /** How many commands were answered, the greeting not counted. */
  get answered(): number {
    return this.replies.match(/^\d{3} /gm)!.length - 1;
  }
}

const config = configOf({ listeners: ['192.0.2.9:25'], sources: [['192.0.2.1', relays]] });

function receptionsWith(clock: Clock, changes: Partial<Access> = {}): Receptions {
  return new Receptions({
    clock,
    log: { write: () => undefined },
    access: { ...compileAccess(config), ...changes },
    plan: planListeners(config),
    hostName: 'mx.test',
    pendingBytes: () => 0,
    isFull: () => false,
    store: (_message, _injector, answer) => answer({ ok: true, id: '1.1' }),
  });
}

function greeted(receptions: Receptions): { connection: FakeConnection; events: ConnectionEvents } {
  const connection = new FakeConnection();
  const events = receptions.accept(0, connection);
  events.received(octets('EHLO x.test\r\nMAIL FROM:<a@b.test>\r\n'));
  connection.replies = '220 \r\n';
  return { connection, events };
}

const recipients = (count: number): Uint8Array => octets('RCPT TO:<c@d.test>\r\n'.repeat(count));

test('a client with much to say gets one turn in each round of events, as everybody does', () => {
  const clock = new Turns();
  const receptions = receptionsWith(clock);
  const clients = [greeted(receptions), greeted(receptions), greeted(receptions)];
  for (const { events } of clients) events.received(recipients(1000));
  const oneTurn = clients[0]!.connection.answered;
  expect(oneTurn).toBeLessThan(200);
  for (let round = 2; clock.pass() > 0; round++) {
    for (const { connection } of clients) {
      expect(connection.answered).toBe(Math.min(1000, oneTurn * round));
    }
  }
  expect(clients.map(({ connection }) => connection.answered)).toEqual([1000, 1000, 1000]);
});

test('a client that does not read costs nothing more, until it reads again', () => {
  const clock = new Turns();
  const { connection, events } = greeted(receptionsWith(clock));
  connection.isDeaf = true;
  events.received(recipients(9000));
  let rounds = 0;
  while (clock.pass() > 0) rounds++;
  expect(rounds).toBeLessThan(80);
  expect(connection.paused).toBe(true);
  expect(connection.answered).toBeLessThan(6000);
  const before = connection.answered;
  // A chunk that was on its way when the socket was paused.
  events.received(recipients(500));
  while (clock.pass() > 0) rounds++;
  expect(connection.answered).toBe(before);
  connection.read(events);
  while (clock.pass() > 0) rounds++;
  expect(connection.answered).toBe(9500);
  expect(connection.paused).toBe(false);
});

test('nothing more is carried out for a client that has gone', () => {
  const clock = new Turns();
  let judged = 0;
  const access = compileAccess(config);
  const recipient: Access['recipient'] = (connection, path) => {
    judged++;
    return access.recipient(connection, path);
  };
  const { events } = greeted(receptionsWith(clock, { recipient }));
  events.received(recipients(1000));
  const before = judged;
  expect(before).toBeLessThan(200);
  events.closed('ECONNRESET');
  while (clock.pass() > 0);
  expect(judged).toBe(before);
});

test('a client that ended its side gets what it asked for answered before the connection ends', () => {
  const clock = new Turns();
  const { connection, events } = greeted(receptionsWith(clock));
  events.received(recipients(500));
  events.ended();
  expect(connection.ended).toBe(false);
  while (clock.pass() > 0);
  expect(connection.answered).toBe(500);
  expect(connection.ended).toBe(true);
});
