import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { check } from './check.ts';
import { demo } from './demo.ts';
import { type ExitName, exitCodes } from './exitCodes.ts';
import { misuse, sayFailure } from './failure.ts';
import type { Io } from './io.ts';
import { quarantineList } from './quarantineList.ts';
import { quarantineRelease } from './quarantineRelease.ts';
import { queuePause, queueResume, queueRetry } from './queueCommands.ts';
import { queueDelete } from './queueDelete.ts';
import { queueList } from './queueList.ts';
import { queueShow } from './queueShow.ts';
import { resolve } from './resolve.ts';
import { run } from './run.ts';
import { send } from './send.ts';
import { spoolExport } from './spoolExport.ts';
import { spoolVerify } from './spoolVerify.ts';
import { status } from './status.ts';
import { stop } from './stop.ts';
import { traceDeliver } from './traceDeliver.ts';
import type { GivenOptions, Verb, VerbOption } from './verb.ts';
import { why } from './why.ts';

export const verbs: readonly Verb[] = [
  run,
  check,
  send,
  demo,
  status,
  queueList,
  queueShow,
  queuePause,
  queueResume,
  queueRetry,
  queueDelete,
  why,
  traceDeliver,
  resolve,
  spoolVerify,
  spoolExport,
  quarantineList,
  quarantineRelease,
  stop,
];

const commonOptions: readonly VerbOption[] = [
  { flags: '--json', meaning: 'one JSON object instead of text' },
  { flags: '--quiet', meaning: 'say only what went wrong' },
  // Obeyed in main.ts, before there is anything to colour.
  { flags: '--no-color', meaning: 'plain text, as with NO_COLOR set' },
];

/** Runs what was typed (without `node` and the script) and gives the exit code. */
export async function runProgram(argv: readonly string[], io: Io, version: string): Promise<number> {
  let exit: ExitName = 'ok';
  const program = describe(version, io, async (verb, argument, options) => {
    const isJson = options.json === true;
    const ended = await verb.run(options.quiet ? { ...io, out: () => {} } : io, { argument, options });
    if (typeof ended !== 'string') sayFailure(io, verb.name, ended, isJson);
    exit = typeof ended === 'string' ? ended : ended.exit;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version that were asked for are fine; everything else is a command line not understood.
    exit = error.exitCode === 0 ? 'ok' : 'usage';
    if (exit === 'usage' && argv.includes('--json')) {
      // Commander has said it on standard error.
      sayFailure({ ...io, err: () => {} }, '', misuse(error.message.replace(/^error: /, '')), true);
    }
  }
  return exitCodes[exit].code;
}

type Act = (verb: Verb, argument: string, options: GivenOptions) => Promise<void>;

function describe(version: string, io: Io, act: Act): Command {
  const program = new Command('penstock')
    .description("A high-volume outbound MTA that reads PowerMTA's configuration.")
    .version(version);
  tame(program, io);
  for (const verb of verbs) {
    const words = verb.name.split(' ');
    const name = words.pop()!;
    const command = words.reduce((parent, word) => groupOf(parent, word, io), program).command(name);
    tame(command.description(verb.summary), io);
    if (verb.argument !== undefined) {
      const [placeholder, meaning, optional] = verb.argument;
      const name = optional ? `[${placeholder}]` : `<${placeholder}>`;
      command.addArgument(new Argument(name, meaning).argParser(notEmpty));
    }
    for (const option of [...verb.options, ...commonOptions]) command.addOption(optionOf(option));
    command.action((...args: unknown[]) =>
      act(verb, verb.argument === undefined ? '' : String(args[0] ?? ''), command.opts<GivenOptions>()),
    );
  }
  return program;
}

function optionOf({ flags, meaning, required, conflicts }: VerbOption): Option {
  const option = new Option(flags.replace(/ (\S+)$/, ' <$1>'), meaning);
  if (conflicts !== undefined) option.conflicts(conflicts);
  // A text may be empty; a path, an address or a number never means anything then.
  if (flags.includes(' ') && !flags.endsWith(' TEXT')) option.argParser(notEmpty);
  return option.makeOptionMandatory(required === true);
}

function notEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.');
  return value;
}

function groupOf(parent: Command, word: string, io: Io): Command {
  return parent.commands.find((command) => command.name() === word) ?? tame(parent.command(word), io);
}

/** Commander would write and end the process by itself. */
function tame(command: Command, io: Io): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => io.out(text.trimEnd()),
    writeErr: (text) => io.err(text.trimEnd()),
  });
}
