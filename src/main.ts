import { terminalIo, wantsColor } from './cli/io.ts';
import { packageVersion } from './cli/packageVersion.ts';
import { runProgram } from './cli/program.ts';

import { engineWord } from './supervisor/engineChild.ts';

const argv = process.argv.slice(2);
// `| head` closes our output early; that is the reader's choice, not a failure.
process.stdout.on('error', () => {});
// Nor is a lost standard error: it is where we would complain.
process.stderr.on('error', () => {});

if (argv[0] === engineWord) {
  const { runEngine } = await import('./supervisor/engineProcess.ts');
  await runEngine();
} else {
  const color = !argv.includes('--no-color') && wantsColor(process.stdout.isTTY === true, process.env);
  // Everything is written by then: Linux writes to pipes, files and terminals synchronously.
  process.exit(await runProgram(argv, terminalIo(color), packageVersion()));
}
