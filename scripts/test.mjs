// The tests. `npm test`: everything quick. `planted`, `crash`, `interop`, `long`: one each, with its own options behind it.
// The last line is always "N passed, N failed"; the exit code is 0 only when nothing failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';

const suites = {
  quick: (options) => vitest('vitest.config.ts', options),
  interop: (options) => vitest('test/interop/vitest.config.ts', options),
  planted: (options) => vitest('test/long/vitest.config.ts', options),
  crash,
  async long(options) {
    const parts = [await suites.planted(options), await suites.interop([]), await suites.crash([])];
    return parts.reduce((sum, part) => ({
      passed: sum.passed + part.passed,
      failed: sum.failed + part.failed,
    }));
  },
};

const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && Object.hasOwn(suites, first);
process.chdir(root);
// The end-to-end tests start bin/penstock many times at once: build before, not within them.
await prepare();
const { passed, failed } = await suites[named ? first : 'quick'](named ? rest : process.argv.slice(2));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function vitest(config, options) {
  if (!existsSync(join(root, config))) {
    console.log(`no ${config}: nothing to run`);
    return { passed: 0, failed: 0 };
  }
  const folder = mkdtempSync(join(tmpdir(), 'penstock-test-'));
  const report = join(folder, 'report.json');
  const { status } = spawnSync(
    process.execPath,
    [
      ...[join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', config, '--passWithNoTests'],
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...options],
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  try {
    return counts(JSON.parse(readFileSync(report, 'utf8')), status);
  } catch {
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that did not load and an error outside any test have no failed test, but are failures. */
function counts(report, status) {
  const unloaded = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const failed = report.numFailedTests + unloaded.length;
  return { passed: report.numPassedTests, failed: status === 0 ? failed : Math.max(failed, 1) };
}

async function crash(options) {
  const { build } = await import('./build.mjs');
  await build('test/crash/preload.ts', 'crashPreload.js');
  const { runCrashRounds } = await import(
    pathToFileURL(await build('test/crash/rounds.ts', 'crashRounds.js')).href
  );
  return runCrashRounds(options);
}
