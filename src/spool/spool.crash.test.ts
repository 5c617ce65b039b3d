import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import type { DiskError } from '../base/ports.ts';
import { type BatchPosition, beforeAll, comparePositions, type Watermark } from '../message/batchPosition.ts';
import type { DeliveryEvent, DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { Envelope, SpoolLocation } from '../message/envelope.ts';
import { formatMessageId } from '../message/messageId.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { BatchReader } from './batchReader.ts';
import { type Recovered, recover } from './recovery.ts';
import { SegmentSpool } from './segmentSpool.ts';

const folder = '/spool';
const digest = { crc32: (bytes: Uint8Array, seed: number) => crc32(bytes, seed) };

interface Recipient {
  /** A terminal outcome was put; whether the spool called it published. */
  outcome: 'none' | 'given' | 'published';
  attempts: number;
  attemptsPublished: number;
  rows: number;
}

interface Message {
  readonly envelope: Envelope;
  answer: 'pending' | 'accepted' | 'refused';
  location: SpoolLocation | undefined;
  readonly recipients: readonly Recipient[];
}

/** The spool beside a ledger that knows what was promised, on a disk that fails and forgets. */
class World {
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly clock = new VirtualClock();
  readonly messages = new Map<string, Message>();
  readonly ids = new Set<string>();
  spool!: SegmentSpool;
  reader!: BatchReader;
  watermark: Watermark | undefined;
  cursor: BatchPosition = beforeAll;
  failures = 0;
  life = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.disk = new SimulatedDisk(this.random);
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const finished = promise.finally(() => {
      done = true;
    });
    finished.catch(() => undefined);
    for (let steps = 0; !done; steps++) {
      if (steps > 100_000) throw new Error('it never ends');
      this.disk.step();
      this.clock.advance(1);
      await drain();
    }
    return finished;
  }

  async start(): Promise<void> {
    const result = await this.settle(recover({ disk: this.disk, digest }, folder, this.cursor.epoch));
    if (result.kind === 'disk') return this.start();
    if (result.kind !== 'recovered') throw new Error(`not recovered: ${JSON.stringify(result)}`);
    this.check(result);
    const life = this.life;
    this.watermark = undefined;
    this.spool = new SegmentSpool(
      { disk: this.disk, clock: this.clock, random: this.random, digest },
      folder,
      result,
      'sync',
      {
        published: (watermark) => {
          if (life === this.life) this.watermark = watermark;
        },
        failed: () => {
          this.failures += 1;
        },
      },
    );
    this.reader = new BatchReader(this.disk, digest, folder, this.cursor);
    await this.settle(this.spool.started);
  }

  /** What a restart finds against what was promised (spool-model: I1, I3 to I5, check451). */
  check(recovered: Recovered): void {
    const owed = new Map(recovered.owed.map((one) => [formatMessageId(one.id), one]));
    for (const [key, message] of this.messages) {
      const there = owed.get(key);
      owed.delete(key);
      if (message.answer === 'refused') expect(there, `451 came back: ${key}`).toBeUndefined();
      if (there !== undefined) {
        message.answer = 'accepted';
        message.location = there.location;
      }
      if (message.answer !== 'accepted') continue;
      message.recipients.forEach((recipient, index) => {
        const still = there?.recipients.find((one) => one.index === index);
        if (recipient.outcome === 'published') expect(still, `finished, yet owed: ${key}`).toBeUndefined();
        if (recipient.outcome === 'none') expect(still, `accepted, yet lost: ${key}`).toBeDefined();
        recipient.outcome = still === undefined ? 'published' : 'none';
        if (still === undefined) return;
        expect(still.attempts, `deferral forgotten: ${key}`).toBeGreaterThanOrEqual(
          recipient.attemptsPublished,
        );
        recipient.attempts = still.attempts;
        recipient.attemptsPublished = still.attempts;
      });
    }
    expect([...owed.keys()], 'owed, yet never put').toEqual([]);
    for (const [key, message] of this.messages) if (message.answer === 'pending') this.messages.delete(key);
  }

  put(): void {
    const id = this.spool.nextId();
    const key = formatMessageId(id);
    expect(this.ids.has(key), `id used twice: ${key}`).toBe(false);
    this.ids.add(key);
    const recipients = Array.from({ length: 1 + this.random.below(3) }, (_, i) => ({
      forwardPath: `r${i}@example.test`,
      domain: 'example.test',
      orcpt: '',
    }));
    const envelope: Envelope = {
      id,
      timeQueuedMs: 1,
      reversePath: 'söme@example.test',
      recipients,
      smtpUtf8: true,
      eightBit: false,
      wireForm: 'raw',
      vmta: 'v1',
      vmtaPool: 'p',
      jobId: '',
      envId: '',
      reception: {
        type: 'smtp',
        heloName: 'h',
        clientAddress: '192.0.2.1',
        listenerAddress: '127.0.0.1',
        listenerPort: 25,
      },
    };
    const message: Message = {
      envelope,
      answer: 'pending',
      location: undefined,
      recipients: recipients.map(() => ({ outcome: 'none', attempts: 0, attemptsPublished: 0, rows: 0 })),
    };
    this.messages.set(key, message);
    const body = new Uint8Array(this.random.below(9000)).fill(id.sequence);
    const life = this.life;
    this.spool.putMessage(
      {
        envelope,
        content: { prefix: new Uint8Array([1, 2]), chunks: [body], sizeBytes: body.length + 2 },
        durability: 'sync',
      },
      {
        answer: (stored) => {
          expect(life).toBe(this.life);
          expect(message.answer).toBe('pending');
          message.answer = stored ? 'accepted' : 'refused';
        },
        owed: (location) => {
          message.location = location;
        },
      },
    );
  }

  event(kind: DeliveryEventKind): void {
    const open = [...this.messages.values()].filter(
      (message) => message.location && message.recipients.some(({ outcome }) => outcome === 'none'),
    );
    if (open.length === 0) return;
    const message = this.random.pick(open);
    const index = message.recipients.findIndex(({ outcome }) => outcome === 'none');
    const recipient = message.recipients[index]!;
    recipient.attempts += 1;
    if (kind !== 'deferred') recipient.outcome = 'given';
    this.spool.putEvent({
      event: eventOf(message.envelope, index, kind, recipient.attempts),
      messageSegment: message.location!.segment,
    });
    this.given.push({ recipient, kind, attempts: recipient.attempts });
  }

  /** Events put and not yet published, oldest first: the spool publishes in order. */
  given: { recipient: Recipient; kind: DeliveryEventKind; attempts: number }[] = [];

  notePublished(): void {
    while (this.given.length > this.spool.unsyncedEvents) {
      const { recipient, kind, attempts } = this.given.shift()!;
      recipient.attemptsPublished = attempts;
      if (kind !== 'deferred') recipient.outcome = 'published';
    }
  }

  async record(): Promise<void> {
    if (this.watermark === undefined) return;
    const read = await this.settle(
      this.reader.next(this.watermark, 1 + this.random.below(5)).catch((error: DiskError) => {
        // A segment it has passed may be reclaimed while it looks for the chain: it asks again.
        expect(['EIO', 'ENOENT']).toContain(error.code);
        return [];
      }),
    );
    if ('kind' in read) throw new Error(`recorder met damage: ${JSON.stringify(read)}`);
    for (const { position, events } of read) {
      this.cursor = position;
      for (const event of events) {
        if (event.kind === 'deferred') continue;
        const recipient = this.messages.get(formatMessageId(event.id))!.recipients[event.recipientIndex]!;
        recipient.rows += 1;
        expect(recipient.rows, `second row: ${formatMessageId(event.id)}`).toBe(1);
      }
    }
    this.notePublished();
    this.spool.recorded(this.cursor);
  }

  crash(): void {
    this.life += 1;
    this.notePublished();
    this.given = [];
    this.clock.dropAlarms();
    if (this.random.oneIn(2)) this.disk.kill();
    else this.disk.powerLoss();
  }
}

async function drain(): Promise<void> {
  for (let hops = 0; hops < 12; hops++) await Promise.resolve();
}

function eventOf(
  envelope: Envelope,
  recipientIndex: number,
  kind: DeliveryEventKind,
  attempts: number,
): DeliveryEvent {
  return {
    kind,
    id: envelope.id,
    recipientIndex,
    timeLoggedMs: 2,
    timeQueuedMs: envelope.timeQueuedMs,
    orig: envelope.reversePath,
    rcpt: envelope.recipients[recipientIndex]!.forwardPath,
    orcpt: '',
    status: '2.0.0',
    diagnostic: '250 ok',
    dsnMta: '',
    bounceCategory: '',
    srcMta: '',
    dlvSourceIp: '',
    dlvDestinationIp: '',
    dlvEsmtpAvailable: '',
    dlvSizeBytes: 0,
    vmta: 'v1',
    vmtaPool: '',
    jobId: '',
    envId: '',
    queue: 'example.test/v1',
    attempts,
    nextTryMs: 5,
  };
}

async function act(world: World): Promise<void> {
  const { random, disk, clock } = world;
  const choice = random.below(100);
  if (choice < 15) world.put();
  else if (choice < 27) world.event(random.pick(['delivered', 'failed', 'deferred'] as const));
  else if (choice < 30) disk.fail(random.pick(['write', 'sync', 'sync', 'syncFolder', 'open'] as const));
  else if (choice < 36) await world.record();
  else if (choice < 50) clock.advance(random.below(200));
  else disk.step();
  await drain();
  world.notePublished();
}

const seeds = Number(process.env.SPOOL_SEEDS ?? 300);
const firstSeed = Number(process.env.SPOOL_SEED ?? 1);

test(`nothing promised is lost, revived or recorded twice, over ${seeds} seeds of crashes and failing syncs`, async () => {
  let failures = 0;
  let messages = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const world = new World(seed);
    try {
      for (let life = 0; life < 4; life++) {
        await world.start();
        for (let steps = 20 + world.random.below(150); steps > 0; steps--) await act(world);
        world.crash();
      }
      await world.start();
      let calm = 0;
      while (
        [...world.messages.values()].some(
          ({ answer, recipients }) => answer !== 'refused' && recipients.some((r) => r.outcome === 'none'),
        )
      ) {
        if (calm++ > 100_000) throw new Error('it never drains');
        world.event('delivered');
        world.clock.advance(20);
        world.disk.step();
        await drain();
        world.notePublished();
      }
      await world.settle(world.spool.close());
      world.notePublished();
      for (let reads = 0; comparePositions(world.cursor, world.watermark!) < 0; reads++) {
        if (reads > 10_000) throw new Error('the recorder never arrives');
        await world.record();
      }
      for (const [key, message] of world.messages) {
        if (message.answer !== 'accepted') continue;
        for (const { rows } of message.recipients) expect(rows, `rows of ${key}`).toBe(1);
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    failures += world.failures;
    messages += world.ids.size;
  }
  expect(failures).toBeGreaterThan(seeds / 2);
  expect(messages).toBeGreaterThan(seeds * 20);
}, 120_000);
