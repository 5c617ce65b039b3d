import type { QueuePauseReport, QueueRetryReport } from '../control/operatingReports.ts';
import { askDaemon } from './daemon.ts';
import { pauseLines, sayUnanswered, selectorArgument } from './queueList.ts';
import { daemonOptions, type Verb } from './verb.ts';

const [selectorName, selectorMeaning] = selectorArgument;
const required = [selectorName, selectorMeaning.replace(/;.*/, '')] as const;

export const queuePause = pausing('pause', 'stop delivery to queues, and to those that come later');
export const queueResume = pausing('resume', 'let queues that were paused go on');

function pausing(word: 'pause' | 'resume', summary: string): Verb {
  return {
    name: `queue ${word}`,
    summary,
    argument: required,
    options: daemonOptions,
    async run(io, { argument, options }) {
      const asked = await askDaemon<QueuePauseReport>(options, `queue.${word}`, { selector: argument });
      if ('failure' in asked) return asked.failure;
      const { selector, queues, recipients, pauseRules, unanswered } = asked.result;
      if (options.json) io.out(JSON.stringify(asked.result));
      else {
        io.out(`${word}d ${selector}: ${queues} queues with ${recipients} recipients`);
        for (const line of pauseLines(pauseRules)) io.out(line);
      }
      return sayUnanswered(io, `queue ${word}`, unanswered, 'its queues may go on as before');
    },
  };
}

export const queueRetry: Verb = {
  name: 'queue retry',
  summary: 'end the waits of queues and of deferred recipients now',
  argument: required,
  options: daemonOptions,
  async run(io, { argument, options }) {
    const asked = await askDaemon<QueueRetryReport>(options, 'queue.retry', { selector: argument });
    if ('failure' in asked) return asked.failure;
    const { selector, queues, recipients, unanswered } = asked.result;
    io.out(
      options.json
        ? JSON.stringify(asked.result)
        : `${selector}: ${queues} queues try now, ${recipients} deferred recipients wait no more`,
    );
    return sayUnanswered(io, 'queue retry', unanswered, 'its queues may wait as before');
  },
};
