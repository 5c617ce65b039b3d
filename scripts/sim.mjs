// The whole engine in deterministic simulation: npm run sim -- --seeds N [--seed S] [--shrink] [--mistake NAME].
import { pathToFileURL } from 'node:url';
import { build } from './build.mjs';
import { install, root } from './prepare.mjs';

process.chdir(root);
install();
const { simulate } = await import(
  pathToFileURL(await build('test/simulation/simulate.ts', 'simulate.js')).href
);
const { passed, failed } = await simulate(process.argv.slice(2));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
