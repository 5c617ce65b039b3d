import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingPrograms } from '../interop/debianPackages.ts';
import { waitUntil } from '../ledger/daemon.ts';
import type { InjectorOptions } from '../ledger/injector.ts';
import type { SinkOptions } from '../ledger/sink.ts';
import type { FaultOrder } from './faults.ts';
import { reachMaxMs, type Stage, type StageOptions, sleep, someTrouble } from './stage.ts';

type StageOf = (options: StageOptions) => Promise<Stage>;
/** What went wrong, one line each. */
type Problems = readonly string[] | 'skipped';
type Play = (random: () => number, stageOf: StageOf) => Promise<Problems>;

const dayMs = 86_400_000;
const faultyMs = 6_000;
const smallFiles = ['max-size 1M', 'move-to acct/moved'];

const plays: Readonly<Record<string, Play>> = {
  eio: playErrors,
  strace: playRealErrors,
  full: playFullDisk,
  emfile: playDescriptors,
  clock: playClock,
  clockStart: playClockAtStart,
  slow: playSlowDisk,
  lie: playLie,
};

export const faultNames: readonly string[] = Object.keys(plays);

export function playFault(name: string, random: () => number, stageOf: StageOf): Promise<Problems> {
  return plays[name]!(random, stageOf);
}

function faultOf(kind: FaultOrder['kind'], random: () => number): FaultOrder {
  return { kind, seed: Math.floor(random() * 0x7fff_ffff), oneIn: 6 };
}

async function loadedTo(stage: Stage, stored: number, load: Partial<InjectorOptions> = {}): Promise<void> {
  stage.load(load);
  if (!(await waitUntil(() => stage.stored >= stored, reachMaxMs))) {
    throw new Error(`only ${stage.stored} recipients were stored; the daemon said: ${stage.daemon.said}`);
  }
}

/**
 * Every door to the disk fails now and then. Then either it is well again, and the daemon must be, too,
 * with nothing lost or doubled; or the daemon is killed, and recovers on a disk that still fails.
 */
async function playErrors(random: () => number, stageOf: StageOf): Promise<Problems> {
  const stage = await stageOf({ acctLines: smallFiles });
  const fault = faultOf('eio', random);
  await stage.start({ fault });
  await loadedTo(stage, 100);
  stage.setFaulty(true);
  await sleep(faultyMs);
  if (random() < 0.5) {
    stage.notes.push('then well');
    stage.setFaulty(false);
    return stage.settle();
  }
  await stage.kill();
  for (let start = 1; start <= 3; start++) {
    const daemon = stage.launch({ fault: { ...fault, seed: fault.seed + start, oneIn: 300 } });
    const greeted = await daemon.greeted().then(
      () => true,
      () => false,
    );
    stage.notes.push(greeted ? 'started on it' : 'could not start on it');
    if (greeted) break;
  }
  stage.setFaulty(false);
  if (stage.daemon.hasEnded) await stage.start();
  return stage.settle();
}

/** The same, in the kernel's own words: system calls of every thread answer EIO. */
async function playRealErrors(_random: () => number, stageOf: StageOf): Promise<Problems> {
  if (missingPrograms({ strace: 'strace' }) !== undefined) return 'skipped';
  const stage = await stageOf({ acctLines: smallFiles });
  // Counted in each thread: the start, with fewer calls, is left alone. -D: the daemon stays our child.
  const injections = ['pwritev', 'fdatasync', 'fsync'].flatMap((call) => [
    '-e',
    `inject=${call}:error=EIO:when=30+5`,
  ]);
  const strace = ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null'];
  await stage.start({}, [...strace, '-e', 'trace=pwritev,fdatasync,fsync', ...injections]);
  await loadedTo(stage, 100);
  await sleep(faultyMs);
  await stage.kill();
  await stage.start();
  return stage.settle();
}

/** A disk of 32 MB that fills, with our own mail or with a stranger's file; room comes back by itself. */
async function playFullDisk(random: () => number, stageOf: StageOf): Promise<Problems> {
  const disk = mkdtempSync(join(tmpdir(), 'penstock-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    rmdirSync(disk);
    console.log(`*** SKIPPED: full: no tmpfs can be mounted: ${mounted.stderr.trim()}`);
    return 'skipped';
  }
  const unmount = (): void => {
    spawnSync('umount', ['-l', disk], { stdio: 'inherit' });
    rmdirSync(disk);
  };
  let holds = true;
  const judge: SinkOptions['judge'] = (stage, recipient, nth) =>
    holds && stage === 'rcpt' ? { reply: '450 4.2.1 later' } : someTrouble(stage, recipient, nth);
  const stage = await stageOf({ parentFolder: disk, judge }).catch((error: unknown) => {
    unmount();
    throw error;
  });
  stage.afterEnd.push(unmount);
  const ballast = join(disk, 'ballast');
  const isStrangers = random() < 0.5;
  const dies = random() < 0.3;
  await stage.start();
  await loadedTo(stage, 50, { sizeBytes: 20_000 });
  if (isStrangers) writeAll(ballast);
  else stage.notes.push('with our own mail');
  if (!(await waitUntil(() => stage.faults > 5, reachMaxMs))) return ['the disk was not filled'];
  await sleep(2_000);
  stage.notes.push(`${stage.toldCount('refused')} refused by then`);
  if (dies) {
    await stage.endLoad();
    await stage.kill();
    const started = await stage
      .launch()
      .greeted()
      .then(
        () => true,
        () => false,
      );
    stage.notes.push(started ? 'started when full' : 'could not start when full');
  }
  holds = false;
  if (isStrangers) rmSync(ballast);
  else {
    // What is delivered makes room, if the daemon finds enough to write down that it is delivered.
    const goesOn =
      !stage.daemon.hasEnded && (await waitUntil(async () => (await stage.rows()) > 100, 10_000));
    if (!goesOn) {
      stage.notes.push('needed a larger disk');
      spawnSync('mount', ['-o', 'remount,size=96m', disk], { stdio: 'inherit' });
    }
  }
  if (stage.daemon.hasEnded) await stage.start();
  return stage.settle();
}

/** Until there is no room. */
function writeAll(path: string): void {
  const block = Buffer.alloc(256 * 1024);
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' });
  } catch {
    // Full.
  }
}

/** Hardly any descriptors, and clients that take them. */
async function playDescriptors(_random: () => number, stageOf: StageOf): Promise<Problems> {
  const stage = await stageOf({ acctLines: smallFiles });
  await stage.start({}, ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh']);
  // Large mail, so that segments are full and the next one wants a descriptor.
  await loadedTo(stage, 50, { connections: 8, sizeBytes: 400_000 });
  const idle = Array.from({ length: 200 }, () => {
    const socket = createConnection({ port: stage.site.ports[0]!, host: '127.0.0.1' });
    socket.on('error', () => {});
    return socket;
  });
  await sleep(faultyMs);
  for (const socket of idle) socket.destroy();
  const before = stage.stored;
  const goesOn = await waitUntil(() => stage.stored > before + 20, 10_000);
  const problems = await stage.settle();
  return goesOn ? problems : ['no mail was taken after the descriptors were free again', ...problems];
}

/** The wall clock goes five days ahead, five back, and right again, with mail in every state. */
async function playClock(_random: () => number, stageOf: StageOf): Promise<Problems> {
  const stage = await stageOf({ judge: oftenLater });
  const clock = [
    { afterMs: 2_500, offsetMs: 5 * dayMs },
    { afterMs: 4_500, offsetMs: -5 * dayMs },
    { afterMs: 6_500, offsetMs: 0 },
  ];
  await stage.start({ clock });
  await loadedTo(stage, 50, { connections: 2 });
  await sleep(7_000);
  const problems = await stage.settle();
  const expired = expiredIn(stage);
  return expired === 0 ? problems : [`${expired} recipients expired`, ...problems];
}

/**
 * The wall clock is wrong from a start on, with mail in the spool. What expires is told and no failure:
 * the age of recovered mail is taken from this one clock.
 */
async function playClockAtStart(random: () => number, stageOf: StageOf): Promise<Problems> {
  let holds = true;
  const judge: SinkOptions['judge'] = (stage, recipient, nth) =>
    holds && stage === 'rcpt' ? { reply: '450 4.2.1 later' } : someTrouble(stage, recipient, nth);
  const stage = await stageOf({ judge });
  await stage.start();
  await loadedTo(stage, 500);
  await stage.endLoad();
  await sleep(1_500);
  await stage.kill();
  const days = random() < 0.5 ? 5 : -5;
  await stage.start({ clock: [{ afterMs: 0, offsetMs: days * dayMs }] });
  await sleep(3_000);
  await stage.kill();
  holds = false;
  await stage.start();
  const problems = await stage.settle();
  stage.notes.push(`${days} days: ${expiredIn(stage)} of ${stage.stored} expired`);
  return problems;
}

/** Given up although the sink never refused them for good. */
function expiredIn({ ledger }: Stage): number {
  return ledger.accounting.filter(
    ({ type, recipient }) =>
      type === 'b' && someTrouble('rcpt', recipient, 0)?.reply.startsWith('5') !== true,
  ).length;
}

function oftenLater(stage: 'mail' | 'rcpt' | 'dot', recipient: string, nth: number) {
  const kind = Number(/\d+/.exec(recipient)?.[0] ?? 0) % 3;
  if (stage === 'dot' && kind === 0 && nth < 3) return { reply: '451 4.7.1 later' };
  return someTrouble(stage, recipient, nth);
}

/** Each sync takes 50 ms more. */
async function playSlowDisk(random: () => number, stageOf: StageOf): Promise<Problems> {
  const stage = await stageOf({ acctLines: smallFiles });
  stage.setFaulty(true);
  const fault = faultOf('slow', random);
  await stage.start({ fault });
  await loadedTo(stage, 200);
  await stage.kill();
  await stage.start({ fault });
  await loadedTo(stage, 400);
  return stage.settle();
}

/** The disk does not do what it says it has done: if the ledger does not see that, it sees nothing. */
async function playLie(random: () => number, stageOf: StageOf): Promise<Problems> {
  const stage = await stageOf({});
  await stage.start({ fault: faultOf('lie', random) });
  await loadedTo(stage, 200);
  stage.setFaulty(true);
  await loadedTo(stage, stage.stored + 400);
  await stage.kill();
  await stage.endLoad();
  await stage.start();
  await sleep(3_000);
  const lost = await stage.lost();
  stage.notes.push(`${lost} found lost`);
  return lost > 0 ? [] : ['the ledger did not see that mail was lost'];
}
