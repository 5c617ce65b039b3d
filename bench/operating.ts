import { domainDefaults } from '../src/config/config.ts';
import { Operations } from '../src/engine/operations.ts';
import { wholeShare } from '../src/queue/limitShares.ts';
import { PauseRules } from '../src/queue/pauseRules.ts';
import { Scheduler } from '../src/queue/scheduler.ts';
import { figure, spreadOf, spreadText, table } from './figures.ts';

/*
 * What an operator's commands cost with 100,000 queues and 1,000,000 recipients, half of them deferred.
 */

const queues = 100_000;
const messages = 1_000_000;
const rounds = 7;

const clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  zoneOffsetMinutes: () => 0,
  soon: (callback: () => void) => setImmediate(callback),
  after: () => ({ cancel: () => undefined }),
};
const rules = new PauseRules();
const scheduler = new Scheduler({
  settingsFor: () => ({ ...domainDefaults, retryAfterMs: [3_600_000] }),
  connectionLeases: wholeShare(200),
  isPaused: (queue) => rules.isPaused(queue),
});
for (let sequence = 0; sequence < messages; sequence++) {
  const queue = sequence % queues;
  const domain = `d${queue}.example${queue % 7}.test`;
  const recipients = [{ index: 0, domain, attempts: 0, nextTryInMs: sequence % 2 === 0 ? 0 : 1e7 }];
  const location = { segment: 1, recordAt: sequence * 300, recordBytes: 300 };
  scheduler.add(
    { id: { epoch: 1, sequence }, location, vmta: 'mta1', ageMs: 0, recipients },
    clock.monotonicMs(),
  );
}
const operations = new Operations({
  clock,
  log: { write: () => undefined },
  scheduler,
  spool: {
    putQueueState: () => undefined,
    purge: () => undefined,
    settled: async () => undefined,
    read: async () => ({ kind: 'unreadable', code: 'none' }),
  },
  rules,
  held: { get: () => undefined },
  sendings: { changed: () => undefined, lastError: () => '' },
  deletions: { tick: () => undefined },
  quarantine: { get: () => undefined },
  tracing: { begin: () => true, page: () => ({ lines: [], isOver: true }) },
});

const selection = { pausedOnly: false, mode: undefined, all: false, queuesMax: 20 } as const;
const noFilter = { olderThanMs: 0, orig: undefined, rcpt: undefined, job: undefined };

const rows: string[][] = [['command', `median of ${rounds} (least..most), ms`]];
async function timed(name: string, command: () => unknown): Promise<void> {
  const tookMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await command();
    tookMs.push(performance.now() - start);
  }
  rows.push([name, spreadText(spreadOf(tookMs))]);
}

await timed('list', () => operations.list({ ...selection, selector: '*', sort: 'rcpt' }));
await timed('list *.example3.test --sort name --max 1000', () =>
  operations.list({ ...selection, selector: '*.example3.test', sort: 'name', queuesMax: 1000 }),
);
await timed('pause *, resume *', async () => {
  await operations.setPause('*', true);
  await operations.setPause('*', false);
});
for (let rule = 0; rule < 10; rule++) await operations.setPause(`*.r${rule}.test`, true);
await timed('pause and resume *5.example*, beside 10 rules', async () => {
  await operations.setPause('*5.example*', true);
  await operations.setPause('*5.example*', false);
});
await operations.setPause('*', false);
await timed('delete * --dry-run', () => operations.delete({ ...noFilter, selector: '*', isTrial: true }));
const once = async (name: string, command: () => unknown): Promise<void> => {
  const start = performance.now();
  await command();
  rows.push([name, figure(performance.now() - start)]);
};
await once('retry * (half of the recipients wait)', () => operations.retry('*'));
await once('delete * (all of them)', () => operations.delete({ ...noFilter, selector: '*', isTrial: false }));

console.log(`${queues} queues, ${messages} recipients`);
console.log(table(rows));
