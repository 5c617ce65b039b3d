import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../src/base/ports.ts';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';
import { missingPrograms } from './debianPackages.ts';
import { endDaemon } from './privateDaemon.ts';

const programs = '/usr/lib/postfix/sbin';
const startMaxMs = 20_000;
/** Should nobody stop it, it ends by itself. */
const lifeMaxS = '900';

/** Lines behind ours: of a parameter given twice Postfix takes the last. */
export interface MoreConfiguration {
  readonly main?: readonly string[];
  readonly services?: readonly string[];
  /** Where it listens; default: a free port of 127.0.0.1. */
  readonly at?: Endpoint;
}

/** Why there can be no private Postfix here, said aloud; undefined when there can. */
export function missingPostfix(): string | undefined {
  const missing = missingPrograms({ postfix: '/usr/sbin/postfix' });
  if (missing !== undefined || process.getuid?.() === 0) return missing;
  process.stderr.write('\n*** SKIPPED: a private Postfix needs root\n');
  return 'a private Postfix needs root';
}

/**
 * A Postfix as receiver with configuration, queue, mailbox and log in one temporary folder. It takes mail
 * for every address, changes nothing in it, and delivers to one maildir (or to nowhere).
 */
export class PrivatePostfix {
  readonly port: number;
  readonly #folder: string;
  readonly #master: ChildProcess;

  private constructor(port: number, folder: string, master: ChildProcess) {
    this.port = port;
    this.#folder = folder;
    this.#master = master;
  }

  static async start(delivery: 'maildir' | 'discard', more: MoreConfiguration = {}): Promise<PrivatePostfix> {
    const folder = await mkdtemp(join(tmpdir(), 'penstock-postfix-'));
    const address = more.at?.address ?? '127.0.0.1';
    const port = more.at?.port ?? (await freePorts(1))[0]!;
    await configure(folder, { address, port }, delivery, more);
    // A process group of its own: the master ends its children through the group.
    const master = spawn(join(programs, 'master'), ['-c', join(folder, 'etc'), '-d', '-e', lifeMaxS], {
      detached: true,
      stdio: 'ignore',
    });
    const postfix = new PrivatePostfix(port, folder, master);
    if (await waitUntil(() => greets(port, address), startMaxMs)) return postfix;
    const log = await postfix.log();
    await postfix.stop();
    throw new Error(`Postfix does not greet; its log:\n${log}`);
  }

  /** Its processes are the group of this one. */
  get pid(): number {
    return this.#master.pid!;
  }

  /** Everything it logged up to now. */
  log(): Promise<string> {
    return readFile(join(this.#folder, 'log', 'mail.log'), 'utf8').catch(() => '');
  }

  async letterCount(): Promise<number> {
    return (await this.#letterFiles()).length;
  }

  /** Contents in the maildir, in CRLF as they came, by recipient; without the lines virtual(8) put before them. */
  async letters(): Promise<Map<string, Buffer[]>> {
    const letters = new Map<string, Buffer[]>();
    for (const path of await this.#letterFiles()) {
      // A maildir keeps lines in LF; latin1 keeps every byte.
      const file = await readFile(path, 'latin1');
      const envelope = /^Return-Path: .*\nX-Original-To: .*\nDelivered-To: (.*)\n/.exec(file);
      if (envelope === null) throw new Error(`unexpected first lines in the maildir:\n${file.slice(0, 300)}`);
      const recipient = envelope[1]!;
      const content = Buffer.from(file.slice(envelope[0].length).replaceAll('\n', '\r\n'), 'latin1');
      letters.set(recipient, [...(letters.get(recipient) ?? []), content]);
    }
    return letters;
  }

  /** There is no maildir before the first letter. */
  async #letterFiles(): Promise<string[]> {
    const folder = join(this.#folder, 'mail', 'box', 'new');
    return (await readdir(folder).catch(() => [])).map((name) => join(folder, name));
  }

  stop(): Promise<void> {
    return endDaemon(this.#master, this.#folder);
  }
}

export async function greets(port: number, address: string): Promise<boolean> {
  const conversation = new SmtpConversation(port, address);
  const greeting = await conversation.reply();
  conversation.close();
  return greeting?.startsWith('220') === true;
}

async function configure(
  folder: string,
  { address, port }: Endpoint,
  delivery: 'maildir' | 'discard',
  { main = [], services = [] }: MoreConfiguration,
): Promise<void> {
  await chmod(folder, 0o755);
  for (const name of ['etc', 'spool', 'data', 'mail', 'log']) await mkdir(join(folder, name));
  const { uid, gid } = userNumbers('postfix');
  spawnSync('chown', ['postfix', join(folder, 'data'), join(folder, 'mail')]);
  await writeFile(
    join(folder, 'etc', 'main.cf'),
    `${mainCf(folder, delivery, uid, gid)}${main.map((line) => `${line}\n`).join('')}`,
  );
  await writeFile(join(folder, 'etc', 'master.cf'), masterCf(address, port, services));
  // It makes the queue's folders.
  const check = spawnSync('/usr/sbin/postfix', ['-c', join(folder, 'etc'), 'check'], { encoding: 'utf8' });
  if (check.status !== 0) throw new Error(`postfix check: ${check.stderr}${check.stdout}`);
}

function userNumbers(name: string): { uid: string; gid: string } {
  const [uid, gid] = ['-u', '-g'].map((which) =>
    spawnSync('id', [which, name], { encoding: 'utf8' }).stdout.trim(),
  );
  return { uid: uid!, gid: gid! };
}

function mainCf(folder: string, delivery: 'maildir' | 'discard', uid: string, gid: string): string {
  return `compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/data
daemon_directory = ${programs}
command_directory = /usr/sbin
# Short ids are used again once a message is gone: over 10,000 some come twice.
enable_long_queue_ids = yes
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${folder}/log/mail.log
maillog_file_prefixes = ${folder}
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_event_limit_exceptions = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
local_header_rewrite_clients =
message_drop_headers =
message_size_limit = 52428800
alias_maps =
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:box/
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_limit = 0
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
virtual_transport = ${delivery === 'maildir' ? 'virtual' : 'discard'}
`;
}

/** Only the services that take mail in and deliver it here: without more, nothing can leave. */
function masterCf(address: string, port: number, services: readonly string[]): string {
  const rows = [
    `${address}:${port} inet n - n - - smtpd`,
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'flush unix n - n 1000? 0 flush',
    'proxymap unix - - n - - proxymap',
    'virtual unix - n n - - virtual',
    'discard unix - - n - - discard',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'anvil unix - - n - 1 anvil',
    'postlog unix-dgram n - n - 1 postlogd',
    ...services,
  ];
  return `${rows.join('\n')}\n`;
}
