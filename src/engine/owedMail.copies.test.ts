import { beforeEach, expect, test } from 'vitest';
import type { Clock } from '../base/ports.ts';
import { domainDefaults } from '../config/config.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { wholeShare } from '../queue/limitShares.ts';
import { Scheduler } from '../queue/scheduler.ts';
import { Overdue } from './overdue.ts';
import { EngineMail } from './owedMail.ts';
import { Quarantine, type Quarantined } from './quarantine.ts';

const wallMs = 1_000_000;
const location: SpoolLocation = { segment: 7, recordAt: 1, recordBytes: 2 };
const to: SpoolLocation = { segment: 9, recordAt: 3, recordBytes: 4 };
const id = { epoch: 1, sequence: 1 };
let scheduler: Scheduler;
let overdue: Overdue;
let quarantine: Quarantine;
let mail: EngineMail;
let logged: string[];

beforeEach(() => {
  const settings = {
    ...domainDefaults,
    maxSmtpOut: 1,
    retryAfterMs: [100],
    retryRecipientsAfterMs: 50,
    bounceAfterMs: 1_000,
    maxRcptPerMessage: 0,
  };
  scheduler = new Scheduler({ settingsFor: () => settings, connectionLeases: wholeShare(10) });
  overdue = new Overdue({
    maySettle: () => true,
    read: () => new Promise(() => undefined),
    bounce: () => undefined,
    unreadable: () => undefined,
    hold: () => undefined,
  });
  quarantine = new Quarantine({ hold: () => undefined });
  logged = [];
  mail = new EngineMail({
    clock: { wallMs: () => wallMs, monotonicMs: () => 0 } as Partial<Clock> as Clock,
    scheduler,
    overdue,
    deleted: { waiting: [], moved: () => undefined },
    quarantine,
    log: { write: (_level, event) => void logged.push(event) },
  });
});

function schedule(index: number, nextTryInMs = 0, of = id): void {
  const recipients = [{ index, domain: 'a.example', attempts: index, nextTryInMs }];
  scheduler.add({ id: of, location, vmta: 'v', ageMs: 0, recipients }, 0);
}

function quarantined(index: number): Quarantined {
  const recipients = [
    { index, domain: 'a.example', attempts: index, nextTryMs: 0, heldFor: 'doubtful' as const },
  ];
  return { id, location, vmta: 'v', timeQueuedMs: 0, recipients };
}

function late(recipientIndex: number): void {
  overdue.add({ queue: 'a.example/v', handle: 0, id, location, recipientIndex, attempts: recipientIndex });
}

test('a message is told once, with its recipients wherever they are', () => {
  schedule(1, 20);
  late(2);
  quarantine.take(quarantined(3));
  const owed = mail.owedIn(7);
  expect(owed).toMatchObject([{ id, location, isDamaged: false }]);
  expect(mail.recipientsOf(owed)[0]).toMatchObject([
    { index: 1, attempts: 1, nextTryMs: wallMs + 20, heldFor: undefined },
    { index: 2, attempts: 2, nextTryMs: 0, heldFor: undefined },
    { index: 3, attempts: 3, nextTryMs: 0, heldFor: 'doubtful' },
  ]);
  expect(mail.owedIn(8)).toEqual([]);
});

test('messages and their recipients are told in the same order', () => {
  late(5);
  schedule(1, 0, { epoch: 1, sequence: 2 });
  schedule(2, 0, { epoch: 1, sequence: 3 });
  const owed = mail.owedIn(7);
  const indexes = mail.recipientsOf(owed).map((recipients) => recipients.map(({ index }) => index));
  expect(owed.map(({ id: { sequence } }) => sequence)).toEqual([1, 2, 3]);
  expect(indexes).toEqual([[5], [1], [2]]);
});

test('a message lies where it was moved to, wherever its recipients are', () => {
  schedule(1);
  late(2);
  quarantine.take(quarantined(3));
  mail.moved(mail.owedIn(7)[0]!, to);
  expect(mail.owedIn(7)).toEqual([]);
  expect(mail.owedIn(9)).toMatchObject([{ id, location: to }]);
  expect(mail.recipientsOf(mail.owedIn(9))[0]!.length).toBe(3);
});

test('a message found damaged is said to be, held in its copy, and told to the log', () => {
  schedule(1);
  mail.damaged(mail.owedIn(7)[0]!);
  expect(logged).toEqual(['spool.unreadable']);
  const owed = mail.owedIn(7);
  expect(owed).toMatchObject([{ isDamaged: true }]);
  expect(mail.recipientsOf(owed)[0]).toMatchObject([{ index: 1, heldFor: 'damaged' }]);
});

test('a message that is kept back for its content is said to be damaged', () => {
  const [recipient] = quarantined(1).recipients;
  quarantine.take({ ...quarantined(1), recipients: [{ ...recipient!, heldFor: 'damaged' }] });
  expect(mail.owedIn(7)).toMatchObject([{ isDamaged: true }]);
});
