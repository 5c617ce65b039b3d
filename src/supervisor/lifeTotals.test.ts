import { expect, test } from 'vitest';
import type { EngineReport } from '../engine/engine.ts';
import { asLeft, carriedOn } from './lifeTotals.ts';

const life = (n: number): EngineReport => ({
  listeners: [{ connections: n, acceptedTotal: n, refusedTotal: n, messagesTotal: n }],
  messages: n,
  recipients: n,
  held: n,
  queues: n,
  outgoingConnections: n,
  outcomes: { deliveredTotal: n, failedTotal: n, deferredTotal: n },
  unsyncedOutcomes: n,
  unsyncedForMs: 0,
  isFull: false,
  segments: n,
  pauseRules: [],
});

test('totals go on over the lives of an engine, states are those of the present one', () => {
  const third = carriedOn(carriedOn(carriedOn(undefined, life(1)), life(10)), life(100));
  expect(third).toEqual({
    ...life(100),
    listeners: [{ connections: 100, acceptedTotal: 111, refusedTotal: 111, messagesTotal: 111 }],
    outcomes: { deliveredTotal: 111, failedTotal: 111, deferredTotal: 111 },
  });
});

test('the connections of an engine end with it, what it holds on disk does not', () => {
  const left = asLeft(life(5));
  expect(left).toMatchObject({ outgoingConnections: 0, listeners: [{ connections: 0, acceptedTotal: 5 }] });
  expect(left).toMatchObject({ messages: 5, recipients: 5, queues: 5, segments: 5 });
});
