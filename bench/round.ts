/**
 * One round of one scenario, in a process of its own, so that each starts alike. It measures a peer, or the
 * checkout whose root it is started in (test/ledger/daemon.ts), tells its parent the figures and leaves nothing.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { temporaryFolder, whenEnding } from './ending.ts';
import type { LoadOptions, LoadReport } from './loadWorker.ts';
import { childPids, groupCpuUs } from './processTable.ts';
import type { RoundFigures, RoundOrder } from './scenarios.ts';
import { startServer } from './servers.ts';
import type { SinkOptions } from './sinkWorker.ts';

const warmUpSeconds = 1;
/** Outcomes are synced within 100 ms, and the recorder follows: that work belongs to the round. */
const settleMs = 250;
const drainMaxMs = 20_000;
/** Nobody listens on tcpmux. */
const closedPort = 1;

process.once('disconnect', () => process.exit(1));
// The parent may have gone while this file was read.
if (!process.connected) process.exit(1);
whenEnding(() => {
  // The server leads a group of its own, also while it still starts.
  for (const pid of childPids()) process.kill(-pid, 'SIGKILL');
});
// The site's folder will be in there.
process.env.TMPDIR = temporaryFolder().path;
const figures = await measure(JSON.parse(process.argv[2]!) as RoundOrder);
process.send!(figures, () => process.exit());

async function measure({ server: name, scenario, seconds, isChained }: RoundOrder): Promise<RoundFigures> {
  const sink = scenario.nextHop === 'sink' ? await startSink() : undefined;
  const server = await startServer[name](scenario, sink?.port ?? closedPort);
  const { connections, sizeBytes } = scenario;
  const load = new Worker(new URL('./benchLoadWorker.js', import.meta.url), {
    workerData: { port: server.port, connections, sizeBytes, isChained } satisfies LoadOptions,
  });
  await once(load, 'message');

  let messagesTotal = 0;
  const sendFor = async (sendSeconds: number): Promise<LoadReport> => {
    load.postMessage(sendSeconds);
    const [report] = (await once(load, 'message')) as [LoadReport];
    messagesTotal += report.messages;
    await sink?.hasTaken(messagesTotal);
    return report;
  };
  await sendFor(warmUpSeconds);
  await delay(settleMs);

  const cpuBeganUs = groupCpuUs(server.pid);
  const benchBegan = process.cpuUsage();
  const beganMs = performance.now();
  const { messages, latenciesMs } = await sendFor(seconds);
  const tookMs = performance.now() - beganMs;
  const bench = process.cpuUsage(benchBegan);
  await delay(settleMs);
  const cpuUs = groupCpuUs(server.pid) - cpuBeganUs;

  // Before the server: a connection that it closed would be a failure.
  await load.terminate();
  await server.kill();
  return {
    messagesPerSecond: (messages / tookMs) * 1000,
    cpuUsPerMessage: cpuUs / messages,
    p50Ms: latenciesMs[Math.floor(messages * 0.5)]!,
    p99Ms: latenciesMs[Math.floor(messages * 0.99)]!,
    benchCpuUsPerMessage: (bench.user + bench.system) / messages,
  };
}

async function startSink(): Promise<{ port: number; hasTaken(messages: number): Promise<void> }> {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./benchSinkWorker.js', import.meta.url), {
    workerData: { taken } satisfies SinkOptions,
  });
  const [port] = (await once(worker, 'message')) as [number];
  return {
    port,
    async hasTaken(messages) {
      for (const endMs = performance.now() + drainMaxMs; Atomics.load(taken, 0) < messages; ) {
        if (performance.now() > endMs) {
          throw new Error(`only ${Atomics.load(taken, 0)} of ${messages} messages reached the sink`);
        }
        await delay(2);
      }
    },
  };
}
