import type { QueueDeleteReport } from '../control/operatingReports.ts';
import { askDaemon } from './daemon.ts';
import { type Failure, misuse } from './failure.ts';
import { sayUnanswered } from './queueList.ts';
import { daemonOptions, type GivenOptions, textOption, type Verb } from './verb.ts';

/** More than this nobody deletes without having said so. */
const unaskedMax = 1000;

export const queueDelete: Verb = {
  name: 'queue delete',
  summary: 'give up recipients for good; each gets its b row',
  argument: ['SELECTOR', 'domain[/vmta], with * for any text on either side'],
  options: [
    { flags: '--orig PATTERN', meaning: 'only mail of these senders, with * for any text' },
    { flags: '--rcpt PATTERN', meaning: 'only these recipients' },
    { flags: '--job PATTERN', meaning: 'only these jobs' },
    { flags: '--older-than INTERVAL', meaning: 'only mail queued so long ago: 90m, 4h, 2d' },
    { flags: '--dry-run', meaning: 'only count' },
    { flags: '--yes', meaning: `for wildcards, and for more than ${unaskedMax} recipients` },
    ...daemonOptions,
  ],
  async run(io, { argument, options }) {
    const order = orderOf(argument, options);
    if ('exit' in order) return order;
    const isDryRun = options.dryRun === true;
    const readsEnvelopes = order.orig !== undefined || order.rcpt !== undefined || order.job !== undefined;
    if (isDryRun && readsEnvelopes) return misuse('--dry-run counts by SELECTOR and --older-than only');
    if (options.yes !== true && !isDryRun) {
      const refusal = await unconfirmed(argument, options, order, readsEnvelopes);
      if (refusal !== undefined) return refusal;
    }
    const asked = await askDaemon<QueueDeleteReport>(options, 'queue.delete', {
      ...order,
      isTrial: isDryRun,
    });
    if ('failure' in asked) return asked.failure;
    io.out(options.json ? JSON.stringify(asked.result) : deleteText(asked.result));
    return sayUnanswered(io, 'queue delete', asked.result.unanswered, 'its recipients may still be there');
  },
};

interface Order {
  readonly selector: string;
  readonly orig: string | undefined;
  readonly rcpt: string | undefined;
  readonly job: string | undefined;
  readonly olderThanMs: number;
}

function orderOf(selector: string, options: GivenOptions): Order | Failure {
  const olderThan = textOption(options, 'olderThan');
  const olderThanMs = olderThan === undefined ? 0 : intervalMs(olderThan);
  if (olderThanMs === undefined) return misuse('--older-than is a number with s, m, h or d: 4h');
  return {
    selector,
    orig: textOption(options, 'orig'),
    rcpt: textOption(options, 'rcpt'),
    job: textOption(options, 'job'),
    olderThanMs,
  };
}

/** Why it is to be said again with --yes; undefined: it need not. */
async function unconfirmed(
  argument: string,
  options: GivenOptions,
  order: Order,
  readsEnvelopes: boolean,
): Promise<Failure | undefined> {
  if (readsEnvelopes) return argument.includes('*') ? again(`${argument} has wildcards`) : undefined;
  const trial = await askDaemon<QueueDeleteReport>(options, 'queue.delete', { ...order, isTrial: true });
  if ('failure' in trial) return trial.failure;
  const { queues, recipients } = trial.result;
  const isMuch = argument.includes('*') || recipients > unaskedMax;
  return isMuch ? again(`this means ${queues} queues and ${recipients} recipients`) : undefined;
}

function again(why: string): Failure {
  return { exit: 'usage', code: 'unconfirmed', message: `${why}; nothing was deleted`, fix: 'Add --yes.' };
}

function deleteText({
  selector,
  isTrial,
  queues,
  recipients,
  inDelivery,
  goesOn,
}: QueueDeleteReport): string {
  const left = inDelivery === 0 ? '' : `; ${inDelivery} in delivery are left alone`;
  if (isTrial) return `${selector} means ${recipients} recipients in ${queues} queues${left}`;
  return goesOn
    ? `deleted ${recipients} recipients so far${left}; envelopes are still being read`
    : `deleted ${recipients} recipients${left}`;
}

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** undefined: it is none. */
function intervalMs(text: string): number | undefined {
  if (!/^(\d{1,9}[smhd])+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)([smhd])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * unitsMs[unit!]!,
    0,
  );
}
