import type { Io } from '../io.ts';

export interface DemoCounts {
  readonly sent: number;
  readonly delivered: number;
  readonly bounced: number;
  readonly deferrals: number;
  /** Delivered or bounced. */
  readonly ended: number;
}

/** What people see while the demo runs. */
export interface Progress {
  show(counts: DemoCounts): void;
  stop(): void;
}

const lineEveryMs = 1000;

/** A bar on a terminal; elsewhere a line a second, without control codes. Both on standard error. */
export async function startProgress(io: Io, total: number): Promise<Progress> {
  return process.stderr.isTTY && process.env.TERM !== 'dumb' ? bar(total) : lines(io, total);
}

export const silent: Progress = { show: () => {}, stop: () => {} };

async function bar(total: number): Promise<Progress> {
  const { SingleBar } = await import('cli-progress');
  const single = new SingleBar({
    format: '{bar} {sent} in  {delivered} delivered  {bounced} bounced  {deferrals} deferred',
    barsize: 24,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    // Neither cursor nor wrapping is touched: a second Ctrl-C could not give them back.
    hideCursor: null,
    linewrap: true,
    stream: process.stderr,
  });
  single.start(total, 0, { sent: 0, delivered: 0, bounced: 0, deferrals: 0 });
  return {
    show: ({ ended, ...counts }) => single.update(ended, counts),
    stop: () => single.stop(),
  };
}

function lines(io: Io, total: number): Progress {
  const beganMs = performance.now();
  let nextMs = lineEveryMs;
  return {
    show({ sent, delivered, bounced, deferrals }) {
      const atMs = performance.now() - beganMs;
      if (atMs < nextMs) return;
      nextMs = (Math.floor(atMs / lineEveryMs) + 1) * lineEveryMs;
      const seconds = String(Math.floor(atMs / 1000)).padStart(2);
      io.err(
        `${seconds} s  ${sent} of ${total} in, ${delivered} delivered, ${bounced} bounced, ${deferrals} deferred`,
      );
    },
    stop: () => {},
  };
}
