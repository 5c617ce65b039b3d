import type { Dns } from '../base/ports.ts';
import { type LocalCause, type NextHop, type ResolvedHop, unresolvedHop } from '../delivery/nextHop.ts';

export interface ResolvedHops {
  readonly groups: readonly (readonly ResolvedHop[])[];
  /** Why some name gave no address: what to say when none did. */
  readonly failure: LocalCause | undefined;
}

/** The addresses of every next hop, its name asked of DNS where it is one. */
export async function resolveHops(groups: readonly (readonly NextHop[])[], dns: Dns): Promise<ResolvedHops> {
  let failure: LocalCause | undefined;
  const resolve = async ({ host, port, isAddress }: NextHop): Promise<ResolvedHop> => {
    if (isAddress) return { host, port, addresses: [host] };
    const answer = await dns.addresses(host);
    if (answer.kind === 'found') return { host, port, addresses: answer.addresses };
    failure = unresolvedHop(host, answer);
    return { host, port, addresses: [] };
  };
  const resolved = await Promise.all(groups.map((group) => Promise.all(group.map(resolve))));
  return { groups: resolved, failure };
}
