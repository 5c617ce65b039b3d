import type { StopReport } from '../control/reports.ts';
import { askDaemon } from './daemon.ts';
import { daemonOptions, type Verb } from './verb.ts';

const waitMaxMs = 60_000;

export const stop: Verb = {
  name: 'stop',
  summary: 'end the daemon, once what it was told is on disk',
  options: daemonOptions,
  async run(io, { options }) {
    const asked = await askDaemon<StopReport>(options, 'stop');
    if ('failure' in asked) return asked.failure;
    const { pid } = asked.result;
    for (const endMs = Date.now() + waitMaxMs; isAlive(pid); ) {
      if (Date.now() > endMs) {
        const message = `pid ${pid} is still stopping after ${waitMaxMs / 1000} s`;
        return { exit: 'unknown', code: 'stopping', message };
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
