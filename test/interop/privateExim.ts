import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '../ledger/daemon.ts';
import { missingPrograms } from './debianPackages.ts';
import { endDaemon } from './privateDaemon.ts';
import { greets } from './privatePostfix.ts';

/** Libraries of exim4-daemon-light by a file of each; the package itself cannot be installed beside Postfix. */
const libraries = {
  'libgnutls-dane0': '/usr/lib/*/libgnutls-dane.so.0',
  libidn12: '/usr/lib/*/libidn.so.12',
  libnsl2: '/usr/lib/*/libnsl.so.2',
  'libdb5.3': '/usr/lib/*/libdb-5.3.so',
};
const startMaxMs = 20_000;

export interface TakenMessage {
  /** Exim's message id. */
  readonly id: string;
  readonly recipient: string;
}

/** Why there can be no private Exim here, said aloud; undefined when there can. */
export function missingExim(): string | undefined {
  const missing = missingPrograms(libraries);
  if (missing !== undefined || process.getuid?.() === 0) return missing;
  process.stderr.write('\n*** SKIPPED: a private Exim needs root\n');
  return 'a private Exim needs root';
}

/** Unpacks Debian's Exim into the folder, and makes the account it was built for; the path of its program. */
function unpacked(folder: string): string {
  const steps = [
    `cd ${folder} && apt-get -q download exim4-daemon-light`,
    `cd ${folder} && dpkg -x exim4-daemon-light_*.deb package`,
    'id Debian-exim || useradd --system --user-group --no-create-home Debian-exim',
  ];
  for (const step of steps) {
    const { status, stderr } = spawnSync('sh', ['-c', step], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${step}: ${stderr}`);
  }
  return join(folder, 'package', 'usr', 'sbin', 'exim4');
}

/** An Exim as receiver with configuration, spool and log in one temporary folder. It takes all mail and drops it. */
export class PrivateExim {
  readonly #folder: string;
  readonly #daemon: ChildProcess;

  private constructor(folder: string, daemon: ChildProcess) {
    this.#folder = folder;
    this.#daemon = daemon;
  }

  static async start(at: { readonly address: string; readonly port: number }): Promise<PrivateExim> {
    const folder = await mkdtemp(join(tmpdir(), 'penstock-exim-'));
    await chmod(folder, 0o755);
    for (const name of ['spool', 'log']) await mkdir(join(folder, name));
    const configFile = join(folder, 'exim.conf');
    await writeFile(configFile, configText(folder, at));
    spawnSync('chown', ['-R', 'Debian-exim:Debian-exim', join(folder, 'spool'), join(folder, 'log')]);
    // A group of its own: its children end with it.
    const daemon = spawn(unpacked(folder), ['-bdf', '-C', configFile], { detached: true, stdio: 'ignore' });
    const exim = new PrivateExim(folder, daemon);
    if (await waitUntil(() => greets(at.port, at.address), startMaxMs)) return exim;
    const log = await exim.log();
    await exim.stop();
    throw new Error(`Exim does not greet; its log:\n${log}`);
  }

  log(): Promise<string> {
    return readFile(join(this.#folder, 'log', 'main.log'), 'utf8').catch(() => '');
  }

  /** Every delivery it logged, by its `=>` and `->` lines. */
  async taken(): Promise<readonly TakenMessage[]> {
    const lines = (await this.log()).matchAll(/ (\S+) [=-]> (?::blackhole: )?<?([^\s>]+@[^\s>]+)>? /g);
    return [...lines].map(([, id, recipient]) => ({ id: id!, recipient: recipient! }));
  }

  stop(): Promise<void> {
    return endDaemon(this.#daemon, this.#folder);
  }
}

function configText(folder: string, { address, port }: { address: string; port: number }): string {
  return `primary_hostname = exim.test
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%s.log
pid_file_path = ${folder}/exim.pid
local_interfaces = ${address}
daemon_smtp_ports = ${port}
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 0
smtp_load_reserve = 1000
deliver_queue_load_max = 1000
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
accept_8bitmime = true
log_selector = +received_recipients
acl_smtp_rcpt = take
acl_smtp_data = take
never_users =
keep_environment =
deliver_drop_privilege = true
begin acl
take:
  accept
begin routers
drop:
  driver = redirect
  data = :blackhole:
begin transports
begin retry
* * F,1h,1m
`;
}
