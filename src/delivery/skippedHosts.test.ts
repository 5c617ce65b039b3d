import { expect, test } from 'vitest';
import { SkippedHosts } from './skippedHosts.ts';

const cause = { status: '4.0.0', diagnostic: '554 elsewhere' };
const skip = { untilMs: 100, cause };

test('a host is passed over by its queue alone, for its time, or until the queue has failed', () => {
  const skipped = new SkippedHosts();
  skipped.skip('a.example/v', '192.0.2.1', skip);
  expect(skipped.of('a.example/v', '192.0.2.1', 99)).toEqual(skip);
  expect(skipped.of('a.example/v', '192.0.2.1', 100)).toBeUndefined();
  expect(skipped.of('a.example/v', '192.0.2.2', 99)).toBeUndefined();
  expect(skipped.of('b.example/v', '192.0.2.1', 99)).toBeUndefined();
  skipped.forget('a.example/v');
  expect(skipped.of('a.example/v', '192.0.2.1', 99)).toBeUndefined();
});

test('no more than a bounded number of queues is remembered', () => {
  const skipped = new SkippedHosts();
  skipped.skip('first.example/v', '192.0.2.1', skip);
  for (let i = 0; i < 10_000; i++) skipped.skip(`d${i}.example/v`, '192.0.2.1', skip);
  expect(skipped.of('first.example/v', '192.0.2.1', 0)).toBeUndefined();
  expect(skipped.of('d9999.example/v', '192.0.2.1', 0)).toEqual(skip);
});
