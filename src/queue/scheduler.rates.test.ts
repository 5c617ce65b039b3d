import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { wholeShare } from './limitShares.ts';
import type { QueueSettings } from './queue.ts';
import type { Batch, QueueConnection, Settlement } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import { plainVmta, type VmtaSettings } from './sendingVmta.ts';

const usual: QueueSettings = {
  ...domainDefaults,
  maxSmtpOut: 5,
  retryAfterMs: [1_000, 3_000],
  backoffRetryAfterMs: [7_000],
  retryRecipientsAfterMs: 50_000,
  retryAfterDnsErrorMs: 200,
  bounceAfterMs: 1e9,
};
const a = queueName('a.example', 'v');

class Harness {
  readonly scheduler: Scheduler;
  #sequence = 0;

  constructor(settings: Partial<QueueSettings>, vmta: Partial<VmtaSettings> = {}, total = 1_000) {
    this.scheduler = new Scheduler({
      settingsFor: () => ({ ...usual, ...settings }),
      vmtaFor: () => ({ ...plainVmta, ...vmta }),
      connectionLeases: wholeShare(total),
    });
  }

  add(domain: string, nowMs: number, recipients = 1, sizeBytes = 1_000): void {
    const sequence = this.#sequence++;
    this.scheduler.add(
      {
        id: { epoch: 1, sequence },
        location: { segment: 1, recordAt: sequence, recordBytes: 1 },
        sizeBytes,
        vmta: 'v',
        ageMs: 0,
        recipients: Array.from({ length: recipients }, (_, index) => ({
          index,
          domain: `${domain}.example`,
          attempts: 0,
          nextTryInMs: 0,
        })),
      },
      nowMs,
    );
  }

  /** Steps, and opens what it asks for. */
  connect(nowMs: number): readonly QueueConnection[] {
    const { open } = this.scheduler.step(nowMs);
    for (const one of open) this.scheduler.connectionOpened(one, nowMs);
    return open;
  }

  take(at: QueueConnection, nowMs: number): Batch {
    const batch = this.scheduler.take(at, nowMs);
    if (typeof batch === 'string') throw new Error(`expected a batch, was told to ${batch}`);
    return batch;
  }

  settle(batch: Batch, settlement: Settlement, nowMs: number): void {
    for (const index of batch.recipientIndexes) this.scheduler.settle(batch, index, settlement, nowMs);
  }

  why(name: QueueName, nowMs: number): readonly string[] {
    return this.scheduler.why(name, nowMs).map(({ limit }) => limit);
  }

  /** Opens, takes and delivers whatever may be until that time, at once; when what went out. */
  run(untilMs: number): { atMs: number; at: QueueConnection; recipients: number }[] {
    const out: { atMs: number; at: QueueConnection; recipients: number }[] = [];
    const idle: QueueConnection[] = [];
    for (let nowMs = 0; nowMs <= untilMs; ) {
      const { open, offer, close, wakeAtMs } = this.scheduler.step(nowMs);
      for (const one of open) this.scheduler.connectionOpened(one, nowMs);
      for (const one of close) this.scheduler.connectionClosed(one, nowMs);
      for (const at of [...open, ...offer]) {
        const batch = this.scheduler.take(at, nowMs);
        if (batch === 'close') this.scheduler.connectionClosed(at, nowMs);
        else idle.push(at);
        if (typeof batch === 'string') continue;
        out.push({ atMs: nowMs, at, recipients: batch.recipientIndexes.length });
        this.settle(batch, 'delivered', nowMs);
      }
      if (open.length + offer.length + close.length === 0) nowMs = wakeAtMs;
    }
    return out;
  }
}

const atA = { queue: a, sourceHost: 0 };

test('max-msg-rate: so many recipients in any window, and the queue wakes when there is room', () => {
  const h = new Harness({ maxMsgRate: { count: 3, perMs: 1_000 } });
  for (let i = 0; i < 10; i++) h.add('a', 0);
  const out = h.run(2_500).map(({ atMs }) => atMs);
  expect(out).toEqual([0, 0, 0, 1_001, 1_001, 1_001, 2_002, 2_002, 2_002]);
});

test('only so many connections are opened as the rate has room for', () => {
  const h = new Harness({ maxMsgRate: { count: 2, perMs: 60_000 } });
  for (let i = 0; i < 10; i++) h.add('a', 0);
  expect(h.scheduler.step(0).open).toEqual([atA, atA]);
  expect(h.why(a, 0)).toEqual([]);
});

test('a message with more recipients than there is room for goes out in parts', () => {
  const h = new Harness({ maxMsgRate: { count: 3, perMs: 1_000 } });
  h.add('a', 0, 5);
  expect(h.run(1_500).map(({ atMs, recipients }) => [atMs, recipients])).toEqual([
    [0, 3],
    [1_001, 2],
  ]);
});

test('what takes long counts from when the remote has certainly heard of it', () => {
  const h = new Harness({ maxMsgRate: { count: 1, perMs: 1_000 } });
  h.add('a', 0);
  h.add('a', 0);
  h.connect(0);
  const batch = h.take(atA, 0);
  expect(h.scheduler.take(atA, 900)).toBe('wait');
  expect(h.scheduler.why(a, 900)).toEqual([
    {
      limit: 'max-msg-rate',
      scope: 'queue',
      value: { count: 1, perMs: 1_000 },
      untilMs: Number.POSITIVE_INFINITY,
    },
  ]);
  h.scheduler.contentBegins(batch, 1_000, 5_000);
  expect(h.scheduler.step(5_500)).toMatchObject({ open: [], wakeAtMs: 6_001 });
  expect(h.scheduler.step(6_001).open).toEqual([atA]);
  h.settle(batch, 'delivered', 90_000);
  expect(h.why(a, 90_000)).toEqual([]);
});

test('what was not attempted does not count; what the remote may have heard of does', () => {
  for (const [settlement, offers] of [
    ['returned', 1],
    ['unheard', 0],
  ] as const) {
    const h = new Harness({ maxMsgRate: { count: 1, perMs: 1_000 } });
    h.add('a', 0);
    h.connect(0);
    h.settle(h.take(atA, 0), settlement, 10);
    expect(h.scheduler.step(10).offer).toHaveLength(offers);
  }
});

test('max-connect-rate counts connections, whatever becomes of them, and other remotes tried for one', () => {
  const h = new Harness({ maxConnectRate: { count: 2, perMs: 1_000 } });
  for (let i = 0; i < 9; i++) h.add('a', 0);
  expect(h.scheduler.step(0).open).toHaveLength(2);
  expect(h.scheduler.connectAgain(atA, 10)).toBe(false);
  h.scheduler.connectionAbandoned(atA, 20);
  h.scheduler.connectionAbandoned(atA, 30);
  // Both are of one slice, which leaves as a whole.
  expect(h.scheduler.step(40)).toMatchObject({ open: [], wakeAtMs: 1_031 });
  expect(h.scheduler.step(1_031).open).toHaveLength(2);
  expect(h.why(a, 1_031)).toEqual(['max-connect-rate']);
});

test('another remote may be tried while max-connect-rate has room', () => {
  const h = new Harness({ maxConnectRate: { count: 2, perMs: 1_000 } });
  h.add('a', 0);
  h.scheduler.step(0);
  expect(h.scheduler.connectAgain(atA, 10)).toBe(true);
  expect(h.scheduler.connectAgain(atA, 20)).toBe(false);
});

test('smtp-out-rampup-interval lies between two connections', () => {
  const h = new Harness({ smtpOutRampupIntervalMs: 500 });
  for (let i = 0; i < 9; i++) h.add('a', 0);
  expect(h.scheduler.step(0)).toMatchObject({ open: [atA], wakeAtMs: 500 });
  expect(h.scheduler.step(499).open).toEqual([]);
  expect(h.scheduler.step(500).open).toEqual([atA]);
  expect(h.why(a, 500)).toEqual(['smtp-out-rampup-interval']);
});

test('max-data-volume-rate counts what was delivered, once a message', () => {
  const h = new Harness({ maxDataVolumeRate: { count: 2_500, perMs: 1_000 } });
  h.add('a', 0, 3, 1_000);
  h.add('a', 0, 1, 1_000);
  h.add('a', 0, 1, 1_000);
  const [at] = h.connect(0);
  const first = h.take(at!, 0);
  h.settle(first, 'delivered', 0);
  h.settle(h.take(at!, 0), 'failed', 0);
  h.take(at!, 0);
  h.add('a', 0, 1, 1_000);
  expect(h.scheduler.take(at!, 0)).toBe('wait');
  expect(h.why(a, 0)).toEqual(['max-data-volume-rate']);
});

test('a message larger than the data rate goes alone', () => {
  const h = new Harness({ maxDataVolumeRate: { count: 2_500, perMs: 1_000 } });
  h.add('a', 0, 1, 100);
  h.add('a', 0, 1, 9_000);
  h.add('a', 0, 1, 100);
  expect(h.run(3_000).map(({ atMs }) => atMs)).toEqual([0, 1_001, 2_002]);
});

test('an emptied queue is remembered until its window has run out', () => {
  const h = new Harness({ maxMsgRate: { count: 1, perMs: 60_000 } });
  const send = (nowMs: number): number => {
    h.add('a', nowMs);
    const open = h.connect(nowMs);
    for (const at of open) {
      h.settle(h.take(at, nowMs), 'delivered', nowMs);
      h.scheduler.connectionClosed(at, nowMs);
    }
    return open.length;
  };
  expect(send(0)).toBe(1);
  expect(h.scheduler.counts().queues).toBe(0);
  expect(send(30_000)).toBe(0);
  expect(h.scheduler.step(60_000)).toMatchObject({ open: [], wakeAtMs: 60_001 });
});

// Backoff

const slow: Partial<QueueSettings> = {
  maxMsgRate: { count: 5, perMs: 1_000 },
  backoffMaxMsgRate: { count: 1, perMs: 1_000 },
  backoffMaxSmtpOut: 2,
};

test('in backoff mode its own rates, connections and waits hold, and the normal ones as well', () => {
  const h = new Harness(slow);
  h.add('a', 0);
  h.connect(0);
  expect(h.scheduler.setMode(a, 'backoff', 0)).toBe(true);
  h.settle(h.take(atA, 0), 'delivered', 0);
  for (let i = 0; i < 20; i++) h.add('a', 0);
  expect(h.scheduler.step(0).modes).toEqual([{ queue: a, mode: 'backoff', cause: 'asked' }]);
  expect(h.scheduler.queueFailed(a, 0).retryInMs).toBe(7_000);
  expect(h.why(a, 0)).toEqual(['backoff-retry-after', 'mode=backoff', 'backoff-max-msg-rate']);
});

test('connections above backoff-max-smtp-out close as they ask for mail', () => {
  const h = new Harness({ ...slow, maxMsgRate: undefined, backoffMaxMsgRate: 'normal' });
  for (let i = 0; i < 20; i++) h.add('a', 0);
  h.connect(0);
  h.scheduler.setMode(a, 'backoff', 0);
  for (let i = 0; i < 3; i++) {
    expect(h.scheduler.take(atA, 0)).toBe('close');
    h.scheduler.connectionClosed(atA, 0);
  }
  h.take(atA, 0);
});

test('backoff ends after backoff-to-normal-after, a value told with it wins', () => {
  const h = new Harness({ ...slow, backoffToNormalAfterMs: 400 });
  h.add('a', 0);
  h.scheduler.step(0);
  h.scheduler.connectionAbandoned(atA, 0);
  h.scheduler.queueFailed(a, 0);
  h.scheduler.setMode(a, 'backoff', 0);
  h.scheduler.setMode(a, 'backoff', 100);
  expect(h.scheduler.step(100).wakeAtMs).toBe(400);
  h.scheduler.setMode(a, 'backoff', 100, 50);
  expect(h.scheduler.step(149).modes).toEqual([]);
  expect(h.scheduler.step(150).modes).toEqual([{ queue: a, mode: 'normal', cause: 'time' }]);
});

test('a delivery of a batch taken in backoff mode ends it; one that was under way before does not', () => {
  const h = new Harness({ backoffToNormalAfterDelivery: true });
  h.add('a', 0);
  h.add('a', 0);
  h.connect(0);
  const before = h.take(atA, 0);
  h.scheduler.setMode(a, 'backoff', 0);
  h.scheduler.step(0);
  h.settle(before, 'delivered', 1);
  expect(h.scheduler.step(1).modes).toEqual([]);
  h.settle(h.take(atA, 2), 'delivered', 2);
  expect(h.scheduler.step(2).modes).toEqual([{ queue: a, mode: 'normal', cause: 'delivery' }]);
});

test('going in and out of backoff gives no room anew', () => {
  const h = new Harness({
    maxMsgRate: { count: 2, perMs: 1_000 },
    backoffMaxMsgRate: { count: 1, perMs: 1_000 },
  });
  for (let i = 0; i < 9; i++) h.add('a', 0);
  h.connect(0);
  h.take(atA, 0);
  h.scheduler.setMode(a, 'backoff', 0);
  h.take(atA, 0);
  h.scheduler.setMode(a, 'normal', 0);
  expect(h.scheduler.take(atA, 0)).toBe('wait');
  h.scheduler.setMode(a, 'backoff', 0);
  expect(h.scheduler.take(atA, 0)).toBe('wait');
});

test('backoff mode outlives the last mail of the queue', () => {
  const h = new Harness({ backoffToNormalAfterMs: 10_000 });
  h.add('a', 0);
  const [at] = h.connect(0);
  h.scheduler.setMode(a, 'backoff', 0);
  h.settle(h.take(at!, 0), 'delivered', 0);
  h.scheduler.connectionClosed(at!, 0);
  h.scheduler.step(0);
  expect(h.scheduler.counts().queues).toBe(0);
  h.add('a', 5_000);
  expect([...h.scheduler.queues(5_000)]).toMatchObject([{ mode: 'backoff' }]);
  expect(h.scheduler.step(10_000).modes).toEqual([{ queue: a, mode: 'normal', cause: 'time' }]);
});

// The retry clock

test('a wait for DNS is retry-after-dns-error, takes no step, and gives way to a failure of a remote', () => {
  const h = new Harness({});
  h.add('a', 0);
  expect(h.scheduler.queueFailed(a, 0, 'dns')).toEqual({ retryStep: 0, retryInMs: 200 });
  expect(h.scheduler.queueFailed(a, 50, 'dns')).toEqual({ retryStep: 0, retryInMs: 150 });
  expect(h.scheduler.queueFailed(a, 100)).toEqual({ retryStep: 1, retryInMs: 1_000 });
  expect(h.scheduler.queueFailed(a, 150, 'dns')).toEqual({ retryStep: 1, retryInMs: 950 });
  expect(h.scheduler.step(150).wakeAtMs).toBe(1_100);
});

test('a wait for DNS is told when it is over for good', () => {
  const h = new Harness({});
  h.add('a', 0);
  h.scheduler.queueFailed(a, 0, 'dns');
  expect(h.scheduler.step(0).retryClocks).toEqual([{ queue: a, retryStep: 0, retryInMs: 200 }]);
  h.connect(200);
  h.settle(h.take(atA, 200), 'delivered', 200);
  expect(h.scheduler.step(200).retryClocks).toEqual([{ queue: a, retryStep: 0, retryInMs: 0 }]);
});

test('retry-upon-new-mail: mail that comes ends the wait, not the count of failures', () => {
  const h = new Harness({ retryUponNewMail: true });
  h.add('a', 0);
  h.scheduler.queueFailed(a, 0);
  expect(h.scheduler.step(10).open).toEqual([]);
  h.add('a', 20);
  expect(h.scheduler.step(20)).toMatchObject({
    open: [atA, atA],
    retryClocks: [{ retryStep: 1, retryInMs: 0 }],
  });
  expect(h.scheduler.queueFailed(a, 30)).toEqual({ retryStep: 2, retryInMs: 3_000 });
});

// Virtual MTAs

test('max-smtp-out of a virtual MTA holds over all of its queues, and a freed slot goes to who has none', () => {
  const h = new Harness({}, { maxSmtpOut: 2 });
  for (let i = 0; i < 5; i++) h.add('a', 0);
  expect(h.connect(0)).toEqual([atA, atA]);
  h.add('b', 0);
  expect(h.scheduler.step(0).open).toEqual([]);
  expect(h.scheduler.why(queueName('b.example', 'v'), 0)).toEqual([
    { limit: 'max-smtp-out', scope: 'virtual-mta', value: 2 },
  ]);
  h.scheduler.connectionClosed(atA, 5);
  expect(h.scheduler.step(5).open).toEqual([{ queue: 'b.example/v', sourceHost: 0 }]);
});

test('an idle connection makes room for another queue of its virtual MTA', () => {
  const h = new Harness({}, { maxSmtpOut: 1 });
  h.add('a', 0);
  h.connect(0);
  h.settle(h.take(atA, 0), 'delivered', 0);
  h.add('b', 1);
  expect(h.scheduler.step(1)).toMatchObject({ open: [], close: [atA] });
  h.scheduler.connectionClosed(atA, 2);
  expect(h.scheduler.step(2).open).toHaveLength(1);
});

test('the rate of a virtual MTA is shared out in turn among its queues', () => {
  const h = new Harness({}, { maxSmtpMsgRate: { count: 6, perMs: 1_000 } });
  for (const domain of 'abcdef') for (let i = 0; i < 50; i++) h.add(domain, 0);
  const out = h.run(20_000);
  const shares = new Map<string, number>();
  for (const { at } of out) shares.set(at.queue, (shares.get(at.queue) ?? 0) + 1);
  expect(out.length).toBeGreaterThanOrEqual(115);
  expect(shares.size).toBe(6);
  expect(Math.max(...shares.values()) - Math.min(...shares.values())).toBeLessThanOrEqual(8);
});

test('a queue whose remote does not answer keeps the others of its virtual MTA waiting for a slice only', () => {
  const h = new Harness({}, { maxSmtpMsgRate: { count: 1, perMs: 60_000 } });
  h.add('a', 0);
  const [at] = h.connect(0);
  h.settle(h.take(at!, 0), 'delivered', 0);
  h.add('dead', 1);
  h.add('b', 2);
  const { wakeAtMs } = h.scheduler.step(2);
  expect(wakeAtMs).toBe(60_001);
  expect(h.scheduler.step(60_001).open).toMatchObject([{ queue: 'dead.example/v' }]);
  expect(h.why(queueName('b.example', 'v'), 60_001)).toEqual(['max-smtp-msg-rate']);
  const next = h.scheduler.step(60_001).wakeAtMs;
  expect(next).toBe(61_001);
  expect(h.scheduler.step(next).open).toMatchObject([{ queue: 'b.example/v' }]);
});

test('a hundred thousand queues that wait for a shared rate cost a step nothing', () => {
  const h = new Harness({}, { maxSmtpMsgRate: { count: 1, perMs: 1_000 } });
  h.add('a', 0);
  h.connect(0);
  h.take(atA, 0);
  for (let i = 0; i < 100_000; i++) h.add(`q${i}`, 0);
  let opened = 0;
  // Looking at every queue in every step would be a thousand million looks.
  for (let nowMs = 0; nowMs < 10_000; nowMs++) opened += h.scheduler.step(nowMs).open.length;
  expect(opened).toBe(0);
});

// Local addresses

const three = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
const everywhere = [{ address: '0.0.0.0', bits: 0 }];

test('connections of a virtual MTA come from its addresses in turn, over all of its queues', () => {
  const h = new Harness({}, { sourceAddresses: three });
  for (let i = 0; i < 2; i++) h.add('a', 0);
  for (let i = 0; i < 2; i++) h.add('b', 0);
  expect(h.scheduler.step(0).open.map(({ sourceHost }) => sourceHost)).toEqual([0, 1, 2, 0]);
});

test('source-ip-max-smtp-out: each address for itself, of all lines that match the tightest', () => {
  const h = new Harness(
    {
      maxSmtpOut: 9,
      sourceIpMaxSmtpOut: [
        { ranges: everywhere, value: 2 },
        { ranges: [{ address: '10.0.0.2', bits: 32 }], value: 1 },
        { ranges: [{ address: '10.0.0.3', bits: 32 }], value: 0 },
      ],
    },
    { sourceAddresses: three },
  );
  for (let i = 0; i < 9; i++) h.add('a', 0);
  const hosts = h.scheduler.step(0).open.map(({ sourceHost }) => sourceHost);
  expect(hosts.toSorted()).toEqual([0, 0, 1, 2, 2]);
  expect(h.scheduler.why(a, 0).map(({ limit, address }) => `${limit} ${address}`)).toEqual(
    three.map((address) => `source-ip-max-smtp-out ${address}`),
  );
});

test('source-ip-max-msg-rate: an address that has had its share rests, the others go on', () => {
  const h = new Harness(
    { maxSmtpOut: 9, sourceIpMaxMsgRate: [{ ranges: everywhere, value: { count: 2, perMs: 1_000 } }] },
    { sourceAddresses: three },
  );
  for (let i = 0; i < 30; i++) h.add('a', 0);
  const out = h.run(1_000).map(({ at }) => at.sourceHost);
  expect(out.toSorted()).toEqual([0, 0, 1, 1, 2, 2]);
});

test('a limit for some addresses does not hold for an address that the system chooses', () => {
  const lines = [{ ranges: [{ address: '10.0.0.0', bits: 8 }], value: 1 }];
  const h = new Harness({ sourceIpMaxSmtpOut: lines });
  for (let i = 0; i < 3; i++) h.add('a', 0);
  expect(h.scheduler.step(0).open).toHaveLength(3);
});

test('a disabled address is not used, its idle connections close, and it comes back by time or word', () => {
  const h = new Harness({}, { sourceAddresses: three });
  for (let i = 0; i < 3; i++) h.add('a', 0);
  const open = h.connect(0);
  expect(h.scheduler.disableSource(a, '10.0.0.2', 500, 0)).toBe(true);
  expect(h.scheduler.disableSource(a, '192.0.2.1', 500, 0)).toBe(false);
  const { close, offer, wakeAtMs } = h.scheduler.step(0);
  expect(close).toEqual([{ queue: a, sourceHost: 1 }]);
  expect(offer.map(({ sourceHost }) => sourceHost)).toEqual([0, 2]);
  expect(wakeAtMs).toBe(500);
  expect(h.scheduler.take(open[1]!, 0)).toBe('close');
  for (const one of open) h.scheduler.connectionClosed(one, 1);
  const again = h.scheduler.step(1).open.map(({ sourceHost }) => sourceHost);
  expect(again).not.toContain(1);
  for (let i = 0; i < 9; i++) h.add('a', 500);
  expect(h.scheduler.step(500).open.map(({ sourceHost }) => sourceHost)).toContain(1);
  h.scheduler.disableSource(a, '10.0.0.1', undefined, 500);
  expect(h.scheduler.enableSource(a, '10.0.0.1', 600)).toBe(true);
  expect(h.scheduler.enableSource(a, undefined, 600)).toBe(false);
});

test('without an address nothing starts, it is said once, and backoff mode may begin', () => {
  for (const backoffUponAllSourcesDisabled of [true, false]) {
    const h = new Harness({ backoffUponAllSourcesDisabled }, { sourceAddresses: three });
    h.add('a', 0);
    for (const address of three) h.scheduler.disableSource(a, address, 900, 0);
    const step = h.scheduler.step(0);
    expect(step).toMatchObject({ open: [], withoutSource: [a], wakeAtMs: 900 });
    expect(step.modes).toHaveLength(Number(backoffUponAllSourcesDisabled));
    expect(h.scheduler.step(0).withoutSource).toEqual([]);
    expect(h.scheduler.step(900).open).toHaveLength(1);
  }
});
