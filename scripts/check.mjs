// `npm run check`: format, lint, types and the rules of the house; one line a step, details only on failure.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { install, root } from './prepare.mjs';

const tsc = 'node_modules/typescript/bin/tsc';
// `node_modules/.bin/tsc` would be the older compiler that only the house tests use (docs/dependencies.md).
const steps = [
  ['format and lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '.'],
  ['types', tsc, '-p', 'tsconfig.json'],
  ['pure files', tsc, '-p', 'tsconfig.pure.json'],
  ['rules of the house', 'node_modules/vitest/vitest.mjs', 'run', 'test/house'],
];

install();
let failures = 0;
for (const [name, script, ...args] of steps) {
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(20)} ${seconds} s`);
  if (status === 0) continue;
  failures++;
  console.log(`${stdout}${stderr}`);
}
process.exitCode = failures === 0 ? 0 : 1;
