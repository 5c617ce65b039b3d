import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ClientEffect, ClientSettings } from './clientEffect.ts';
import { ClientSession } from './clientSession.ts';
import type { DeliveryTransaction, RecipientResult } from './deliveryTransaction.ts';
import { replyDefaults } from './replySettings.testing.ts';

const settings: ClientSettings = {
  ehloName: 'out.example',
  connectTimeoutMs: 10,
  greetingTimeoutMs: 10,
  commandTimeoutMs: 10,
  dataSendTimeoutMs: 5,
  dataTerminationTimeoutMs: 20,
  multiLineResponseTimeoutMs: 10,
  starttls: 'never',
  ignoredKeywords: new Set(),
  maxErrors: 0,
  replies: replyDefaults,
};

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join('');

function transaction(number: number, recipientCount: number): DeliveryTransaction {
  const body = encode(`message ${number}\r\n.\r\n`);
  return {
    reversePath: `m${number}@o.example`,
    recipients: Array.from({ length: recipientCount }, (_, index) => ({
      index,
      forwardPath: `m${number}r${index}@r.example`,
    })),
    content: { prefix: new Uint8Array(0), chunks: [body], sizeBytes: body.length },
    wireForm: 'dotStuffed',
    smtpUtf8: false,
    eightBit: false,
  };
}

/** Does what effects ask for, and keeps what must hold whatever the remote does. */
class Owner {
  readonly session = new ClientSession(settings, 0);
  readonly given = new Map<DeliveryTransaction, readonly RecipientResult[] | undefined>();
  nowMs = 0;
  written = '';
  closed = false;
  readonly #sizes: readonly number[];
  readonly #eager: boolean;
  #mayDeliver = false;

  constructor(sizes: readonly number[], eager: boolean) {
    this.#sizes = sizes;
    this.#eager = eager;
  }

  take(effects: readonly ClientEffect[]): void {
    const todo = [...effects];
    for (let effect = todo.shift(); effect !== undefined; effect = todo.shift()) {
      if (this.closed) expect(effect.kind).toBe('settled');
      if (effect.kind === 'send') this.written += textOf(effect.chunks);
      if (effect.kind === 'close') this.closed = true;
      if (effect.kind === 'ready') {
        this.#mayDeliver = true;
        if (this.#eager) todo.push(...this.deliverNext());
      }
      if (effect.kind === 'settled') {
        expect(this.given.has(effect.transaction)).toBe(true);
        expect(this.given.get(effect.transaction)).toBeUndefined();
        expect(effect.results.map(({ index }) => index)).toEqual(
          effect.transaction.recipients.map(({ index }) => index),
        );
        this.given.set(effect.transaction, effect.results);
      }
    }
  }

  deliverNext(): readonly ClientEffect[] {
    const size = this.#sizes[this.given.size];
    if (!this.#mayDeliver || size === undefined) return [];
    this.#mayDeliver = false;
    const next = transaction(this.given.size, size);
    this.given.set(next, undefined);
    return this.session.deliver(next, this.nowMs);
  }

  /** Time passes until nothing more can happen. */
  runOut(): void {
    for (let ticks = 0; this.session.deadlineMs !== Number.POSITIVE_INFINITY; ticks++) {
      expect(ticks).toBeLessThan(100);
      this.nowMs = Math.max(this.nowMs, this.session.deadlineMs);
      this.take(this.session.tick(this.nowMs, 0));
    }
  }

  get unsettled(): number {
    return [...this.given.values()].filter((results) => results === undefined).length;
  }
}

const replyLine = fc
  .tuple(
    fc.constantFrom(220, 250, 250, 250, 354, 354, 421, 450, 452, 550, 553, 571, 999),
    fc.constantFrom(' ', ' ', ' ', '-', ''),
    fc.constantFrom('', 'ok', '2.0.0 ok', '5.1.1 no', '4.5.3 many', 'PIPELINING', 'SIZE 1'),
  )
  .map(([code, separator, text]) => `${code}${separator}${text}\r\n`);

const move = fc.oneof(
  { weight: 8, arbitrary: replyLine.map((line) => ({ kind: 'bytes' as const, data: encode(line) })) },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 20 }).map((data) => ({ kind: 'bytes' as const, data })),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'deliver' as const }) },
  { weight: 1, arbitrary: fc.nat(15).map((ms) => ({ kind: 'tick' as const, ms })) },
  { weight: 1, arbitrary: fc.constantFrom('quit', 'ended', 'drained').map((kind) => ({ kind })) },
);

test('whatever a remote says, nothing is thrown and each recipient gets exactly one result', () => {
  fc.assert(
    fc.property(
      fc.array(move, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom('', 'PIPELINING'),
      (moves, sizes, eager, lostAtTheEnd, keyword) => {
        const owner = new Owner(sizes, eager);
        const { session } = owner;
        owner.take(session.opened(0));
        owner.take(session.received(encode('220 mx\r\n'), 0));
        owner.take(session.received(encode(`250-mx\r\n250 ${keyword}\r\n`), 0));
        for (const step of moves) {
          if (step.kind === 'bytes')
            owner.take(session.received((step as { data: Uint8Array }).data, owner.nowMs));
          else if (step.kind === 'deliver') owner.take(owner.deliverNext());
          else if (step.kind === 'tick') {
            owner.nowMs += (step as { ms: number }).ms;
            owner.take(session.tick(owner.nowMs, 3));
          } else if (step.kind === 'quit') owner.take(session.quit(owner.nowMs));
          else if (step.kind === 'ended') owner.take(session.ended(owner.nowMs));
          else session.drained(owner.nowMs);
        }
        if (lostAtTheEnd) owner.take(session.lost('ECONNRESET', owner.nowMs));
        else owner.runOut();
        expect(owner.unsettled).toBe(0);
        if (lostAtTheEnd) expect(owner.closed).toBe(true);
      },
    ),
    { numRuns: 1500 },
  );
});

/** A server by the letter, which decides by lot, and notes what it promised. */
class StrictServer {
  /** `m0r1` -> taken over with a 2yz to the final dot. */
  readonly accepted = new Set<string>();
  /** `m0` or `m0r1` -> was told 5yz. */
  readonly refused = new Set<string>();
  #input = '';
  #mail: string | undefined;
  #rcpts: string[] = [];
  #inData = false;
  readonly #draw: (sides: number) => number;
  readonly #pipelining: boolean;

  constructor(draw: (sides: number) => number, pipelining: boolean) {
    this.#draw = draw;
    this.#pipelining = pipelining;
  }

  /** Reads on and answers; without PIPELINING a second command in the input is the client's fault. */
  answer(input: string): string {
    this.#input += input;
    let replies = '';
    for (;;) {
      const end = this.#inData ? this.#input.search(/(?<=^|\r\n)\.\r\n/) : this.#input.indexOf('\r\n');
      if (end < 0) return replies;
      if (this.#inData) {
        const text = this.#input.slice(0, end);
        this.#input = this.#input.slice(end + 3);
        replies += this.#content(text);
      } else {
        const line = this.#input.slice(0, end);
        this.#input = this.#input.slice(end + 2);
        if (!this.#pipelining && this.#input !== '') throw new Error('pipelined without leave');
        replies += this.#command(line);
      }
    }
  }

  #content(text: string): string {
    const [mail, rcpts] = [this.#mail!, this.#rcpts];
    this.#inData = false;
    this.#mail = undefined;
    this.#rcpts = [];
    if (rcpts.length === 0) {
      expect(text).toBe('');
      return '554 5.5.1 nobody\r\n';
    }
    expect(text).toBe(`message ${mail.slice(1)}\r\n`);
    const lot = this.#draw(8);
    if (lot === 0) {
      for (const rcpt of rcpts) this.refused.add(rcpt);
      return '554 5.6.0 no\r\n';
    }
    if (lot === 1) return '451 4.3.0 later\r\n';
    if (lot === 2) return '421 4.3.0 closing\r\n';
    for (const rcpt of rcpts) this.accepted.add(rcpt);
    return '250 2.0.0 taken\r\n';
  }

  #command(line: string): string {
    const lot = this.#draw(8);
    if (line.startsWith('EHLO'))
      return `250-mx\r\n${this.#pipelining ? '250-PIPELINING\r\n' : ''}250 HELP\r\n`;
    if (line === 'RSET') {
      this.#mail = undefined;
      this.#rcpts = [];
      return '250 ok\r\n';
    }
    const name = /<(.*)@/.exec(line)?.[1] ?? '';
    if (line.startsWith('MAIL')) {
      expect(this.#mail).toBeUndefined();
      if (lot === 0) this.refused.add(name);
      if (lot < 2) return lot === 0 ? '550 5.7.1 no\r\n' : '450 4.7.1 later\r\n';
      this.#mail = name;
      return '250 2.1.0 ok\r\n';
    }
    if (line.startsWith('RCPT')) {
      if (this.#mail === undefined) return '503 5.5.1 MAIL first\r\n';
      if (lot === 0) this.refused.add(name);
      if (lot < 3) return ['550 5.1.1 no\r\n', '450 4.2.0 later\r\n', '452 4.5.3 too many\r\n'][lot]!;
      this.#rcpts.push(name);
      return '250 2.1.5 ok\r\n';
    }
    if (line === 'DATA') {
      if (this.#mail === undefined) return '503 5.5.1 MAIL first\r\n';
      if (this.#rcpts.length === 0 && lot < 4) return '554 5.5.1 nobody\r\n';
      if (lot === 7) return '451 4.3.0 disk\r\n';
      this.#inData = true;
      return '354 go\r\n';
    }
    expect(line).toBe('QUIT');
    return '221 bye\r\n';
  }
}

test('no result says other than what a correct server promised, wherever the connection breaks', () => {
  let delivered = 0;
  let unknown = 0;
  fc.assert(
    fc.property(
      fc.array(fc.nat(5000), { minLength: 1, maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      fc.nat(1500),
      (lots, sizes, eager, pipelining, breaksAfterBytes) => {
        let drawn = 0;
        const draw = (sides: number): number => lots[drawn++ % lots.length]! % sides;
        const server = new StrictServer(draw, pipelining);
        const owner = new Owner(sizes, eager);
        let room = breaksAfterBytes;
        let toClient = '220 mx\r\n';
        owner.take(owner.session.opened(0));
        for (let idle = false; !owner.closed && !idle; ) {
          const piece = toClient.slice(0, Math.min(room, 1 + draw(40)));
          toClient = toClient.slice(piece.length);
          room -= piece.length;
          if (room === 0) owner.take(owner.session.lost('ECONNRESET', 0));
          else if (piece !== '') owner.take(owner.session.received(encode(piece), 0));
          if (owner.closed) break;
          owner.take(owner.deliverNext());
          toClient += server.answer(owner.written);
          idle = toClient === '' && owner.written === '';
          owner.written = '';
        }
        if (!owner.closed) owner.take(owner.session.quit(0));
        // What was written and is still on its way may reach the server all the same.
        server.answer(owner.written);
        expect(owner.unsettled).toBe(0);
        for (const [{ reversePath, recipients }, results] of owner.given) {
          const mail = reversePath.slice(0, reversePath.indexOf('@'));
          for (const [slot, { forwardPath }] of recipients.entries()) {
            const rcpt = forwardPath.slice(0, forwardPath.indexOf('@'));
            const { kind, bodySent } = results![slot]!;
            if (kind === 'delivered') expect(server.accepted.has(rcpt)).toBe(true);
            if (kind === 'failed') expect(server.refused.has(mail) || server.refused.has(rcpt)).toBe(true);
            if (server.accepted.has(rcpt)) expect(kind === 'delivered' || bodySent).toBe(true);
            if (bodySent) expect(kind).toBe('deferred');
            delivered += kind === 'delivered' ? 1 : 0;
            unknown += bodySent ? 1 : 0;
          }
        }
      },
    ),
    { numRuns: 2000 },
  );
  expect(delivered).toBeGreaterThan(500);
  expect(unknown).toBeGreaterThan(10);
});
