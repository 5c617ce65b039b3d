import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import { wholeShare } from '../queue/limitShares.ts';
import { Scheduler } from '../queue/scheduler.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import type { OwedAfterRestart } from '../spool/owed.ts';
import { drain, envelopeOf } from '../spool/samples.testing.ts';
import type { SpoolReadFailure, StoredMessage } from '../spool/spool.ts';
import { Deletions } from './deletions.ts';
import { HeldContent } from './heldContent.ts';
import { EngineMail } from './owedMail.ts';
import { Quarantine } from './quarantine.ts';

const location = { segment: 5, recordAt: 1, recordBytes: 2 };
const content = { prefix: new Uint8Array(0), chunks: [], sizeBytes: 0 };

function setUp() {
  const put: (DeliveryEvent & { readonly segment: number })[] = [];
  const spool = {
    unsyncedEvents: 0,
    reads: 0,
    isDamaged: false,
    putEvent: (event: DeliveryEvent, segment: number) => {
      put.push({ ...event, segment });
      spool.unsyncedEvents += 1;
    },
    read: async (): Promise<StoredMessage | SpoolReadFailure> => {
      spool.reads += 1;
      if (spool.isDamaged) return { kind: 'unreadable', code: 'damaged' };
      return { kind: 'stored', envelope: envelopeOf({ epoch: 1, sequence: 1 }, 400), content };
    },
  };
  const clock = new VirtualClock();
  const scheduler = new Scheduler({
    settingsFor: () => ({ ...domainDefaults, bounceAfterMs: 1e9 }),
    connectionLeases: wholeShare(10),
  });
  const quarantine = new Quarantine({ hold: () => undefined });
  const held = new HeldContent(1e6);
  const counts = { deliveredTotal: 0, failedTotal: 0, deferredTotal: 0 };
  const log = { write: () => undefined };
  const deletions = new Deletions({ clock, log, scheduler, spool, held, quarantine, counts });
  const overdue = { waiting: [], moved: () => undefined } as never;
  const mail = new EngineMail({
    clock,
    log,
    scheduler,
    overdue,
    deleted: deletions.reading,
    quarantine,
  });
  return { put, spool, scheduler, deletions, mail, held, counts, quarantine };
}

/** As a start finds it: every second recipient was deleted. */
function halfDeleted(sequence: number, recipients: number): OwedAfterRestart {
  return {
    id: { epoch: 1, sequence },
    location,
    storedBytes: 1,
    hasBodyFile: false,
    vmta: 'v1',
    timeQueuedMs: 0,
    recipients: Array.from({ length: recipients }, (_, index) => ({
      index,
      domain: 'example.test',
      attempts: 2,
      nextTryMs: 0,
      heldFor: index % 2 === 1 ? ('deleted' as const) : undefined,
    })),
  };
}

test('what a start finds deleted is not scheduled, and gets its outcome; the rest goes on', async () => {
  const { put, scheduler, deletions, mail, counts } = setUp();
  mail.takeUp(halfDeleted(1, 4), new Set());
  mail.dropDeleted();
  expect([...scheduler.queues(0)]).toMatchObject([{ recipients: 2 }]);
  deletions.tick();
  await drain();
  expect(put.map(({ recipientIndex }) => recipientIndex).sort()).toEqual([1, 3]);
  expect(put[0]).toMatchObject({
    kind: 'failed',
    status: '5.0.0',
    diagnostic: 'deleted by administrator',
    bounceCategory: 'other',
    queue: 'example.test/v1',
    attempts: 2,
    segment: 5,
  });
  expect(counts.failedTotal).toBe(2);
  expect(scheduler.counts()).toMatchObject({ recipients: 2, messages: 1 });
});

test('copies say who is deleted, whether its envelope is being read or not yet', () => {
  const { spool, deletions, mail } = setUp();
  mail.takeUp(halfDeleted(1, 2), new Set());
  mail.dropDeleted();
  const marks = () => {
    const [owed] = mail.recipientsOf(mail.owedIn(5));
    return owed!.map(({ index, heldFor }) => [index, heldFor]).sort();
  };
  const expected = [
    [0, undefined],
    [1, 'deleted'],
  ];
  expect(marks()).toEqual(expected);
  deletions.tick();
  expect(spool.reads).toBe(1);
  expect(marks()).toEqual(expected);
});

test('so many outcomes wait for the disk at a time, and a stop ends it', async () => {
  const { put, spool, deletions, mail } = setUp();
  for (let sequence = 1; sequence <= 10; sequence++) mail.takeUp(halfDeleted(sequence, 200), new Set());
  mail.dropDeleted();
  deletions.tick();
  for (let turn = 0; turn < 20; turn++) await drain();
  expect(put.length).toBeGreaterThanOrEqual(256);
  expect(put.length).toBeLessThan(512);
  const before = put.length;
  deletions.stop();
  spool.unsyncedEvents = 0;
  deletions.tick();
  await drain();
  expect(put.length).toBe(before);
});

test('one that is dead is held but for its deleted recipients', () => {
  const { mail, quarantine, scheduler } = setUp();
  mail.takeUp(halfDeleted(1, 4), new Set(['1.1']));
  mail.dropDeleted();
  expect(quarantine.all().map(({ recipients }) => recipients.map(({ index }) => index))).toEqual([[0, 2]]);
  expect(scheduler.operating.takeDeleted(9)).toHaveLength(2);
});

test('what cannot be read is shown to somebody', async () => {
  const { put, spool, deletions, mail, quarantine } = setUp();
  spool.isDamaged = true;
  mail.takeUp(halfDeleted(1, 2), new Set());
  mail.dropDeleted();
  deletions.tick();
  await drain();
  expect(put).toEqual([]);
  expect(quarantine.all()).toMatchObject([{ recipients: [{ index: 1, heldFor: 'damaged' }] }]);
});
