import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentHash } from '../ledger/content.ts';
import { accountingOf, Daemon, makeSite, type Site, waitUntil } from '../ledger/daemon.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Sink } from '../ledger/sink.ts';
import { corpusMessages, missingCorpus } from './corpusMessages.ts';
import { missingPrograms } from './debianPackages.ts';
import { clients } from './mailClients.ts';
import { traceOf } from './trace.ts';

const missing = missingCorpus() ?? missingPrograms({ swaks: 'swaks', curl: 'curl', python3: 'python3' });
const messages = missing === undefined ? corpusMessages() : [];
const broken = messages.filter(({ lineFault }) => lineFault !== undefined);
const sound = messages.length - broken.length;

const recipientOf = (client: string, i: number): string => `${client}-${i}@corpus.test`;

describe.skipIf(missing !== undefined)('the corpus through Penstock', () => {
  const ledger = new Ledger();
  const contents = new Map<string, Buffer[]>();
  let sink: Sink;
  let site: Site;
  let daemon: Daemon | undefined;

  beforeAll(async () => {
    sink = await Sink.start({ receptions: ledger.receptions, contents });
    site = await makeSite({ sinkPort: sink.port });
    daemon = await Daemon.start(site);
  });
  afterAll(async () => {
    await daemon?.stop();
    await sink?.stop();
    await site?.remove();
  });

  test('holds six messages that break the line rules of RFC 5322', () => {
    expect(broken.map(({ name, lineFault }) => `${name}: ${lineFault?.what}`)).toHaveLength(6);
  });

  test.each([
    'swaks',
    'curl',
    'smtplib',
  ] as const)(`%s: ${sound} messages arrive byte for byte, ${broken.length} are refused with 550 5.6.0`, async (client) => {
    const mails = messages.map(({ content }, i) => ({
      from: 'sender@corpus.test',
      to: recipientOf(client, i),
      content,
    }));
    const replies = await clients[client](mails, { port: site.ports[0]! });

    // One wrong reply is easier to understand than a ledger.
    const surprising = messages.flatMap(({ name, lineFault }, i) => {
      const reply = replies[i] ?? 'none';
      const expected = lineFault && `550 5.6.0 ${lineFault.what} in line ${lineFault.line} of the message`;
      const isExpected = expected === undefined ? reply.startsWith('250 ') : reply === expected;
      return isExpected ? [] : [`${name}: ${reply}; not ${expected ?? '250'}`];
    });
    expect(surprising).toEqual([]);

    for (const [i, { content }] of messages.entries()) {
      const told = replies[i]!.startsWith('250') ? 'stored' : 'refused';
      ledger.submissions.push({ recipient: recipientOf(client, i), contentHash: contentHash(content), told });
    }
    const stored = ledger.submissions.filter(({ told }) => told === 'stored').length;
    await waitUntil(async () => {
      ledger.accounting = await accountingOf(site);
      return ledger.accounting.length >= stored && ledger.receptions.length >= stored;
    }, 30_000);

    const changed = messages.flatMap(({ name, content, lineFault }, i) => {
      const received = contents.get(recipientOf(client, i)) ?? [];
      if (lineFault !== undefined) return received.length === 0 ? [] : [`${name}: arrived`];
      const trace = received[0] && traceOf(received[0], content);
      return trace === 'penstock.test' ? [] : [`${name}: ${received.length} times, trace ${trace}`];
    });
    expect(changed).toEqual([]);
    expect(ledger.violations()).toEqual([]);
  });
});
