import type { Clock, Digest } from '../base/ports.ts';
import type { AcctFileConfig, AcctRecordType, Origin } from '../config/config.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Envelope } from '../message/envelope.ts';

/** Shared by the tests of this folder. */
export const digest: Digest = {
  crc32(bytes, seed) {
    let crc = ~seed;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc >>> 0;
  },
};

/** A delivery in the shape of the corpus's d line; override what a test is about. */
export function deliveryEvent(over: Partial<DeliveryEvent> = {}): DeliveryEvent {
  return {
    kind: 'delivered',
    id: { epoch: 1, sequence: 1 },
    recipientIndex: 0,
    timeLoggedMs: 1_770_587_645_000, // 2026-02-08 21:54:05 UTC
    timeQueuedMs: 1_770_587_643_000,
    orig: 'b-1@bounce.op0.example',
    rcpt: 'u1@dest.example',
    orcpt: '',
    status: '2.0.0',
    diagnostic: '250 2.0.0 ok',
    dsnMta: 'mx1.dest.example (198.51.100.7)',
    bounceCategory: '',
    srcMta: 'app.op0.example (127.0.0.1)',
    dlvSourceIp: '203.0.113.10',
    dlvDestinationIp: '198.51.100.7',
    dlvEsmtpAvailable: 'ENHANCEDSTATUSCODES,8BITMIME,SMTPUTF8',
    dlvSizeBytes: 41159,
    vmta: 'vmta48',
    vmtaPool: 'pool1',
    jobId: 'job1',
    envId: '',
    queue: 'dest.example/vmta48',
    attempts: 1,
    nextTryMs: 0,
    ...over,
  };
}

export function envelope(over: Partial<Envelope> = {}): Envelope {
  return {
    id: { epoch: 1, sequence: 1 },
    timeQueuedMs: 1_770_581_997_000, // 2026-02-08 20:19:57 UTC
    reversePath: 'b-4@bounce.op0.example',
    recipients: [{ forwardPath: 'u4@dest.example', domain: 'dest.example', orcpt: '' }],
    smtpUtf8: false,
    eightBit: false,
    wireForm: 'dotStuffed',
    vmta: 'vmta1',
    vmtaPool: '',
    jobId: 'job2',
    envId: 'envid1234',
    dsnReturn: 'headers',
    reception: {
      type: 'smtp',
      heloName: 'app.op0.example',
      clientAddress: '192.168.25.56',
      listenerAddress: '192.168.25.11',
      listenerPort: 25,
    },
    ...over,
  };
}

const origin: Origin = { file: 'config', line: 1, column: 1, text: '<acct-file /acct/acct.csv>' };

export interface AcctSettings {
  readonly path?: string;
  readonly records?: readonly AcctRecordType[];
  readonly maxSizeBytes?: number;
  readonly moveTo?: string;
  readonly moveIntervalMs?: number;
  readonly deleteAfterMs?: number | undefined;
}

export function acctConfig(settings: AcctSettings = {}): AcctFileConfig {
  const set = <T>(value: T): { value: T; origin: Origin } => ({ value, origin });
  return {
    origin,
    path: settings.path ?? '/acct/acct.csv',
    records: set(settings.records ?? ['d', 'b']),
    maxSizeBytes: set(settings.maxSizeBytes ?? 250_000_000),
    moveTo: settings.moveTo === undefined ? undefined : set(settings.moveTo),
    moveIntervalMs: set(settings.moveIntervalMs ?? 86_400_000),
    deleteAfterMs: set('deleteAfterMs' in settings ? settings.deleteAfterMs : 8 * 86_400_000),
  };
}

/** A clock that stands until it is moved; `after` runs what falls due when it is moved. */
export class TestClock implements Clock {
  nowMs: number;
  readonly offsetMinutes: number;
  #due: { atMs: number; callback: () => void }[] = [];

  constructor(nowMs: number, offsetMinutes = 0) {
    this.nowMs = nowMs;
    this.offsetMinutes = offsetMinutes;
  }

  wallMs(): number {
    return this.nowMs;
  }

  soon(callback: () => void): void {
    this.after(0, callback);
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  zoneOffsetMinutes(): number {
    return this.offsetMinutes;
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    const entry = { atMs: this.nowMs + delayMs, callback };
    this.#due.push(entry);
    return {
      cancel: () => {
        this.#due = this.#due.filter((other) => other !== entry);
      },
    };
  }

  /** When the next callback is due, or undefined. */
  nextDueMs(): number | undefined {
    return this.#due.length === 0 ? undefined : Math.min(...this.#due.map((entry) => entry.atMs));
  }

  /** Moves on, running what falls due in order and letting its promises settle. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (let next = this.nextDueMs(); next !== undefined && next <= endMs; next = this.nextDueMs()) {
      this.nowMs = Math.max(this.nowMs, next);
      const entry = this.#due.find((other) => other.atMs === next)!;
      this.#due = this.#due.filter((other) => other !== entry);
      entry.callback();
      await settled();
    }
    this.nowMs = endMs;
    await settled();
  }
}

/** Lets every promise that can settle without outside help do so. */
export async function settled(): Promise<void> {
  for (let hop = 0; hop < 500; hop++) await undefined;
}
