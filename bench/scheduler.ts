import { domainDefaults } from '../src/config/config.ts';
import { wholeShare } from '../src/queue/limitShares.ts';
import type { QueueConnection } from '../src/queue/schedule.ts';
import { Scheduler } from '../src/queue/scheduler.ts';

/*
 * What a recipient and a queue cost in memory, and a message in time. Bundle with esbuild, then
 * `node --expose-gc scheduler.js`. Messages have one recipient each unless the line says otherwise.
 */

const settings = {
  ...domainDefaults,
  maxSmtpOut: 20,
  retryAfterMs: [600_000],
  retryRecipientsAfterMs: 600_000,
  bounceAfterMs: 388_800_000,
  maxRcptPerMessage: 1000,
};

function usedBytes(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function run(messages: number, queues: number, recipientsPerMessage: number): void {
  const before = usedBytes();
  const scheduler = new Scheduler({ settingsFor: () => settings, connectionLeases: wholeShare(200) });
  const domains = Array.from({ length: queues }, (_, i) => `d${i}.example`);
  let nowMs = 0;

  const addStart = performance.now();
  for (let sequence = 0; sequence < messages; sequence++) {
    nowMs += 0.01;
    const recipients = Array.from({ length: recipientsPerMessage }, (_, index) => ({
      index,
      domain: domains[(sequence * recipientsPerMessage + index) % queues]!,
      attempts: 0,
      nextTryInMs: 0,
    }));
    const location = { segment: 1, recordAt: sequence * 300, recordBytes: 300 };
    scheduler.add({ id: { epoch: 1, sequence }, location, vmta: '{default}', ageMs: 0, recipients }, nowMs);
  }
  const addUs = ((performance.now() - addStart) * 1000) / messages;
  const { recipients, tableBytes } = scheduler.counts();
  const used = usedBytes() - before;

  const open: QueueConnection[] = [];
  /** As the engine does: a connection takes until there is nothing; every event is followed by a step. */
  const cycle = (settlement: 'deferred' | 'delivered'): number => {
    const start = performance.now();
    let batches = 0;
    open.push(...scheduler.step(nowMs).open);
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      scheduler.connectionOpened(name, nowMs);
      for (
        let batch = scheduler.take(name, nowMs);
        typeof batch !== 'string';
        batch = scheduler.take(name, nowMs)
      ) {
        nowMs += 0.01;
        for (const index of batch.recipientIndexes) scheduler.settle(batch, index, settlement, nowMs);
        batches++;
        open.push(...scheduler.step(nowMs).open);
      }
      scheduler.connectionClosed(name, nowMs);
      open.push(...scheduler.step(nowMs).open);
    }
    return ((performance.now() - start) * 1000) / batches;
  };
  const deferUs = cycle('deferred');
  const usedWaiting = usedBytes() - before;
  nowMs += settings.retryRecipientsAfterMs;
  const wakeStart = performance.now();
  for (let wakeAtMs = nowMs; wakeAtMs <= nowMs; ) {
    const step = scheduler.step(nowMs);
    open.push(...step.open);
    wakeAtMs = step.wakeAtMs;
  }
  const wakeUs = ((performance.now() - wakeStart) * 1000) / recipients;
  const deliverUs = cycle('delivered');

  console.log(
    [
      `${messages} messages x ${recipientsPerMessage} recipients in ${queues} queues`,
      `tables ${(tableBytes / recipients).toFixed(0)} B/recipient`,
      `heap and tables ${(used / recipients).toFixed(0)} B/recipient (${(usedWaiting / recipients).toFixed(0)} all deferred)`,
      `add ${addUs.toFixed(2)} us/message`,
      `take+settle+step: deferred ${deferUs.toFixed(2)}, delivered ${deliverUs.toFixed(2)} us/batch`,
      `wake ${wakeUs.toFixed(2)} us/recipient`,
      `left ${scheduler.counts().recipients}`,
    ].join('\n  '),
  );
}

run(100_000, 100, 1); // warm-up
run(1_000_000, 1_000, 1);
run(1_000_000, 1, 1);
run(1_000_000, 100_000, 1);
run(100_000, 100_000, 1);
run(10_000, 10, 100);
