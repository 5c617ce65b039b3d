import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { dkimSigners } from '../../simulation/dkimSigners.ts';
import { ReceiverJudge } from '../../simulation/receiverJudge.ts';
import { configurationOf } from '../configuration.ts';
import { demoConfigText, usualPlaces } from './demoConfig.ts';
import { demoContent, demoMessages } from './demoMail.ts';
import { type Destination, destinations, type Stream, streams } from './scene.ts';

test('the configuration has nothing to object to, and is no open relay', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-demo-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'demo.conf');
  await writeFile(file, demoConfigText(usualPlaces));
  const { config, findings, proof } = await configurationOf(file);
  expect(findings).toEqual([]);
  expect(proof[0]).toContain('closed');
  expect(config!.listeners.map(({ port }) => port)).toEqual([2525, 2526, 2527]);
});

test('messages are the same for a seed, go everywhere, and each has a recipient of its own', () => {
  const messages = demoMessages(1000, 1);
  expect(demoMessages(60, 1)).toEqual(messages.slice(0, 60));
  expect(demoMessages(60, 2)).not.toEqual(messages.slice(0, 60));
  expect(new Set(messages.map(({ to }) => to)).size).toBe(1000);
  for (const { jobs, weight } of streams) {
    const own = messages.filter(({ job }) => jobs.includes(job));
    expect(own.length / 10).toBeGreaterThan(weight - 5);
    expect(own.length / 10).toBeLessThan(weight + 5);
  }
});

test('a message carries the signing domain and the job where receivers and routing look for them', () => {
  const [message] = demoMessages(1, 1);
  const content = demoContent(message!, 0);
  expect(dkimSigners([content])).toEqual([message!.job.signer]);
  expect(new TextDecoder().decode(content)).toContain(`\r\nX-Job: ${message!.job.name}\r\n`);
});

/** The chance of at least `k` of `n` where `total` of `all` are marked (hypergeometric). */
function chanceOfAsMany(k: number, n: number, total: number, all: number): number {
  const logFactorials = [0];
  for (let i = 1; i <= all; i++) logFactorials.push(logFactorials[i - 1]! + Math.log(i));
  const choose = (a: number, b: number) => logFactorials[a]! - logFactorials[b]! - logFactorials[a - b]!;
  let chance = 0;
  for (let i = k; i <= Math.min(n, total); i++) {
    if (n - i <= all - total)
      chance += Math.exp(choose(total, i) + choose(all - total, n - i) - choose(all, n));
  }
  return chance;
}

interface Mark {
  readonly client: string;
  readonly isDeferred: boolean;
}

/** What the addresses of a pool meet at one ISP, one message a second. */
function marksAt({ isp, policy }: Destination, { addresses, pool }: Stream, seed: number): readonly Mark[] {
  const judge = new ReceiverJudge({ ...policy, greylistMs: 0 }, isp.replies, seed);
  const own = demoMessages(1000, seed).filter(
    ({ stream, to }) => stream.pool === pool && to.endsWith(`@${isp.domain}`),
  );
  return own.map(({ to, job }, i) => {
    const client = addresses[i % addresses.length]!;
    const reply =
      judge.mail(client, 0, 1000 * i) ??
      judge.rcpt(client, '', to, 1000 * i) ??
      judge.content(client, [to], [job.signer]);
    return { client, isDeferred: reply !== undefined && reply.code < 500 };
  });
}

const deferred = (marks: readonly Mark[]): number => marks.filter(({ isDeferred }) => isDeferred).length;

test.each([
  1, 2, 3, 4, 5,
])('with seed %i one sending address stands out from its pool, at each ISP', (seed) => {
  const stream = streams.find(({ pool }) => pool === 'marketing-pool')!;
  const marks = destinations.map((destination) => marksAt(destination, stream, seed));
  for (const here of marks) {
    const rates = stream.addresses.map((address) => {
      const at = here.filter(({ client }) => client === address);
      return deferred(at) / at.length;
    });
    const [before, bad, behind] = rates as [number, number, number];
    expect(bad).toBeGreaterThan(2 * Math.max(before, behind));
  }
  const all = marks.flat();
  const chances = stream.addresses.map((address) => {
    const at = all.filter(({ client }) => client === address);
    return chanceOfAsMany(deferred(at), at.length, deferred(all), all.length);
  });
  expect(chances.map((chance) => chance < 1e-9)).toEqual([false, true, false]);
});
