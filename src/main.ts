import { readFileSync } from 'node:fs';
import { terminalIo, wantsColor } from './cli/io.ts';
import { runProgram } from './cli/program.ts';

/** How the supervisor starts an engine: this same file with this word. Not for people. */
export const engineWord = 'engine';

const argv = process.argv.slice(2);
// `| head` closes our output early; that is the reader's choice, not a failure.
process.stdout.on('error', () => {});

if (argv[0] === engineWord) {
  const { runEngine } = await import('./supervisor.ts');
  await runEngine();
} else {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const color = !argv.includes('--no-color') && wantsColor(process.stdout.isTTY === true, process.env);
  // Everything is written by then: Linux writes to pipes, files and terminals synchronously.
  process.exit(await runProgram(argv, terminalIo(color), version));
}
