import { beforeEach, expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { wholeShare } from '../queue/limitShares.ts';
import { Scheduler } from '../queue/scheduler.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import type { HoldReason, OwedAfterRestart } from '../spool/owed.ts';
import { EngineMail } from './owedMail.ts';
import { Quarantine, quarantinedSummary } from './quarantine.ts';

const id: MessageId = { epoch: 1, sequence: 7 };
const from = { segment: 1, recordAt: 4160, recordBytes: 100 };
const to = { segment: 2, recordAt: 8256, recordBytes: 100 };
const recipient = (index: number, heldFor?: HoldReason) => ({
  index,
  domain: 'a.test',
  attempts: index,
  nextTryMs: 0,
  heldFor,
});
const message: OwedAfterRestart = {
  id,
  location: from,
  storedBytes: 100,
  hasBodyFile: false,
  vmta: 'v',
  timeQueuedMs: 0,
  recipients: [recipient(0), recipient(1, 'doubtful'), recipient(2, 'doubtful')],
};

let holds: (HoldReason | undefined)[];
let scheduler: Scheduler;
let quarantine: Quarantine;
let mail: EngineMail;

beforeEach(() => {
  holds = [];
  const settings = {
    ...domainDefaults,
    maxSmtpOut: 1,
    retryAfterMs: [1000],
    retryRecipientsAfterMs: 1000,
    bounceAfterMs: 1e9,
    maxRcptPerMessage: 100,
  };
  scheduler = new Scheduler({ settingsFor: () => settings, connectionLeases: wholeShare(10) });
  quarantine = new Quarantine({ hold: (_, reason) => void holds.push(reason) });
  mail = new EngineMail({
    clock: new VirtualClock(),
    scheduler,
    overdue: { waiting: [], moved: () => undefined } as never,
    deleted: { waiting: [], moved: () => undefined },
    quarantine,
    log: { write: () => undefined },
  });
});

test('what the spool remembers as held is not scheduled, until it is released; then the spool forgets it', () => {
  mail.takeUp(message, new Set());
  expect(scheduler.counts()).toMatchObject({ messages: 1, recipients: 1 });
  expect(quarantine.all().map(quarantinedSummary)).toMatchObject([
    { id, recipients: 2, domains: ['a.test'], heldFor: ['doubtful'], timeQueuedMs: undefined },
  ]);
  expect(mail.release(id)).toBe(2);
  expect(holds).toEqual([undefined]);
  expect(scheduler.counts().recipients).toBe(3);
  expect(quarantine.size).toBe(0);
  expect(mail.release(id)).toBe(0);
});

test('a copy of a message that was released in part holds every recipient that is owed', () => {
  mail.takeUp(message, new Set());
  mail.release(id);
  const owed = mail.owedIn(1);
  expect(owed).toHaveLength(1);
  expect(mail.recipientsOf(owed)[0]!.map(({ index, attempts }) => [index, attempts])).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
  ]);
});

test('a message that is released while it is copied lies where the copy is', () => {
  mail.takeUp(message, new Set());
  const [owed] = mail.owedIn(1);
  expect(mail.recipientsOf([owed!])[0]).toHaveLength(3);
  mail.release(id);
  expect(mail.recipientsOf([owed!])[0]).toHaveLength(3);
  mail.moved(owed!, to);
  expect(scheduler.standing.messagesIn(1)).toEqual([]);
  expect(scheduler.standing.messagesIn(2).map(({ location }) => location)).toEqual([to, to]);
});

test('what the engine died of is held, whatever the spool remembers of it', () => {
  mail.takeUp(message, new Set([formatMessageId(id)]));
  expect(scheduler.counts().recipients).toBe(0);
  expect(quarantine.all().map(quarantinedSummary)).toMatchObject([
    { id, recipients: 3, heldFor: ['deadly'] },
  ]);
  expect(holds).toEqual(['deadly']);
});
