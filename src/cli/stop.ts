import type { StopReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import type { Verb } from './verb.ts';

const waitMaxMs = 60_000;

export const stop: Verb = {
  name: 'stop',
  summary: 'end the daemon, once what it was told is on disk',
  options: [],
  async run(io, { options }) {
    const asked = await askDaemon<StopReport>(io, options, 'stop');
    if ('exit' in asked) return asked.exit;
    const { pid } = asked.result;
    for (const endMs = Date.now() + waitMaxMs; isAlive(pid); ) {
      if (Date.now() > endMs) {
        io.err(`penstock: pid ${pid} is still stopping after ${waitMaxMs / 1000} s`);
        return 'unknown';
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    io.out(options.json ? JSON.stringify(asked.result) : `stopped (pid ${pid})`);
    return 'ok';
  },
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
