import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountingRecords, Daemon, makeSite, type Site, waitUntil } from '../ledger/daemon.ts';
import { run } from './mailClients.ts';
import { missingPostfix, PrivatePostfix } from './privatePostfix.ts';

const missing = missingPostfix();

describe.skipIf(missing !== undefined)('load from smtp-source through Penstock to Postfix', () => {
  let postfix: PrivatePostfix;
  let site: Site;
  let daemon: Daemon | undefined;

  beforeAll(async () => {
    postfix = await PrivatePostfix.start('discard');
    site = await makeSite({ sinkPort: postfix.port, domainLines: ['max-smtp-out 20'] });
    daemon = await Daemon.start(site);
  });
  afterAll(async () => {
    await daemon?.stop();
    await postfix?.stop();
    await site?.remove();
  });

  test.each([
    { messages: 10_000, recipients: 1 },
    { messages: 1_000, recipients: 10 },
  ])('$messages messages, recipients each: $recipients, are accounted as Postfix logs them, none missing or doubled', async ({
    messages,
    recipients,
  }) => {
    const domain = `r${recipients}.load.test`;
    const total = messages * recipients;
    const startMs = performance.now();
    const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1);
    const load = ['-s', '20', '-m', `${messages}`, '-r', `${recipients}`, '-l', '2048'];
    // -N: no recipient is named twice.
    const envelope = ['-N', '-f', `sender@${domain}`, '-t', `to@${domain}`, `127.0.0.1:${site.ports[0]}`];
    const source = await run('/usr/sbin/smtp-source', [...load, ...envelope]);
    expect(source).toEqual({ status: 0, stdout: '', stderr: '' });
    const acceptedAfter = seconds();

    let rows: Awaited<ReturnType<typeof accountingRecords>> = [];
    let log = '';
    await waitUntil(async () => {
      await delay(1_000);
      rows = (await accountingRecords(site)).filter(({ rcpt }) => rcpt?.endsWith(`@${domain}`));
      log = await postfix.log();
      return rows.length >= total && sentIn(log, domain).length >= total;
    }, 300_000);
    console.log(`${total} recipients: accepted after ${acceptedAfter} s, accounted after ${seconds()} s`);

    expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(['d']));
    const accounted = rows.map(({ rcpt, dsnDiag }) => `${queuedAs(dsnDiag)} ${rcpt}`).sort();
    expect(accounted).toEqual(sentIn(log, domain));
    expect(new Set(rows.map(({ rcpt }) => rcpt)).size).toBe(total);
    expect(accounted).toHaveLength(total);
    // Every message Postfix took is one that it sent: nothing came that no row tells of.
    expect(takenIn(log, domain)).toEqual([...new Set(accounted.map((line) => line.split(' ')[0]!))]);
  });
});

/** The queue id in Postfix' final reply, by which its log knows the message. */
function queuedAs(reply: string | undefined): string | undefined {
  return /queued as (\w+)/.exec(reply ?? '')?.[1];
}

/** `id recipient` of everything to this domain that the log calls sent, sorted. */
function sentIn(log: string, domain: string): string[] {
  return [...log.matchAll(/: (\w+): to=<(.*?)>.*? status=sent /g)]
    .filter(([, , to]) => to!.endsWith(`@${domain}`))
    .map(([, id, to]) => `${id} ${to}`)
    .sort();
}

/** Ids of all messages of this domain that entered the queue, sorted. */
function takenIn(log: string, domain: string): string[] {
  return [...log.matchAll(/: (\w+): from=<sender@(.*?)>/g)]
    .filter(([, , from]) => from === domain)
    .map(([, id]) => id!)
    .sort();
}
