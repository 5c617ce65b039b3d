import { beforeEach, expect, test } from 'vitest';
import {
  type CopyPorts,
  copyForward,
  type OwedMail,
  type OwedMessage,
  type ReadMessage,
} from './copyForward.ts';
import type { SnapshotRecipient } from './record.ts';
import { diskError, drain, messageOf } from './samples.testing.ts';
import type { Snapshot } from './snapshot.ts';

const segment = 4;
let owed: Map<number, SnapshotRecipient[]>;
let damaged: number[];
let moved: string[];
let puts: Snapshot[];
/** Of each read, what it waits for. */
let reads: ((read: ReadMessage | undefined) => void)[];
let isClosing: boolean;
let ungiven: number;
let bodyBytes: number;
/** Reads end by themselves. */
let readsAtOnce: boolean;

beforeEach(() => {
  owed = new Map();
  damaged = [];
  moved = [];
  puts = [];
  reads = [];
  isClosing = false;
  bodyBytes = 10;
  readsAtOnce = true;
  ungiven = 0;
});

function owe(sequence: number, ...indexes: readonly number[]): void {
  const recipients = indexes.map((index) => ({ index, attempts: 0, nextTryMs: 0, heldFor: undefined }));
  owed.set(sequence, recipients);
  ungiven += indexes.length;
}

const mail: OwedMail = {
  owedIn: () =>
    [...owed.keys()].map((sequence) => ({
      handle: sequence,
      id: { epoch: 1, sequence },
      location: { segment, recordAt: sequence, recordBytes: 1 },
      isDamaged: false,
    })),
  recipientsOf: (messages) => messages.map(({ id }) => owed.get(id.sequence) ?? []),
  moved: ({ id }, to) => void moved.push(`${id.sequence} to ${to.segment}`),
  damaged: ({ id }) => void damaged.push(id.sequence),
};

function readOf({ id }: OwedMessage): ReadMessage {
  const { envelope, content } = messageOf(id, { recipients: 3, bodyBytes });
  return { envelope, body: content, isDamaged: false };
}

const ports: CopyPorts = {
  read: (message) => {
    if (readsAtOnce) return Promise.resolve(readOf(message));
    return new Promise((resolve) => void reads.push(resolve));
  },
  put: (snapshot) => void puts.push(snapshot),
  isClosing: () => isClosing,
  ungiven: () => ungiven,
};

/** What was put is durable, or (undefined) failed. */
function publish(to: number | undefined): void {
  for (const { moved: told } of puts.splice(0)) {
    told(to === undefined ? undefined : { segment: to, recordAt: 1, recordBytes: 1 });
  }
}

test('every message is put with what is owed of it, and lies where its copy is once that is durable', async () => {
  owe(1, 0, 2);
  owe(2, 1);
  const copied = copyForward(segment, mail, ports);
  await drain();
  const told = puts.map(({ from, envelope, owed: recipients }) => [
    from,
    envelope.id.sequence,
    recipients.map(({ index }) => index),
  ]);
  expect(told).toEqual([
    [segment, 1, [0, 2]],
    [segment, 2, [1]],
  ]);
  expect(moved).toEqual([]);
  publish(9);
  expect(moved).toEqual(['1 to 9', '2 to 9']);
  expect(await copied).toBe(true);
});

test('nothing is put when not everybody who is owed is known', async () => {
  owe(1, 0);
  ungiven = 2;
  expect(await copyForward(segment, mail, ports)).toBe(false);
  expect(puts).toEqual([]);
});

test('who gets his outcome while his message is read is not in the copy, and a message without any is not put', async () => {
  readsAtOnce = false;
  owe(1, 0, 1);
  owe(2, 0);
  const copied = copyForward(segment, mail, ports);
  await drain();
  reads.shift()!(readOf(mail.owedIn(segment)[0]!));
  await drain();
  owed.get(1)!.shift();
  owed.set(2, []);
  reads.shift()!(readOf(mail.owedIn(segment)[1]!));
  await drain();
  expect(puts.map(({ owed: recipients }) => recipients.map(({ index }) => index))).toEqual([[1]]);
  publish(9);
  expect(await copied).toBe(true);
});

test('at most 200 messages, and about a mebibyte, are on their way at a time', async () => {
  for (let sequence = 1; sequence <= 450; sequence++) owe(sequence, 0);
  const sizes: number[] = [];
  const copied = copyForward(segment, mail, ports);
  for (let chunks = 0; chunks < 3; chunks++) {
    while (puts.length === 0) await drain();
    await drain();
    await drain();
    sizes.push(puts.length);
    publish(9);
  }
  expect(await copied).toBe(true);
  expect(sizes).toEqual([200, 200, 50]);

  bodyBytes = 400 * 1024;
  const large = copyForward(segment, mail, ports);
  while (puts.length === 0) await drain();
  expect(puts.length).toBe(3);
  publish(undefined);
  expect(await large).toBe(false);
});

test('a copy that fails leaves its message where it was, and the rest for later', async () => {
  for (let sequence = 1; sequence <= 201; sequence++) owe(sequence, 0);
  const copied = copyForward(segment, mail, ports);
  while (puts.length === 0) await drain();
  publish(undefined);
  expect(await copied).toBe(false);
  expect(moved).toEqual([]);
  expect(puts).toEqual([]);
});

test('a damaged content is told, and nothing is put with it', async () => {
  owe(1, 0);
  owe(2, 0);
  const copied = copyForward(segment, mail, { ...ports, read: async () => undefined });
  expect(await copied).toBe(false);
  expect(damaged).toEqual([1]);
  expect(puts).toEqual([]);
});

test('a disk that fails is told to the caller', async () => {
  owe(1, 0);
  const failing = { ...ports, read: () => Promise.reject(diskError('EIO')) };
  await expect(copyForward(segment, mail, failing)).rejects.toMatchObject({ code: 'EIO' });
});

test('nothing is put into a spool that closes', async () => {
  owe(1, 0);
  readsAtOnce = false;
  const copied = copyForward(segment, mail, ports);
  await drain();
  isClosing = true;
  reads.shift()!(readOf(mail.owedIn(segment)[0]!));
  expect(await copied).toBe(false);
  expect(puts).toEqual([]);
});
