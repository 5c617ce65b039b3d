import { spawnSync } from 'node:child_process';

/**
 * Why these programs cannot be had here, or undefined when all are. As root on Debian missing ones are
 * installed. Packages by the program each is wanted for: `{ postfix: '/usr/sbin/postfix', swaks: 'swaks' }`.
 */
export function missingPrograms(wanted: Readonly<Record<string, string>>): string | undefined {
  const absent = Object.entries(wanted).filter(([, program]) => !isThere(program));
  if (absent.length === 0) return undefined;
  const packages = absent.map(([name]) => name);
  if (process.getuid?.() !== 0 || !isThere('apt-get')) return skipped(packages, 'needs root and apt-get');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): boolean =>
    spawnSync('apt-get', ['-q', ...args], { env: environment, stdio: ['ignore', 2, 2] }).status === 0;
  const install = (): boolean => apt('install', '-y', '--no-install-recommends', ...packages);
  if (!install()) {
    apt('update');
    if (!install()) return skipped(packages, 'apt-get failed');
  }
  const still = absent.filter(([, program]) => !isThere(program));
  return still.length === 0 ? undefined : skipped(packages, 'not there after installing');
}

function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;
}

function skipped(packages: readonly string[], why: string): string {
  const reason = `SKIPPED: ${packages.join(', ')} missing (${why})`;
  process.stderr.write(`\n*** ${reason}\n`);
  return reason;
}
