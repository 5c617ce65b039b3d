import { beforeEach, expect, test } from 'vitest';
import type { Clock, Log } from '../base/ports.ts';
import { domainDefaults, type ReplyActions } from '../config/config.ts';
import type { EffectiveDomainSettings } from '../config/domainSettings.ts';
import { ReplyReactions } from './replyReactions.ts';

const queue = 'r.test/v';
const cause = { status: '4.7.1', diagnostic: '451 4.7.1 slow' };
const origin = { file: '/etc/config', line: 7, column: 1, text: '' };
const remote = { host: 'mx.r.test', address: '192.0.2.9', dlvSourceIp: '192.0.2.1', esmtpAvailable: '' };
let told: string[];
let settings: Partial<typeof domainDefaults>;
let nowMs: number;
let reactions: ReplyReactions;

beforeEach(() => {
  told = [];
  settings = {};
  nowMs = 1000;
  reactions = new ReplyReactions({
    clock: { monotonicMs: () => nowMs } as Clock,
    log: {
      write: (_level, event, fields) => void told.push(`${event} ${fields?.rules ?? ''}`.trim()),
    } as Log,
    scheduler: {
      setMode: (name, mode, _nowMs, afterMs) => {
        told.push(`${name} ${mode} ${afterMs ?? 'as configured'}`);
        return true;
      },
      disableSource: (name, address, untilMs) => {
        told.push(`${name} without ${address} until ${untilMs ?? 'enabled'}`);
        return true;
      },
    },
    settingsFor: () =>
      Object.fromEntries(
        Object.entries({ ...domainDefaults, ...settings }).map(([key, value]) => [key, { value }]),
      ) as unknown as EffectiveDomainSettings,
    notices: { sourceDisabled: (_queue, address) => void told.push(`told of ${address}`) },
    failQueue: (name, { diagnostic }) => void told.push(`${name} waits: ${diagnostic}`),
    bounceQueue: (name, { status, diagnostic }) => void told.push(`${name} bounces: ${status} ${diagnostic}`),
  });
});

const judge = (actions: ReplyActions, localAddress: string | undefined = '192.0.2.1'): readonly string[] => {
  const judgement = { actions, rules: [{ expression: 'slow', actions, origin }] };
  reactions.judged({ queue, localAddress, remote }, { ...cause, judgement });
  return told.filter((line) => !line.startsWith('delivery.judged'));
};

test('the mode comes before the wait, whose length it decides', () => {
  expect(judge({ deferQueue: true, mode: 'backoff', backoffToNormalAfterMs: 60_000 })).toEqual([
    'r.test/v backoff 60000',
    'r.test/v waits: 451 4.7.1 slow',
  ]);
});

test('a local address is disabled for the time of the rule, of the queue, or until it is enabled', () => {
  judge({ disableSourceIp: true, reenableAfterMs: 5 });
  judge({ disableSourceIp: true });
  settings = { reenableSourceIpAfterMs: 7 };
  expect(judge({ disableSourceIp: true }).filter((line) => line.includes('without'))).toEqual([
    'r.test/v without 192.0.2.1 until 1005',
    'r.test/v without 192.0.2.1 until enabled',
    'r.test/v without 192.0.2.1 until 1007',
  ]);
});

test('an address that the system chooses cannot be disabled, and that is said', () => {
  const judgement = { actions: { disableSourceIp: true as const }, rules: [] };
  reactions.judged({ queue, localAddress: undefined, remote }, { ...cause, judgement });
  expect(told.at(-1)).toBe('delivery.noSourceToDisable');
});

test('bounce-queue fails with the reply and the reason', () => {
  expect(judge({ bounceQueue: true })).toEqual([
    'r.test/v bounces: 5.7.1 451 4.7.1 slow;x-pmta;bounce-queue',
  ]);
});

test('every judgement names the lines that led to it', () => {
  judge({ bounceRcpt: true });
  expect(told).toEqual(['delivery.judged /etc/config:7 /slow/']);
});

test('a skipped host is passed over until the queue has failed; with all of them skipped it fails', () => {
  const one = { host: 'mx1.test', address: '192.0.2.10', port: 25 };
  const two = { host: 'mx2.test', address: '192.0.2.11', port: 25 };
  expect(reactions.usable(queue, [one, two])).toEqual({ endpoints: [one, two], cause: undefined });
  reactions.mxSkipped(queue, one, cause);
  expect(reactions.usable(queue, [one, two])).toEqual({ endpoints: [two], cause: undefined });
  expect(reactions.usable('r.test/other', [one]).endpoints).toEqual([one]);
  reactions.mxSkipped(queue, two, cause);
  expect(reactions.usable(queue, [one, two])).toEqual({ endpoints: [], cause });
  reactions.queueFailed(queue);
  expect(reactions.usable(queue, [one, two]).endpoints).toEqual([one, two]);
  reactions.mxSkipped(queue, one, cause);
  nowMs += domainDefaults.retryAfterMs[0]!;
  expect(reactions.usable(queue, [one]).endpoints).toEqual([one]);
});
