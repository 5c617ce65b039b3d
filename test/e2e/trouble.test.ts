import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askControl } from '../../src/control/client.ts';
import type { QueueListReport } from '../../src/control/operatingReports.ts';
import type { EngineStateReport, StatusReport } from '../../src/control/reports.ts';
import { serveControl } from '../../src/control/server.ts';
import { runPenstock, waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

/** What the daemon of a scene answers, asked from within: faster than the command. */
async function asked<T>(scene: Scene, verb: string): Promise<T | undefined> {
  const answer = await askControl(join(scene.site.folder, 'penstock.sock'), verb);
  return answer.kind === 'answered' ? (answer.result as T) : undefined;
}

/** Waits until engine-1 is in this state; undefined when it never is. */
async function engineOnce(
  scene: Scene,
  state: EngineStateReport['state'],
  isSo: (engine: EngineStateReport) => boolean = () => true,
): Promise<EngineStateReport | undefined> {
  let found: EngineStateReport | undefined;
  await waitUntil(async () => {
    const engine = (await asked<StatusReport>(scene, 'status'))?.engines[0];
    found = engine?.state === state && isSo(engine) ? engine : undefined;
    return found !== undefined;
  }, 15_000);
  return found;
}

test('an engine that died is shown with its reason, and what its lives counted adds up', async () => {
  const scene = await Scene.begin();
  const running = await engineOnce(scene, 'running');
  await submit(scene.ledger.submissions, scene.port, { to: ['one@sink.test', 'two@sink.test'] });
  const delivered = async () => (await asked<StatusReport>(scene, 'status'))?.queues.deliveredTotal;
  // Synced: what is not would be delivered, and counted, again.
  expect(await waitUntil(async () => (await scene.rows()).length === 2, 5_000)).toBe(true);
  expect(await delivered()).toBe(2);
  process.kill(running!.pid!, 'SIGKILL');
  const why = { deaths: 1, diedOf: 'killed by SIGKILL' };
  expect(await engineOnce(scene, 'restarting')).toMatchObject({ ...why, restartInMs: expect.any(Number) });
  expect((await asked<QueueListReport>(scene, 'queue.list'))?.unanswered).toMatchObject([why]);
  expect(await engineOnce(scene, 'running')).toMatchObject(why);
  await submit(scene.ledger.submissions, scene.port, { to: ['three@sink.test'] });
  expect(await waitUntil(async () => (await delivered()) === 3, 5_000)).toBe(true);
  expect((await asked<StatusReport>(scene, 'status'))?.listeners[0]).toMatchObject({ messagesTotal: 2 });
});

test('an engine that stands still is shown as not answering, and its numbers stay', async () => {
  const scene = await Scene.begin({ sinkPort: 9 });
  await submit(scene.ledger.submissions, scene.port, { to: ['owed@sink.test'] });
  const held = async () => (await asked<StatusReport>(scene, 'status'))?.spool.recipients;
  expect(await waitUntil(async () => (await held()) === 1, 5_000)).toBe(true);
  const { pid } = (await engineOnce(scene, 'running'))!;
  process.kill(pid!, 'SIGSTOP');
  expect(await engineOnce(scene, 'notAnswering')).toMatchObject({ pid });
  expect(await held()).toBe(1);
  expect((await asked<QueueListReport>(scene, 'queue.list'))?.unanswered).toMatchObject([{ pid }]);
  process.kill(pid!, 'SIGCONT');
  expect(await engineOnce(scene, 'running')).toMatchObject({ pid, deaths: 0 });
});

test('an engine that is not configured any more is shown as draining', async () => {
  const scene = await Scene.set();
  await mkdir(join(scene.site.folder, 'spool', 'engine-2'), { recursive: true });
  await scene.start();
  const isThere = await waitUntil(async () => {
    const engines = (await asked<StatusReport>(scene, 'status'))?.engines ?? [];
    return engines.map(({ state }) => state).join(' ') === 'running draining';
  }, 10_000);
  expect(isThere).toBe(true);
});

test('a start that waits for the lock says for whom, and one signal ends it in order', async () => {
  const scene = await Scene.set();
  const folder = join(scene.site.folder, 'spool', 'engine-1');
  await mkdir(folder, { recursive: true });
  const holder = spawn('flock', [
    join(folder, 'lock'),
    'sh',
    '-c',
    `echo $$ > ${folder}/lock; echo; exec cat`,
  ]);
  onTestFinished(() => void holder.kill());
  await once(holder.stdout, 'data');
  const pid = (await readFile(join(folder, 'lock'), 'utf8')).trim();

  const daemon = scene.launch();
  const engine = await engineOnce(scene, 'starting', ({ waitsFor }) => waitsFor !== undefined);
  expect(engine?.waitsFor).toBe(`waits for ${folder}/lock, held by pid ${pid}`);
  expect(daemon.said).toContain(`held by pid ${pid}`);
  expect(await daemon.stop()).toBe(0);
  expect((await scene.log()).map(({ event }) => event)).toEqual([
    'engine.waits',
    'supervisor.stopping',
    'supervisor.stopped',
  ]);
});

test('a second daemon is told of the first before anything else is in its way', async () => {
  const scene = await Scene.set();
  const socket = join(scene.site.folder, 'var', 'penstock.sock');
  await mkdir(dirname(socket));
  const first = await serveControl(socket, new Map([['status', () => ({ pid: 4711 })]]));
  onTestFinished(() => first.close());
  // The embedded default, whose receiver has a port of its own.
  const { code, stderr } = await runPenstock(['run'], scene.site.folder);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('already running, pid 4711') });
});

test('a log that cannot be written keeps the daemon from starting, and is named', async () => {
  const scene = await Scene.set();
  const log = join(scene.site.folder, 'penstock.log');
  await mkdir(log);
  const { code, stdout, stderr } = await scene.penstock('run', '--json');
  expect(code).toBe(2);
  expect(stderr).toContain(log);
  expect(JSON.parse(stdout)).toMatchObject({
    schema: 'penstock.error/1',
    verb: 'run',
    exit: 2,
    code: 'EISDIR',
  });
});

test('a log lost to a full disk stops neither mail nor the way to an orderly end', async () => {
  const scene = await Scene.set();
  await symlink('/dev/full', join(scene.site.folder, 'penstock.log'));
  await scene.start();
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'] });
  expect(await scene.settle()).toEqual([]);
  expect(scene.daemon.said).toContain('cannot write the log');
});

test('a log lost where nobody reads standard error, either, stops nothing', async () => {
  const scene = await Scene.set();
  await symlink('/dev/full', join(scene.site.folder, 'penstock.log'));
  scene.launch().deafen();
  const running = await engineOnce(scene, 'running');
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'] });
  expect(await engineOnce(scene, 'running')).toMatchObject({ pid: running?.pid, deaths: 0 });
  expect(await scene.settle()).toEqual([]);
});
