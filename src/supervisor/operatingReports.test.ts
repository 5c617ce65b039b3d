import { expect, test } from 'vitest';
import { readEmbeddedConfig } from '../config/readConfig.ts';
import type { EngineStateReport } from '../control/reports.ts';
import type { QueueListing, QueueState } from '../engine/operations.ts';
import type { QueueName } from '../message/names.ts';
import { intervalText, queueListReport, settingReports } from './operatingReports.ts';

const config = readEmbeddedConfig('host.test').config!;
const state: EngineStateReport = {
  name: 'engine-1',
  state: 'running',
  pid: 7,
  sinceMs: 0,
  waitsFor: undefined,
  restartInMs: undefined,
  deaths: 0,
  diedOf: undefined,
  reportedMs: 0,
};
const empty = {
  mode: 'normal' as const,
  ready: 0,
  waiting: 0,
  inDelivery: 0,
  isPaused: false,
  pausedBy: '',
  connections: 1,
  recipients: 0,
  retryStep: 0,
  retryInMs: 0,
  lastError: '',
};
const listing = (...queues: Partial<QueueState>[]): QueueListing => ({
  queuesTotal: queues.length,
  recipientsTotal: 1,
  queues: queues.map((queue) => ({ ...empty, name: 'a.test/v' as QueueName, ...queue })),
  pauseRules: [],
});
const selection = { sort: 'rcpt', queuesMax: 2 } as const;

test('queues of several engines are one list, cut to what was asked for', () => {
  const engines = [
    { state, answer: listing({ recipients: 3 }, { recipients: 1, retryInMs: 5000 }) },
    { state: { ...state, name: 'engine-2' }, answer: listing({ recipients: 2 }) },
  ];
  const report = queueListReport(config, engines, selection, 1000);
  expect(report).toMatchObject({ total: 3, totalRecipients: 2 });
  expect(report.queues.map(({ engine, recipients }) => [engine, recipients])).toEqual([
    ['engine-1', 3],
    ['engine-2', 2],
  ]);
});

test('the end of a wait is told in wall time', () => {
  const answer = listing({ retryInMs: 5000 }, {});
  const { queues } = queueListReport(config, [{ state, answer }], selection, 1000);
  expect(queues.map(({ nextTryMs }) => nextTryMs)).toEqual([6000, undefined]);
});

test('an engine without an answer is named beside the queues of the others', () => {
  const silent = { ...state, name: 'engine-2', state: 'restarting' as const };
  const engines = [
    { state, answer: listing({}) },
    { state: silent, answer: undefined },
  ];
  const report = queueListReport(config, engines, selection, 0);
  expect(report.queues).toHaveLength(1);
  expect(report.unanswered).toEqual([silent]);
});

test('each setting of a queue names its line, or that it is a default', () => {
  const settings = settingReports(config, 'gmail.test/mta1');
  const whereOf = (name: string) => settings.find(({ directive }) => directive === name)?.where;
  expect(whereOf('bounce-after')).toMatch(/^(default|embedded default:\d+)$/);
  expect(settings.map(({ where }) => where)).toContain('default');
  expect(settings.every(({ value }) => value !== '' && !value.includes('undefined'))).toBe(true);
});

test.each([
  [5_400_000, '1h30m'],
  [250, '250ms'],
  [388_800_000, '4d12h'],
])('%d ms is written %s', (ms, text) => {
  expect(intervalText(ms)).toBe(text);
});
