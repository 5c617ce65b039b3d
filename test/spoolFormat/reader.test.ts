import { expect, test } from 'vitest';
import { systemDigest } from '../../src/base/node/digest.ts';
import type { Disk } from '../../src/base/ports.ts';
import { beforeAll as beforeEverything, type Watermark } from '../../src/message/batchPosition.ts';
import type { SpoolLocation } from '../../src/message/envelope.ts';
import { formatMessageId } from '../../src/message/messageId.ts';
import type { QueueState } from '../../src/message/queueState.ts';
import { SeededRandom } from '../../src/simulation/seededRandom.ts';
import { SimulatedDisk } from '../../src/simulation/simulatedDisk.ts';
import { VirtualClock } from '../../src/simulation/virtualClock.ts';
import type { OwedMail } from '../../src/spool/copyForward.ts';
import { segmentName } from '../../src/spool/frame.ts';
import { type HoldReason, holdNumber } from '../../src/spool/owed.ts';
import { type Recovered, recover } from '../../src/spool/recovery.ts';
import { drain, eventOf, messageOf, settled } from '../../src/spool/samples.testing.ts';
import { SegmentSpool } from '../../src/spool/segmentSpool.ts';
import type { NewMessage } from '../../src/spool/spool.ts';
import { type Found, isContentWhole, readSpool } from './reader.ts';

const folder = '/spool';
const digest = systemDigest();
const sizes = {
  segmentBytes: 20 * 1024,
  batchBytes: 16 * 1024,
  overlapBytes: 4 * 1024,
  bodyFileBytes: 9 * 1024,
};

interface Kept {
  readonly message: NewMessage;
  location: SpoolLocation;
  /** Attempts of each recipient without an outcome, by place. */
  readonly owed: Map<number, number>;
  heldFor: HoldReason | undefined;
}

/** A spool that is busy for a while, with an owner that knows what it owes. */
class Life implements OwedMail {
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly clock = new VirtualClock();
  readonly kept: Kept[] = [];
  copies = 0;
  #spool!: SegmentSpool;
  #watermark: Watermark | undefined;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.disk = new SimulatedDisk(this.random);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return settled(this, promise);
  }

  recover(): Promise<Recovered> {
    return this.settle(recover({ disk: this.disk, digest }, folder, beforeEverything)).then((recovered) => {
      if (recovered.kind !== 'recovered') throw new Error(recovered.kind);
      return recovered;
    });
  }

  async live(steps: number): Promise<void> {
    const ports = { disk: this.disk, clock: this.clock, random: this.random, digest };
    const events = {
      published: (watermark: Watermark) => {
        this.#watermark = watermark;
      },
      failed: () => undefined,
    };
    this.#spool = new SegmentSpool(
      ports,
      folder,
      await this.recover(),
      { durability: 'sync', minFreeBytes: 0, sizes },
      events,
    );
    this.#spool.ownedBy(this);
    await this.settle(this.#spool.started);
    for (let step = 0; step < steps; step++) {
      this.#act();
      await drain();
    }
    this.clock.dropAlarms();
    this.disk.kill();
  }

  #act(): void {
    const { random } = this;
    const choice = random.below(20);
    if (choice < 3) this.#put();
    else if (choice < 6) this.#event();
    else if (choice === 6) {
      const state = { queue: `${random.below(3)}.test/v` as const, retryStep: random.below(2), retryAtMs: 0 };
      const backoff = random.oneIn(2) ? { sinceMs: random.below(9), untilMs: random.below(9) } : undefined;
      const disabledSources = ['192.0.2.1', '2001:db8::1']
        .slice(random.below(3))
        .map((address) => ({ address, untilMs: random.below(9) }));
      this.#spool.putQueueState({ ...state, backoff, disabledSources });
    } else if (choice === 7) this.#hold();
    else if (choice === 8 && this.#watermark !== undefined) this.#spool.recorded(this.#watermark);
    else if (choice === 9 && random.oneIn(8)) this.disk.fail('sync');
    else if (choice < 12) this.clock.advance(random.below(100));
    else this.disk.step();
  }

  #put(): void {
    const bodyBytes = this.random.oneIn(6) ? 10_000 : this.random.below(4000);
    const message = messageOf(this.#spool.nextId(), { recipients: 1 + this.random.below(3), bodyBytes });
    const owed = new Map(message.envelope.recipients.map((_, index) => [index, 0]));
    this.#spool.putMessage(message, {
      answer: () => undefined,
      owed: (location) => void this.kept.push({ message, location, owed, heldFor: undefined }),
    });
  }

  /** The first messages stay: they are what is copied. */
  #pick(): Kept | undefined {
    const open = this.kept.slice(3).filter(({ owed }) => owed.size > 0);
    return open.length === 0 ? undefined : this.random.pick(open);
  }

  #event(): void {
    const one = this.random.oneIn(8) ? this.kept[0] : this.#pick();
    if (one === undefined) return;
    const [index, attempts] = this.random.pick([...one.owed]);
    const kind = one === this.kept[0] || this.random.oneIn(4) ? 'deferred' : 'delivered';
    this.#spool.putEvent(eventOf(one.message.envelope, index, kind, attempts + 1), one.location.segment);
    if (kind === 'delivered') one.owed.delete(index);
    else one.owed.set(index, attempts + 1);
  }

  #hold(): void {
    const one = this.random.oneIn(2) ? this.kept[1] : this.#pick();
    if (one === undefined) return;
    if (one.heldFor === 'deleted') return;
    one.heldFor = this.random.pick(['damaged', 'deadly', 'deleted', undefined] as const);
    const { epoch, sequence } = one.message.envelope.id;
    if (one.heldFor !== 'deleted') this.#spool.hold(one.message.envelope.id, one.heldFor);
    else this.#spool.purge(Float64Array.from([...one.owed.keys()].flatMap((at) => [epoch, sequence, at])));
  }

  owedIn(segment: number): ReturnType<OwedMail['owedIn']> {
    return this.kept.flatMap(({ message, location, owed }, handle) =>
      location.segment === segment && owed.size > 0
        ? [{ handle, id: message.envelope.id, location, isDamaged: false }]
        : [],
    );
  }

  recipientsOf(messages: Parameters<OwedMail['recipientsOf']>[0]): ReturnType<OwedMail['recipientsOf']> {
    return messages.map(({ id }) => {
      const { owed, heldFor } = this.#keptOf(id);
      return [...owed].map(([index, attempts]) => ({ index, attempts, nextTryMs: 5, heldFor }));
    });
  }

  moved({ id }: { readonly id: NewMessage['envelope']['id'] }, to: SpoolLocation): void {
    this.copies += 1;
    this.#keptOf(id).location = to;
  }

  damaged(): void {
    throw new Error('nothing is damaged here');
  }

  #keptOf(id: NewMessage['envelope']['id']): Kept {
    return this.kept.find(({ message }) => message.envelope.id === id)!;
  }
}

async function filesOf(life: Life): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const below of ['', 'bodies/']) {
    const names = await life.settle(life.disk.list(`${folder}/${below}`.replace(/\/$/, '')).catch(() => []));
    for (const name of names) {
      const bytes = await life.settle(contentOf(life.disk, `${folder}/${below}${name}`));
      if (bytes !== undefined) files.set(`${below}${name}`, bytes);
    }
  }
  return files;
}

/** undefined for a folder. */
async function contentOf(disk: Disk, path: string): Promise<Buffer | undefined> {
  const file = await disk.open(path, 'read').catch(() => undefined);
  if (file === undefined) return undefined;
  const bytes = await file.read(0, await file.sizeBytes());
  await file.close();
  return Buffer.from(bytes);
}

/** Recipients and queue states, told alike. */
function told({ messages, queueStates }: Found): unknown {
  const recipients = [...messages].flatMap(([id, message]) =>
    [...message.recipients].map(
      ([index, { attempts, nextTryMs, held }]) =>
        `${id} ${index}: ${attempts} ${nextTryMs} ${held} ${message.isInFile} ${message.segment} ${message.recordAt}`,
    ),
  );
  return { recipients: recipients.sort(), queueStates: new Map([...queueStates].sort()) };
}

function toldByRecovery({ owed }: Recovered): unknown {
  const messages = new Map(
    Array.from(owed, ({ id, location, hasBodyFile, recipients }) => [
      formatMessageId(id),
      {
        isInFile: hasBodyFile,
        segment: location.segment,
        recordAt: location.recordAt,
        recipients: new Map(
          recipients.map(({ index, attempts, nextTryMs, heldFor }) => [
            index,
            { attempts, nextTryMs, held: holdNumber(heldFor) },
          ]),
        ),
      },
    ]),
  );
  const queueStates = new Map(
    Array.from(owed.queueStates.values(), ({ state }) => [state.queue as string, toldState(state)]),
  );
  return told({ messages, queueStates, chain: [], footers: [] });
}

function toldState({ retryStep, retryAtMs, backoff, disabledSources = [] }: QueueState): string {
  const times = backoff === undefined ? [] : [backoff.sinceMs, backoff.untilMs];
  const sources = disabledSources.map(({ address, untilMs }) => `${address}@${untilMs}`);
  return [retryStep, retryAtMs, ...times, ...sources].join(' ');
}

test('a reader written from docs/spool.md finds what a recovery finds, over 30 seeds', async () => {
  const seen = { copies: 0, footers: 0, contents: 0, holds: 0, queueStates: 0, offChain: 0 };
  for (let seed = 1; seed <= 30; seed++) {
    const life = new Life(seed);
    for (let lives = 0; lives < 3; lives++) {
      life.kept.length = 0;
      await life.live(700);
      // First: before it has written the head again, the cache may yet forget what a failed sync left there.
      const recovered = await life.recover();
      const files = await filesOf(life);
      const found = readSpool(files);
      expect(told(found), `seed ${seed}`).toEqual(toldByRecovery(recovered));
      for (const [id, message] of found.messages) {
        expect(isContentWhole(files, id, message), `content of ${id}`).toBe(true);
        if (message.isInFile) seen.contents += 1;
        for (const { held } of message.recipients.values()) seen.holds += Number(held > 0);
      }
      seen.copies += life.copies;
      seen.footers += found.footers.length;
      seen.queueStates += found.queueStates.size;
      seen.offChain += recovered.segments.filter(({ number }) => !found.chain.includes(number)).length;
    }
  }
  for (const [what, times] of Object.entries(seen)) expect(times, `${what} met`).toBeGreaterThan(10);
});

test('the reader takes the copy of a header that is broken', async () => {
  const life = new Life(1);
  await life.live(700);
  const files = await filesOf(life);
  const whole = told(readSpool(files));
  const name = segmentName(readSpool(files).chain[0]!);
  files.get(name)!.fill(0, 0, 64);
  expect(told(readSpool(files))).toEqual(whole);
});
