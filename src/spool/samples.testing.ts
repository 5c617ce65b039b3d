import type { Digest, Disk, DiskError } from '../base/ports.ts';
import type { DeliveryEvent, DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { Envelope } from '../message/envelope.ts';
import type { QueueName } from '../message/names.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import { Batch } from './batch.ts';
import { FooterWriter } from './footer.ts';
import {
  blockBytes,
  encodeSegmentHeader,
  type Predecessor,
  type SegmentHeader,
  segmentName,
} from './frame.ts';
import type { Note } from './record.ts';
import type { Durability, NewMessage } from './spool.ts';

export function envelopeOf(id: Envelope['id'], recipients: number): Envelope {
  return {
    id,
    timeQueuedMs: 1,
    reversePath: 'söme@example.test',
    recipients: Array.from({ length: recipients }, (_, i) => ({
      forwardPath: `r${i}@example.test`,
      domain: 'example.test',
      orcpt: '',
    })),
    smtpUtf8: true,
    eightBit: false,
    wireForm: 'raw',
    vmta: 'v1',
    vmtaPool: 'p',
    jobId: '',
    envId: '',
    dsnReturn: 'headers',
    reception: {
      type: 'smtp',
      heloName: 'h',
      clientAddress: '192.0.2.1',
      listenerAddress: '127.0.0.1',
      listenerPort: 25,
    },
  };
}

export function messageOf(
  id: Envelope['id'],
  { recipients = 1, bodyBytes = 10, durability = 'sync' as Durability } = {},
): NewMessage {
  const chunks = [new Uint8Array(bodyBytes).fill(id.sequence)];
  return {
    envelope: envelopeOf(id, recipients),
    content: { prefix: new Uint8Array([1, 2]), chunks, sizeBytes: bodyBytes + 2 },
    durability,
  };
}

export function eventOf(
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

export function diskError(code: string): DiskError {
  return Object.assign(new Error(code), { code });
}

/** Lets every promise that can go on do so. */
export async function drain(): Promise<void> {
  for (let hops = 0; hops < 40; hops++) await Promise.resolve();
}

/** Steps a simulated disk and its clock until the promise is settled. */
export async function settled<T>(
  world: { readonly disk: { step(): boolean }; readonly clock: { advance(byMs: number): void } },
  promise: Promise<T>,
): Promise<T> {
  let done = false;
  const finished = promise.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  for (let steps = 0; !done; steps++) {
    if (steps > 20_000) throw new Error('it never ends');
    world.disk.step();
    world.clock.advance(1);
    await drain();
  }
  return finished;
}

export interface BatchSample {
  readonly number: number;
  readonly syncedThrough?: number;
  readonly messages?: readonly NewMessage[];
  readonly notes?: readonly Note[];
}

export interface SegmentSample {
  readonly header: SegmentHeader;
  readonly bytes: Uint8Array;
  /** Where each batch begins, by its number. */
  readonly at: ReadonlyMap<number, number>;
}

function batchOf({ messages = [], notes = [] }: BatchSample): Batch {
  const batch = new Batch();
  const owner = { answer: () => undefined, owed: () => undefined };
  for (const message of messages) batch.addMessage(message, owner, false, undefined);
  for (const note of notes) batch.addNote(note, 0);
  return batch;
}

/** A segment's file as the writer leaves it. */
export function segmentOf(
  header: Partial<Omit<SegmentHeader, 'predecessor'>> & {
    readonly number: number;
    /** Everything that counts is synced unless it says otherwise. */
    readonly predecessor?: Omit<Predecessor, 'syncedThrough'> & Partial<Predecessor>;
  },
  batches: readonly BatchSample[],
  digest: Digest,
): SegmentSample {
  const predecessor = header.predecessor && {
    syncedThrough: header.predecessor.lastBatch,
    ...header.predecessor,
  };
  const whole = { epoch: 1, salt: header.number * 7919, firstBatch: 1, ...header, predecessor };
  const chunks = [encodeSegmentHeader(whole, digest)];
  const at = new Map<number, number>();
  let startAt = blockBytes;
  for (const sample of batches) {
    const { number, syncedThrough = 0 } = sample;
    const batch = batchOf(sample);
    at.set(number, startAt);
    chunks.push(...batch.seal({ ...whole, number, syncedThrough, startAt }, digest));
    startAt += batch.frameBytes;
  }
  return { header: whole, bytes: Uint8Array.from(chunks.flatMap((chunk) => [...chunk])), at };
}

/** Lays the segments into the folder. */
export async function layOut(disk: Disk, folder: string, segments: readonly SegmentSample[]): Promise<void> {
  await disk.makeFolder(folder);
  for (const { header, bytes } of segments) {
    const file = await disk.open(`${folder}/${segmentName(header.number)}`, 'create');
    await file.write([bytes], 0);
    await file.sync();
    await file.close();
  }
  await disk.syncFolder(folder);
}

/** A bit of the sample, flipped. */
export function flipped(sample: SegmentSample, at: number): SegmentSample {
  const bytes = sample.bytes.slice();
  bytes[at]! ^= 1;
  return { ...sample, bytes };
}

/** A bit of the segment's header flipped, in the header and in its copy. */
export function headerFlipped(sample: SegmentSample): SegmentSample {
  return flipped(flipped(sample, 12), 12 + blockBytes / 2);
}

/** The same segment as the writer leaves it when it is full. */
export function withFooter(
  sample: SegmentSample,
  batches: readonly BatchSample[],
  digest: Digest,
): SegmentSample {
  const footer = new FooterWriter();
  for (const batch of batches) {
    const filled = batchOf(batch);
    filled.seal(
      { ...sample.header, number: batch.number, syncedThrough: 0, startAt: sample.at.get(batch.number)! },
      digest,
    );
    footer.add(filled, sample.header.number);
  }
  const blocks = footer.encode(batches.at(-1)!.number, digest, sample.header.salt);
  const bytes = Uint8Array.from([sample.bytes, ...blocks].flatMap((chunk) => [...chunk]));
  return { ...sample, bytes };
}

export function queueEventOf(queue: QueueName, timeLoggedMs = 1): QueueEvent {
  return {
    kind: 'queueFailed',
    queue,
    timeLoggedMs,
    status: '4.4.1',
    diagnostic: 'no connection',
    dsnMta: 'mx.a.test (192.0.2.1)',
    dlvSourceIp: '0.0.0.0',
    dlvDestinationIp: '192.0.2.1',
  };
}
