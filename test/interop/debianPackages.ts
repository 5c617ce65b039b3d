import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Why these programs cannot be had here, or undefined when all are. As root on Debian missing ones are
 * installed. Packages by the program or file each is wanted for: `{ postfix: '/usr/sbin/postfix', swaks: 'swaks' }`.
 */
export function missingPrograms(wanted: Readonly<Record<string, string>>): string | undefined {
  const absent = Object.entries(wanted).filter(([, program]) => !isThere(program));
  if (absent.length === 0) return undefined;
  const packages = absent.map(([name]) => name);
  if (process.getuid?.() !== 0 || !isThere('apt-get')) return skipped(packages, 'needs root and apt-get');
  if (!installed(packages)) return skipped(packages, 'apt-get failed');
  const still = absent.filter(([, program]) => !isThere(program));
  return still.length === 0 ? undefined : skipped(packages, 'not there after installing');
}

function isThere(program: string): boolean {
  return (
    spawnSync('sh', ['-c', `command -v ${program} || ls -d ${program}`], { stdio: 'ignore' }).status === 0
  );
}

const servicePolicy = '/usr/sbin/policy-rc.d';
/** So that Debian's own Postfix stays without a configuration and cannot run. */
const debconfAnswers = 'postfix postfix/main_mailer_type select No configuration\n';

/** Installing for a test starts no service: Debian asks the policy file, 101 means no. */
function installed(packages: readonly string[]): boolean {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): boolean =>
    spawnSync('apt-get', ['-q', ...args], { env: environment, stdio: ['ignore', 2, 2] }).status === 0;
  const install = (): boolean => apt('install', '-y', '--no-install-recommends', ...packages);
  const hasPolicy = existsSync(servicePolicy);
  if (!hasPolicy) writeFileSync(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    spawnSync('debconf-set-selections', { input: debconfAnswers, stdio: ['pipe', 2, 2] });
    return install() || (apt('update') && install());
  } finally {
    if (!hasPolicy) rmSync(servicePolicy);
  }
}

function skipped(packages: readonly string[], why: string): string {
  const reason = `SKIPPED: ${packages.join(', ')} missing (${why})`;
  process.stderr.write(`\n*** ${reason}\n`);
  return reason;
}
