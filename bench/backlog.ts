/**
 * What a large spool costs: memory of the engine with so many messages queued, the time from a restart to
 * the first delivery, and the room on disk when one in a hundred lives on. In a process of its own; the real
 * daemon over loopback.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Daemon, makeSite, type Site } from '../test/ledger/daemon.ts';
import { temporaryFolder, whenEnding } from './ending.ts';
import { figure, table } from './figures.ts';
import type { LoadOptions, LoadReport } from './loadWorker.ts';
import { childPids, memoryOf } from './processTable.ts';
import type { SinkOptions } from './sinkWorker.ts';

const sizeBytes = 2048;
const connections = 50;
/** Nobody listens on tcpmux. */
const closedPort = 1;
const mebibyte = 1024 * 1024;

const messages = Number(process.argv[2] ?? 1_000_000);

whenEnding(() => {
  for (const pid of childPids()) process.kill(-pid, 'SIGKILL');
});
process.env.TMPDIR = temporaryFolder().path;

console.log(`\nbacklog: ${messages} messages of ${sizeBytes} bytes`);
await queued();
await livingOn();
process.exit();

async function queued(): Promise<void> {
  const site = await makeSite({ sinkPort: closedPort, domainLines: ['retry-after 1s'] });
  const idle = await Daemon.start(site);
  await delay(2000);
  const idleBytes = engineMemory(idle).nowBytes;
  const loadSeconds = await send(site, messages);
  await delay(3000);
  const loaded = engineMemory(idle);
  await idle.stop();
  const diskBytes = spoolBytes(site);

  const { taken, port } = await startSink({});
  writeFileSync(
    site.configFile,
    readFileSync(site.configFile, 'utf8').replace(`]:${closedPort}`, `]:${port}`),
  );
  const beganMs = performance.now();
  const daemon = Daemon.launch(site);
  while (Atomics.load(taken, 0) === 0) await delay(5);
  const firstMs = performance.now() - beganMs;
  const restarted = engineMemory(daemon);
  await drained(taken, messages);
  const drainedMs = performance.now() - beganMs;
  const most = engineMemory(daemon);
  await daemon.kill();
  const mib = (bytes: number): string => figure(bytes / mebibyte);
  console.log(
    table([
      ['', 'value'],
      ['engine idle, MiB', mib(idleBytes)],
      ['queued, above idle, MiB', mib(loaded.nowBytes - idleBytes)],
      ['at most while they came, above idle, MiB', mib(loaded.mostBytes - idleBytes)],
      ['they came in, s', figure(loadSeconds)],
      ['spool on disk, MiB', mib(diskBytes)],
      ['restart to first delivery, s', figure(firstMs / 1000)],
      ['at most until then, above idle, MiB', mib(restarted.mostBytes - idleBytes)],
      ['restart to all delivered, s', figure(drainedMs / 1000)],
      ['at most until then, above idle, MiB', mib(most.mostBytes - idleBytes)],
    ]),
  );
}

/** One in a hundred is deferred for days: the rest of its segment must not stay with it. */
async function livingOn(): Promise<void> {
  const defersOneIn = 100;
  const { taken, port } = await startSink({ defersOneIn });
  const site = await makeSite({ sinkPort: port, domainLines: ['retry-recipients-after 2d'] });
  const daemon = await Daemon.start(site);
  let mostBytes = 0;
  const watch = setInterval(() => {
    mostBytes = Math.max(mostBytes, spoolBytes(site));
  }, 500);
  await send(site, messages);
  await drained(taken, messages - messages / defersOneIn);
  // The last outcomes, their rows, and what is copied behind them.
  await delay(10_000);
  clearInterval(watch);
  const atRestBytes = spoolBytes(site);
  await daemon.stop();
  const mib = (bytes: number): string => figure(bytes / mebibyte);
  console.log(
    table([
      ['one in a hundred lives on', 'value'],
      ['owed at the end, MiB', mib((messages / defersOneIn) * (sizeBytes + 300))],
      ['spool at the end, MiB', mib(atRestBytes)],
      ['at most before, MiB', mib(mostBytes)],
    ]),
  );
}

async function send(site: Site, count: number): Promise<number> {
  const load = new Worker(new URL('./benchLoadWorker.js', import.meta.url), {
    workerData: { port: site.ports[0]!, connections, sizeBytes, isChained: true } satisfies LoadOptions,
  });
  await once(load, 'message');
  const beganMs = performance.now();
  for (let sent = 0; sent < count; ) {
    load.postMessage(Math.min(10, (count - sent) / 20_000 + 0.05));
    const [report] = (await once(load, 'message')) as [LoadReport];
    sent += report.messages;
  }
  const seconds = (performance.now() - beganMs) / 1000;
  await load.terminate();
  return seconds;
}

async function startSink(
  options: Omit<SinkOptions, 'taken'>,
): Promise<{ readonly taken: Int32Array; readonly port: number }> {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./benchSinkWorker.js', import.meta.url), {
    workerData: { taken, ...options } satisfies SinkOptions,
  });
  const [port] = (await once(worker, 'message')) as [number];
  return { taken, port };
}

async function drained(taken: Int32Array, count: number): Promise<void> {
  for (let before = -1; Atomics.load(taken, 0) < count; ) {
    const now = Atomics.load(taken, 0);
    if (now === before) throw new Error(`it stands still at ${now} of ${count}`);
    before = now;
    await delay(5000);
  }
}

function engineMemory(daemon: Daemon): { readonly nowBytes: number; readonly mostBytes: number } {
  return childPids(daemon.pid)
    .map(memoryOf)
    .reduce((a, b) => (a.nowBytes > b.nowBytes ? a : b));
}

function spoolBytes({ folder }: Site): number {
  const engine = join(folder, 'spool', 'engine-1');
  let bytes = 0;
  for (const name of readdirSync(engine)) {
    try {
      if (name.endsWith('.segment')) bytes += statSync(join(engine, name)).size;
    } catch {
      // It went meanwhile.
    }
  }
  return bytes;
}
