import { demoConfigText, usualPlaces } from './demo/demoConfig.ts';
import { misuse } from './failure.ts';
import { textOption, type Verb, type VerbOption } from './verb.ts';

const messagesDefault = 1000;
/** At a steady pace, so many take some minutes. */
const messagesMax = 10_000;

const options: readonly VerbOption[] = [
  { flags: '--messages N', meaning: `how many; default: ${messagesDefault}` },
  { flags: '--seed N', meaning: 'another seed gives other recipients and other moods; default: 1' },
  { flags: '--keep', meaning: 'keep the spool, with what still waits' },
  {
    flags: '--show-config',
    meaning: 'print the configuration it would use, and do nothing else',
    conflicts: 'json',
  },
];

export const demo: Verb = {
  name: 'demo',
  summary: 'send mail to ISP-like receivers on this machine, and show what became of it',
  options,
  async run(io, { options }) {
    const messages = Number(textOption(options, 'messages') ?? messagesDefault);
    const seed = Number(textOption(options, 'seed') ?? 1);
    if (!Number.isInteger(messages) || messages < 1 || messages > messagesMax) {
      return misuse(`--messages takes a number from 1 to ${messagesMax}`);
    }
    if (!Number.isInteger(seed) || seed < 0) return misuse('--seed takes a whole number');
    if (options.showConfig === true) {
      io.out(demoConfigText(usualPlaces).trimEnd());
      return 'ok';
    }
    // Only here: the other verbs start faster without the engine.
    const { perform } = await import('./demo/perform.ts');
    const isJson = options.json === true;
    const isQuiet = options.quiet === true;
    return perform(io, { messages, seed, keepsSpool: options.keep === true, isJson, isQuiet });
  },
};
