import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemDns } from '../../src/base/node/dns.ts';
import { waitUntil } from '../ledger/daemon.ts';
import { missingPrograms } from './debianPackages.ts';

const startMaxMs = 20_000;
/** Of its own, so that its port can be the one of DNS: configurations name servers by address alone. */
export const unboundAddress = '127.77.0.53';
const port = 53;

/** Why there can be no private Unbound here, said aloud; undefined when there can. */
export function missingUnbound(): string | undefined {
  const missing = missingPrograms({ unbound: '/usr/sbin/unbound', 'bind9-dnsutils': 'dig' });
  if (missing !== undefined || process.getuid?.() === 0) return missing;
  process.stderr.write('\n*** SKIPPED: a private Unbound on port 53 needs root\n');
  return 'a private Unbound needs root';
}

/** An Unbound that knows one zone, and of `broken.test` that nobody answers for it. */
export class PrivateUnbound {
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, process: ChildProcess) {
    this.#folder = folder;
    this.#process = process;
  }

  /**
   * `records`: lines of a zone file below `zone.test`. `elsewhere`: whole records of other names, which
   * have nothing else: `gmail.com. 300 IN MX 10 mx.test.`
   */
  static async start(records: readonly string[], elsewhere: readonly string[] = []): Promise<PrivateUnbound> {
    const folder = await mkdtemp(join(tmpdir(), 'penstock-unbound-'));
    await writeFile(join(folder, 'zone'), `${[...zoneHead, ...records].join('\n')}\n`);
    await writeFile(join(folder, 'unbound.conf'), configuration(folder, elsewhere));
    const child = spawn('/usr/sbin/unbound', ['-d', '-c', join(folder, 'unbound.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const unbound = new PrivateUnbound(folder, child);
    const dns = systemDns({ servers: [{ address: unboundAddress, port }], timeoutMs: 200 });
    const answers = async (): Promise<boolean> => (await dns.query('ns.zone.test', 'A')).kind === 'found';
    if (await waitUntil(answers, startMaxMs)) return unbound;
    await unbound.stop();
    throw new Error(`Unbound does not answer; it said:\n${said}`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const zoneHead = [
  '$ORIGIN zone.test.',
  '$TTL 300',
  '@ 900 IN SOA ns.zone.test. root.zone.test. 1 3600 600 86400 60',
  '@ IN NS ns',
  'ns IN A 127.77.0.53',
];

function configuration(folder: string, elsewhere: readonly string[]): string {
  const names = new Set(elsewhere.map((record) => record.split(' ')[0]!));
  const zones = [...names].map((name) => `  local-zone: "${name}" static\n`).join('');
  const records = elsewhere.map((record) => `  local-data: '${record}'\n`).join('');
  return `server:
  directory: "${folder}"
  pidfile: "${folder}/pid"
  chroot: ""
  username: ""
  use-syslog: no
  logfile: ""
  interface: ${unboundAddress}
  port: ${port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
  max-udp-size: 4096
  num-threads: 1
${zones}${records}remote-control:
  control-enable: no
auth-zone:
  name: "zone.test."
  zonefile: "${folder}/zone"
  for-downstream: yes
  for-upstream: yes
  fallback-enabled: no
forward-zone:
  name: "broken.test."
  forward-addr: 127.77.0.1@9
`;
}
