import { expect, test } from 'vitest';
import { domainDefaults } from '../config/config.ts';
import { wholeShare } from './limitShares.ts';
import type { QueueSettings } from './queue.ts';
import { Scheduler } from './scheduler.ts';

const name = 'a.example/v';

function schedulerWith(settings: Partial<QueueSettings> = {}): Scheduler {
  return new Scheduler({
    settingsFor: () => ({ ...domainDefaults, ...settings }),
    vmtaFor: () => ({
      sourceAddresses: ['192.0.2.1', '192.0.2.2'],
      maxSmtpOut: 0,
      maxSmtpMsgRate: undefined,
      maxSmtpDataVolumeRate: undefined,
    }),
    connectionLeases: wholeShare(100),
  });
}

function withMail(scheduler: Scheduler): Scheduler {
  const recipients = [{ index: 0, domain: 'a.example', attempts: 0, nextTryInMs: 0 }];
  const location = { segment: 1, recordAt: 0, recordBytes: 1 };
  scheduler.add({ id: { epoch: 1, sequence: 1 }, location, vmta: 'v', ageMs: 0, recipients }, 0);
  return scheduler;
}

test('every change of a mode, its end or a disabled address is told once', () => {
  const scheduler = withMail(schedulerWith());
  const changes = (nowMs: number): readonly string[] => scheduler.step(nowMs).changedModes;
  expect(changes(0)).toEqual([]);
  scheduler.setMode(name, 'backoff', 1);
  scheduler.setMode(name, 'backoff', 1, 50);
  scheduler.disableSource(name, '192.0.2.1', 20, 1);
  expect(changes(1)).toEqual([name]);
  expect(changes(2)).toEqual([]);
  expect(scheduler.modes.state(name, 11)).toEqual({
    mode: 'backoff',
    ageMs: 10,
    endsInMs: 40,
    disabled: [{ address: '192.0.2.1', enabledInMs: 9 }],
  });
  expect(changes(20)).toEqual([name]);
  expect(changes(51)).toEqual([name]);
  expect(scheduler.modes.state(name, 51)).toMatchObject({ mode: 'normal', ageMs: 0, disabled: [] });
  scheduler.disableSource(name, '192.0.2.2', undefined, 52);
  scheduler.step(52);
  scheduler.enableSource(name, undefined, 53);
  expect(changes(53)).toEqual([name]);
});

const stood = {
  mode: 'backoff' as const,
  ageMs: 30,
  endsInMs: 70,
  disabled: [{ address: '192.0.2.1', enabledInMs: Number.POSITIVE_INFINITY }],
};

test('what is restored is as it stood, and ends when it would have ended', () => {
  const scheduler = withMail(schedulerWith());
  scheduler.modes.restore(name, stood, 100);
  expect(scheduler.modes.state(name, 100)).toEqual(stood);
  expect(scheduler.step(169).modes).toEqual([]);
  expect(scheduler.step(170).modes).toEqual([{ queue: name, mode: 'normal', cause: 'time' }]);
  expect(scheduler.why(name, 170).map(({ limit }) => limit)).toEqual(['disable-source-ip']);
});

test('a queue without mail is remembered as it stood, for the mail that comes', () => {
  const scheduler = schedulerWith();
  scheduler.modes.restore(name, stood, 0);
  expect(scheduler.counts().queues).toBe(0);
  withMail(scheduler);
  expect(scheduler.modes.state(name, 0)).toEqual(stood);
});

test('what has ended meanwhile is not restored, and told so that it may be forgotten', () => {
  const scheduler = withMail(schedulerWith());
  const disabled = [{ address: '192.0.2.1', enabledInMs: 0 }];
  scheduler.modes.restore(name, { ...stood, endsInMs: -1, disabled }, 5);
  expect(scheduler.modes.state(name, 5)).toMatchObject({ mode: 'normal', disabled: [] });
  expect(scheduler.step(5).changedModes).toEqual([name]);
});
