// Builds the model with g++ and compares its runs with what the *.runs files expect.
//   node test/spool-model/run.mjs [short|page|long]   exit 0: as expected, 1: not, 0 with a notice: no g++
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const set = process.argv[2] ?? 'short';
const binary = join(here, 'model');

if (spawnSync('g++', ['--version']).error) {
  console.log('SKIPPED: the spool model needs g++, and there is none');
  process.exit(0);
}
execFileSync('g++', ['-O3', '-march=native', '-std=c++17', '-o', binary, join(here, 'model.cpp')]);

/** A line is `options => the first words of the answer`; `#` begins a comment. */
const runs = readFileSync(join(here, `${set}.runs`), 'utf8')
  .split('\n')
  .filter((line) => line.includes('=>') && !line.startsWith('#'))
  .map((line) => line.split('=>').map((part) => part.trim()));

let wrong = 0;
for (const [options, expected] of runs) {
  const { stdout, status } = spawnSync(binary, options.split(/\s+/), {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  const answer = summary(stdout.split('\n')[0]);
  const right = answer.startsWith(expected);
  if (!right) wrong += 1;
  console.log(`${right ? 'as expected' : 'UNEXPECTED '}  ${options} => ${answer || `exit ${status}`}`);
  if (!right) console.log(`   expected: ${expected}\n${stdout}`);
}
console.log(
  wrong === 0 ? `${runs.length} runs, all as expected` : `${wrong} of ${runs.length} runs UNEXPECTED`,
);
process.exit(wrong === 0 ? 0 : 1);

/** `OK 1234 states, depth 5`, `STOPPED ...`, or `depth 12: the broken promise`. */
function summary(line = '') {
  const found = /^VIOLATION after \d+ states, (depth \d+: .*)$/.exec(line);
  if (found) return found[1];
  const whole = /^OK: (\d+) states, .*(depth \d+), .* (\d+) cut/.exec(line);
  if (!whole) return line;
  return `OK ${whole[1]} states, ${whole[2]}${whole[3] === '0' ? '' : `, ${whole[3]} cut`}`;
}
