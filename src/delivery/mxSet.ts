import type { DnsAnswer, MxRecord } from '../base/ports.ts';
import type { LocalCause } from './nextHop.ts';

/**
 * A cause, and what it means for the queue. `bounce`: nobody in it can be reached; `dnsError`: no name
 * server knew for now; `wait`: like a host that does not answer.
 */
export interface NoRoute extends LocalCause {
  readonly means: 'bounce' | 'dnsError' | 'wait';
  /** It concerns only who has waited so long. */
  readonly leastAgeMs?: number;
}

/** A host that takes mail for a domain. */
export interface MxHost {
  readonly host: string;
  readonly preference: number;
}

/** `isImplicit`: there is no MX, the domain itself is the host (RFC 5321 5.1). */
export type MxSet =
  | { readonly kind: 'hosts'; readonly hosts: readonly MxHost[]; readonly isImplicit: boolean }
  | ({ readonly kind: 'none' } & NoRoute);

/** More of them help nobody; the best are kept. */
const hostsMax = 20;

/**
 * The hosts for a domain, best preference first.
 * @param bounceUponNoMx `true`: a domain without MX gets no mail
 */
export function mxSetOf(domain: string, answer: DnsAnswer<MxRecord>, bounceUponNoMx: boolean): MxSet {
  if (answer.kind === 'failed') {
    return none('dnsError', '4.4.3', `looking up the MX of ${domain} failed (${answer.code})`);
  }
  if (answer.kind === 'none') {
    if (!answer.exists) return none('bounce', '5.1.2', `no such domain: ${domain}`);
    if (bounceUponNoMx) return { kind: 'none', ...noMx(domain, 0) };
    return { kind: 'hosts', hosts: [{ host: domain, preference: 0 }], isImplicit: true };
  }
  // RFC 7505 3: a null MX stands alone. Beside others it is a mistake, and means nothing.
  const hosts = answer.records
    .filter(({ exchange }) => exchange !== '.')
    .map(({ exchange, preference }) => ({ host: exchange, preference }));
  if (hosts.length === 0) return none('bounce', '5.1.10', `${domain} takes no mail (null MX)`);
  const best = [...hosts].sort((x, y) => x.preference - y.preference).slice(0, hostsMax);
  return { kind: 'hosts', hosts: best, isImplicit: false };
}

/** bounce-upon-no-mx with an interval: who has waited so long for a domain without MX waits no longer. */
export function noMx(domain: string, leastAgeMs: number): NoRoute {
  return { means: 'bounce', status: '5.4.4', diagnostic: `${domain} has no MX`, leastAgeMs };
}

function none(means: NoRoute['means'], status: string, diagnostic: string): MxSet {
  return { kind: 'none', means, status, diagnostic };
}
