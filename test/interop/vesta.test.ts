import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountingRecords, Daemon, freePorts, type Site, waitUntil } from '../ledger/daemon.ts';
import { clients, run } from './mailClients.ts';
import { missingExim, PrivateExim } from './privateExim.ts';
import { missingPostfix, PrivatePostfix } from './privatePostfix.ts';
import { missingUnbound, PrivateUnbound, unboundAddress } from './privateUnbound.ts';

/** A public configuration as its operator wrote it; it lies outside the project. */
const corpusFile = '../shared/corpus/pmta-configs/07-viniciusklaos-vesta/config';
const isThere = existsSync(corpusFile);
if (!isThere) process.stderr.write(`\n*** SKIPPED: ${corpusFile} is absent\n`);
const canRun =
  isThere && [missingPostfix(), missingExim(), missingUnbound()].every((one) => one === undefined);

const at = { postfix: '127.0.9.1', exim: '127.0.9.2', nobody: '127.0.9.9' };
/** Names of the configuration's own lists, and others. */
const domainNames = [
  ...['gmail.com', 'googlemail.com', 'hotmail.com', 'hotmail.com.br', 'live.com', 'msn.com', 'outlook.com'],
  ...[
    'outlook.com.br',
    'yahoo.com',
    'yahoo.com.br',
    'ymail.com',
    'rocketmail.com',
    'bol.com.br',
    'uol.com.br',
  ],
  ...[
    'terra.com.br',
    'globo.com',
    'r7.com',
    'pop.com.br',
    'locaweb.com.br',
    'aol.com',
    'gmx.de',
    'orange.fr',
  ],
  ...['small.test', 'other.test'],
];
const bySmtpSource = 400;
const byCurl = 400;
const total = domainNames.length * bySmtpSource + byCurl;

/** Half of the domains live at either receiver; some name a host first that does not answer. */
function zone(): readonly string[] {
  return [
    `mx.postfix.test. 300 IN A ${at.postfix}`,
    `mx.exim.test. 300 IN A ${at.exim}`,
    `mx.gone.test. 300 IN A ${at.nobody}`,
    ...domainNames.flatMap((name, i) => [
      `${name}. 300 IN MX 20 ${i % 2 === 0 ? 'mx.postfix.test.' : 'mx.exim.test.'}`,
      ...(i % 5 === 0 ? [`${name}. 300 IN MX 10 mx.gone.test.`] : []),
    ]),
  ];
}

interface Places {
  readonly folder: string;
  readonly injectionPort: number;
  readonly receiverPort: number;
}

/** The configuration as it stands, but for addresses, ports and paths, and what this release does not do. */
function adapted(text: string, { folder, injectionPort, receiverPort }: Places): string {
  const joined = text
    .replace(/temporarily \r?\n\s*\+\)/, 'temporarily +)')
    .replace(/does not \r?\n\s*exist/, 'does not exist');
  const lines = joined.split(/\r?\n/).filter((line) => !/^\s*(dkim-|queue-to|route )/.test(line));
  const changes: readonly (readonly [RegExp, string])[] = [
    [/DOMINIODOCLIENTE/g, 'customer.test'],
    [/smtp-listener 127\.0\.0\.1:25251/, `smtp-listener 127.0.0.1:${injectionPort}`],
    [/\/var\/log\/pmta\/log/, join(folder, 'penstock.log')],
    [/\/var\/log\/pmta\/(acct|diag)\.csv/g, join(folder, 'acct', '$1.csv')],
    [/\/var\/spool\/pmta/, join(folder, 'spool')],
    [/<domain \*>/, `<domain *>\n\tdefault-smtp-port ${receiverPort}`],
    [/<source 127\.0\.0\.1>/, '<source 127.0.0.1>\n\tdefault-virtual-mta pmta-pool'],
  ];
  const changed = changes.reduce((now, [from, to]) => {
    expect(now).toMatch(from);
    return now.replace(from, to);
  }, lines.join('\n'));
  return `${changed}\nname-server ${unboundAddress}\nallow-loopback-mx yes\n`;
}

describe.skipIf(!canRun)('a PowerMTA configuration from the wild relays by MX to Postfix and Exim', () => {
  let postfix: PrivatePostfix | undefined;
  let exim: PrivateExim | undefined;
  let resolver: PrivateUnbound | undefined;
  let daemon: Daemon | undefined;
  let site: Site | undefined;

  beforeAll(async () => {
    const [injectionPort, receiverPort] = await freePorts(2);
    postfix = await PrivatePostfix.start('discard', {
      at: { address: at.postfix, port: receiverPort! },
    });
    exim = await PrivateExim.start({ address: at.exim, port: receiverPort! });
    resolver = await PrivateUnbound.start([], zone());
    const folder = await mkdtemp(join(tmpdir(), 'penstock-vesta-'));
    await mkdir(join(folder, 'acct'));
    const configFile = join(folder, 'config');
    const places = { folder, injectionPort: injectionPort!, receiverPort: receiverPort! };
    await writeFile(configFile, adapted(await readFile(corpusFile, 'utf8'), places));
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
    site = { folder, configFile, ports: [injectionPort!], remove };
    daemon = await Daemon.start(site);
  });
  afterAll(async () => {
    await daemon?.stop();
    await resolver?.stop();
    await exim?.stop();
    await postfix?.stop();
    await site?.remove();
  });

  test(`${total} messages for ${domainNames.length} domains: the rows equal both logs`, async () => {
    const port = site!.ports[0]!;
    const startMs = performance.now();
    for (const name of domainNames) {
      const load = ['-s', '4', '-m', `${bySmtpSource}`, '-N', '-l', '2048', '-f', 'news@sender.test'];
      const source = await run('/usr/sbin/smtp-source', [...load, '-t', `-r@${name}`, `127.0.0.1:${port}`]);
      expect(source).toEqual({ status: 0, stdout: '', stderr: '' });
    }
    const content = Buffer.from('From: <news@sender.test>\r\nSubject: by curl\r\n\r\nHello.\r\n');
    const mails = Array.from({ length: byCurl }, (_, i) => ({
      from: 'news@sender.test',
      to: `curl${i}@${domainNames[i % domainNames.length]!}`,
      content,
    }));
    const replies = await clients.curl(mails, { port });
    expect(replies.filter((reply) => !reply.startsWith('250'))).toEqual([]);
    const acceptedMs = performance.now() - startMs;

    let rows: Awaited<ReturnType<typeof accountingRecords>> = [];
    await waitUntil(async () => {
      await delay(1_000);
      rows = await accountingRecords(site!);
      const logged = sentByPostfix(await postfix!.log()).length + (await exim!.taken()).length;
      return rows.filter(({ type }) => type !== 't').length >= total && logged >= total;
    }, 300_000);
    const seconds = (ms: number): string => (ms / 1000).toFixed(1);
    console.log(
      `${total} messages: accepted after ${seconds(acceptedMs)} s, delivered after ${seconds(performance.now() - startMs)} s`,
    );

    const ended = rows.filter(({ type }) => type !== 't');
    expect(ended.map(({ type }) => type)).toEqual(Array(total).fill('d'));
    expect(new Set(ended.map(({ vmta, vmtaPool }) => `${vmtaPool} ${vmta}`))).toEqual(
      new Set(['pmta-pool queue-rollup']),
    );
    const told = (host: string, id: RegExp): string[] =>
      ended
        .filter(({ dsnMta }) => dsnMta?.startsWith(host))
        .map(({ dsnDiag, rcpt }) => `${id.exec(dsnDiag ?? '')?.[1]} ${rcpt}`)
        .sort();
    expect(told('mx.postfix.test', /queued as (\w+)/)).toEqual(sentByPostfix(await postfix!.log()));
    const taken = (await exim!.taken()).map(({ id, recipient }) => `${id} ${recipient}`).sort();
    expect(told('mx.exim.test', / id=(\S+)/)).toEqual(taken);
    expect(new Set(ended.map(({ rcpt }) => rcpt)).size).toBe(total);
  });
});

function sentByPostfix(log: string): string[] {
  return [...log.matchAll(/: (\w+): to=<(.*?)>.*? status=sent /g)].map(([, id, to]) => `${id} ${to}`).sort();
}
