/**
 * kill -9 under load, again and again on one spool: load from many connections, kill at a random
 * moment, restart, drain, compare the three sides. The random seed is printed; `--seed` repeats it
 * (the moments, not the machine's scheduling).
 */
import { parseArgs } from 'node:util';
import { accountingOf, Daemon, makeSite, waitUntil } from '../ledger/daemon.ts';
import { Injector } from '../ledger/injector.ts';
import { Ledger, repeatedCount } from '../ledger/ledger.ts';
import { Sink } from '../ledger/sink.ts';

/** Outcomes that may wait for their sync (architecture 1, promise 2), and deliveries whose reply was on its way. */
const unsyncedOutcomes = 256;
const connectionsOut = 20;
const drainMaxMs = 120_000;

export interface RoundCounts {
  passed: number;
  failed: number;
}

/** `--rounds N` (20), `--connections N` (50), `--minutes N`: begin no round after that, `--seed N`. */
export async function runCrashRounds(args: readonly string[]): Promise<RoundCounts> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '20' },
      connections: { type: 'string', default: '50' },
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  });
  const random = mulberry32(Number(values.seed));
  const endMs = Date.now() + Number(values.minutes) * 60_000;
  const counts: RoundCounts = { passed: 0, failed: 0 };
  console.log(`crash rounds, seed ${values.seed}`);
  for (let round = 1; round <= Number(values.rounds); round++) {
    if (Date.now() > endMs) {
      console.log(`the time is up: ${Number(values.rounds) - round + 1} rounds were not begun`);
      break;
    }
    const isClean = await oneRound(round, Number(values.connections), random);
    if (isClean) counts.passed++;
    else counts.failed++;
  }
  return counts;
}

async function oneRound(round: number, connections: number, random: () => number): Promise<boolean> {
  const ledger = new Ledger();
  // Some deferrals and refusals, so that a kill finds recipients in every state.
  const sink = await Sink.start({
    receptions: ledger.receptions,
    judge: (stage, recipient, nth) => {
      const kind = Number(/\d+/.exec(recipient)?.[0] ?? 0) % 50;
      if (stage === 'dot' && kind === 7 && nth === 0) return { reply: '451 4.7.1 later' };
      if (stage === 'rcpt' && kind === 13) return { reply: '550 5.1.1 no such user' };
      return undefined;
    },
  });
  const site = await makeSite({ sinkPort: sink.port, domainLines: [`max-smtp-out ${connectionsOut}`] });
  const kills = 1 + Math.floor(random() * 3);
  let daemon: Daemon | undefined;
  let injector: Injector | undefined;
  try {
    daemon = await Daemon.start(site);
    const submissions = ledger.submissions;
    injector = new Injector({
      submissions,
      port: site.ports[0]!,
      connections,
      recipientsPerMessage: 2,
    });
    for (let kill = 0; kill < kills; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 100 + random() * 1500));
      await daemon.kill();
      daemon = await Daemon.start(site);
    }
    await injector.stop();
    const beganMs = Date.now();
    const isDrained = await waitUntil(async () => {
      ledger.accounting = await accountingOf(site);
      return ledger
        .violations({ owed: 0, repeated: Number.POSITIVE_INFINITY })
        .every(({ promise }) => !isOwed(promise));
    }, drainMaxMs);
    const drainedMs = Date.now() - beganMs;
    const exitCode = await daemon.stop();
    ledger.accounting = await accountingOf(site);
    const window = kills * (unsyncedOutcomes + connectionsOut * 2);
    const violations = ledger.violations({ owed: 0, repeated: window });
    report(round, kills, ledger, drainedMs, violations.length);
    for (const { promise, recipient, detail } of violations.slice(0, 10)) {
      console.log(`    ${recipient}: not kept: ${promise} (${detail})`);
    }
    if (exitCode !== 0) console.log(`    the daemon stopped with ${exitCode}; it said:\n${daemon.said}`);
    if (violations.length > 0 || !isDrained) console.log(`    kept for a look: ${site.folder}`);
    else await site.remove();
    return violations.length === 0 && isDrained && exitCode === 0;
  } catch (error) {
    console.log(`round ${round}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  } finally {
    await injector?.stop(0);
    await daemon?.kill();
    await sink.stop();
  }
}

function isOwed(promise: string): boolean {
  return promise === 'stored mail ends in a terminal row';
}

function report(round: number, kills: number, ledger: Ledger, drainedMs: number, violations: number): void {
  const told = (what: string): number => ledger.submissions.filter((one) => one.told === what).length;
  const rows = (type: string): number => ledger.accounting.filter((row) => row.type === type).length;
  console.log(
    `round ${String(round).padStart(2)}: ${kills} kills, recipients ${told('stored')} stored ` +
      `${told('unanswered')} unanswered ${told('refused')} refused; rows ${rows('d')} d ${rows('b')} b ${rows('t')} t; ` +
      `${repeatedCount(ledger)} repeated; drained in ${(drainedMs / 1000).toFixed(1)} s; ${violations} violations`,
  );
}

/** A small generator with a seed, good enough to choose moments. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
