import type { QuarantineReleaseReport } from '../control/reports.ts';
import { parseMessageId } from '../message/messageId.ts';
import { askDaemon } from './daemon.ts';
import { misuse } from './failure.ts';
import { daemonOptions, type Verb } from './verb.ts';

export const quarantineRelease: Verb = {
  name: 'spool quarantine release',
  summary: 'try what is kept back of a message again, now',
  argument: ['ID', 'the message, as "spool quarantine list" shows it', 'optional'],
  options: [{ flags: '--all', meaning: 'of all messages' }, ...daemonOptions],
  async run(io, { argument, options }) {
    const all = options.all === true;
    if ((argument === '') !== all) return misuse('it takes a message id, or --all');
    if (!all && parseMessageId(argument) === undefined) return misuse(`not a message id: ${argument}`);
    const what = all ? { all } : { id: argument };
    const asked = await askDaemon<QuarantineReleaseReport>(options, 'quarantine.release', what);
    if ('failure' in asked) return asked.failure;
    const { messages, recipients, unanswered } = asked.result;
    if (options.json) io.out(JSON.stringify(asked.result));
    else io.out(`${messages} messages released, ${recipients} recipients are tried again`);
    const silent = unanswered.map(({ name }) => name).join(', ');
    if (silent !== '') {
      return { exit: 'unknown', code: 'unanswered', message: `no answer from ${silent}: see "status"` };
    }
    if (messages > 0 || all) return 'ok';
    return { exit: 'error', code: 'notHeld', message: `nothing of ${argument} is held` };
  },
};
