import { Resolver } from 'node:dns/promises';
import { canonicalIp } from '../ip.ts';
import type { Dns, DnsAnswer } from '../ports.ts';

const attemptTimeoutMs = 5_000;
const attempts = 2;
/** c-ares: no such name, no record of that type, or not a name at all. Anything else may pass. */
const noneCodes = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

/**
 * Asks name servers directly (c-ares); never `dns.lookup`, which would take a thread of the pool
 * that syncs use. `servers`: `127.0.0.1:5353`; default: those of /etc/resolv.conf.
 */
export function systemDns(servers?: readonly string[]): Dns {
  const resolver = new Resolver({ timeout: attemptTimeoutMs, tries: attempts });
  if (servers !== undefined) resolver.setServers(servers);
  return {
    async addresses(name) {
      // RFC 6761 6.3: localhost names never leave the machine.
      if (/^(?:.+\.)?localhost\.?$/i.test(name)) return { kind: 'found', addresses: ['127.0.0.1', '::1'] };
      return merged(
        await Promise.all([asAnswer(() => resolver.resolve4(name)), asAnswer(() => resolver.resolve6(name))]),
      );
    },
  };
}

/** One family's failure does not hide what the other found; "none" needs both to say so. */
function merged(answers: readonly DnsAnswer[]): DnsAnswer {
  const found = answers.flatMap((answer) => (answer.kind === 'found' ? answer.addresses : []));
  if (found.length > 0) return { kind: 'found', addresses: found };
  return answers.find((answer) => answer.kind === 'failed') ?? { kind: 'none' };
}

async function asAnswer(ask: () => Promise<string[]>): Promise<DnsAnswer> {
  try {
    return { kind: 'found', addresses: (await ask()).map((text) => canonicalIp(text) ?? text) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'EUNKNOWN';
    return noneCodes.has(code) ? { kind: 'none' } : { kind: 'failed', code };
  }
}
