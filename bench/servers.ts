/** The servers a round can measure, each with folders and configuration of its own, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { PrivatePostfix } from '../test/interop/privatePostfix.ts';
import { Daemon, freePorts, makeSite, waitUntil } from '../test/ledger/daemon.ts';
import { SmtpConversation } from '../test/ledger/smtpConversation.ts';
import type { Scenario, ServerName } from './scenarios.ts';

/** One that greets. Its processes are the group of `pid`. */
export interface Server {
  readonly port: number;
  readonly pid: number;
  kill(): Promise<void>;
}

/** `nextHopPort`: where all mail goes; nobody may listen there. */
type Start = (scenario: Scenario, nextHopPort: number) => Promise<Server>;

export const startServer: Readonly<Record<ServerName, Start>> = {
  async penstock({ durability }, nextHopPort) {
    // An hour: what cannot be delivered is not to be tried again within the round.
    const site = await makeSite({
      sinkPort: nextHopPort,
      domainLines: ['retry-after 1h'],
      extra: `durability ${durability}`,
    });
    const daemon = await Daemon.start(site);
    return { port: site.ports[0]!, pid: daemon.pid, kill: () => daemon.kill() };
  },

  /** As a relay is tuned: many processes, cached connections. Without a next hop mail goes on hold. */
  async postfix({ nextHop }, nextHopPort) {
    // Its own account walks through our folder.
    chmodSync(tmpdir(), 0o755);
    const postfix = await PrivatePostfix.start('discard', {
      main: [
        'virtual_mailbox_domains =',
        `relayhost = [127.0.0.1]:${nextHopPort}`,
        'smtp_host_lookup = native',
        'default_process_limit = 250',
        'qmgr_message_active_limit = 50000',
        'qmgr_message_recipient_limit = 50000',
        'default_destination_concurrency_limit = 100',
        'initial_destination_concurrency = 50',
        `smtp_connection_cache_destinations = 127.0.0.1, [127.0.0.1]:${nextHopPort}`,
        'smtp_connection_reuse_count_limit = 1000',
        'smtp_tls_security_level = none',
        ...(nextHop === 'unreachable'
          ? ['smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject']
          : []),
      ],
      services: ['smtp unix - - n - - smtp', 'scache unix - - n - 1 scache'],
    });
    return { port: postfix.port, pid: postfix.pid, kill: () => postfix.stop() };
  },

  /** One process with its own queue on disk. */
  async haraka({ nextHop }, nextHopPort) {
    const folder = mkdtempSync(join(tmpdir(), 'haraka-'));
    const [port] = await freePorts(1);
    writeHarakaConfig(folder, port!, nextHopPort, nextHop === 'sink');
    const child = spawn(process.execPath, [join(harakaFolder()!, 'bin/haraka'), '-c', folder], {
      detached: true,
      stdio: 'ignore',
    });
    const kill = () => killGroup(child);
    if (await waitUntil(() => greets(port!), startMaxMs)) return { port: port!, pid: child.pid!, kill };
    await kill();
    throw new Error('Haraka does not greet');
  },
};

const startMaxMs = 20_000;

/** Why a server cannot be measured here, with what would help; undefined when it can. */
export function missingServer(name: ServerName): string | undefined {
  if (name === 'postfix') {
    if (!existsSync('/usr/sbin/postfix')) return 'no /usr/sbin/postfix: apt-get install postfix';
    return process.getuid?.() === 0 ? undefined : 'a private Postfix needs root';
  }
  if (name === 'haraka' && harakaFolder() === undefined) {
    return 'no haraka in PATH, nor HARAKA=/folder/of/the/package: npm install --prefix DIR Haraka';
  }
  return undefined;
}

/** Where its package lies. */
function harakaFolder(): string | undefined {
  const { HARAKA, PATH = '' } = process.env;
  if (HARAKA !== undefined) return existsSync(join(HARAKA, 'bin/haraka')) ? HARAKA : undefined;
  const program = PATH.split(delimiter)
    .map((folder) => join(folder, 'haraka'))
    .find(isProgram);
  return program && dirname(dirname(realpathSync(program)));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

function writeHarakaConfig(folder: string, port: number, nextHopPort: number, isDelivering: boolean): void {
  for (const name of ['config', 'plugins', 'queue']) mkdirSync(join(folder, name));
  // Without it Haraka limits what a connection may say.
  cpSync(join(harakaFolder()!, 'config/connection.ini'), join(folder, 'config/connection.ini'));
  const files: Readonly<Record<string, string>> = {
    'config/plugins': 'bench_relay\n',
    'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n`,
    'config/log.ini': '[main]\nlevel=warn\n',
    'config/loglevel': 'WARN\n',
    'config/me': 'haraka.test\n',
    'config/queue_dir': `${join(folder, 'queue')}\n`,
    'config/databytes': '52428800\n',
    'config/outbound.ini': `disabled=${!isDelivering}\nconcurrency_max=100\nenable_tls=false\nlocal_mx_ok=true\n`,
    'plugins/bench_relay.js': harakaPlugin(nextHopPort),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

/** It takes mail from and for anybody, all of it for the next hop. */
function harakaPlugin(nextHopPort: number): string {
  return `'use strict';
exports.register = function () {
  this.register_hook('connect', 'relay_all');
  this.register_hook('rcpt', 'take_all');
  this.register_hook('get_mx', 'to_next_hop');
};
exports.relay_all = (next, connection) => { connection.relaying = true; next(); };
exports.take_all = (next) => next(OK);
exports.to_next_hop = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: ${nextHopPort} });
`;
}

async function greets(port: number): Promise<boolean> {
  const conversation = new SmtpConversation(port);
  const greeting = await conversation.reply();
  conversation.close();
  return greeting?.startsWith('220') === true;
}

async function killGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid!, 'SIGKILL');
  await ended;
}
