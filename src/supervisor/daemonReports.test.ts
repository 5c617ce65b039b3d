import { expect, test } from 'vitest';
import { readEmbeddedConfig } from '../config/readConfig.ts';
import type { EngineStateReport } from '../control/reports.ts';
import type { QueueState } from '../engine/engine.ts';
import type { QueueName } from '../message/names.ts';
import { queueListReport } from './daemonReports.ts';

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
  ready: 0,
  waiting: 0,
  inDelivery: 0,
  isPaused: false,
  connections: 1,
  recipients: 0,
  mode: 'normal' as const,
  retryStep: 0,
  retryInMs: 0,
  lastError: '',
};
const queues: readonly QueueState[] = [
  { ...empty, name: 'idle.test/v' as QueueName },
  { ...empty, name: 'held.test/v' as QueueName, recipients: 1, ready: 1 },
  { ...empty, name: 'down.test/v' as QueueName, retryInMs: 5000 },
];

test('a queue is listed while it holds mail or waits before its next try, any queue on request', () => {
  const list = (all: boolean) => queueListReport(config, [{ state, queues }], { all, nowMs: 1000 }).queues;
  expect(list(false).map(({ name, nextTryMs }) => [name, nextTryMs])).toEqual([
    ['held.test/v', undefined],
    ['down.test/v', 6000],
  ]);
  expect(list(true)).toHaveLength(3);
});

test('an engine without an answer is named beside the queues of the others', () => {
  const silent = { ...state, name: 'engine-2', state: 'restarting' as const };
  const engines = [
    { state, queues },
    { state: silent, queues: undefined },
  ];
  const report = queueListReport(config, engines, { all: true, nowMs: 0 });
  expect(report.queues).toHaveLength(3);
  expect(report.unanswered).toEqual([silent]);
});
