import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedDns } from './simulatedDns.ts';

/**
 * How mail for a domain finds its receiver: by an address or a name in smtp-hosts, by MX, as its own host
 * without MX, or not at all, for it has a null MX.
 */
export type WorldRoute = 'address' | 'named' | 'mx' | 'implicit' | 'nobody';

/** A name of DNS said not to exist. */
export interface AbsenceNote {
  readonly name: string;
  readonly atMs: number;
}

/** Addresses that DNS gives and nobody may connect to. */
export const guardedPrefix = '10.66.';

/** `addresses`: more than one has to have a name. */
export function drawRoute(random: SeededRandom, addresses: number, isDead: boolean): WorldRoute {
  const routes = ['named', 'mx', 'implicit', addresses === 1 ? 'address' : 'mx'] as const;
  return isDead && random.oneIn(2) ? 'nobody' : random.pick(routes);
}

/** The line of its `<domain>`; undefined: DNS decides. */
export function smtpHostsLine(route: WorldRoute, name: string, address: string): string | undefined {
  if (route === 'address') return `    smtp-hosts [${address}]`;
  return route === 'named' ? `    smtp-hosts ${mxName(name)}` : undefined;
}

/** Tells DNS of a domain, with some that cannot be reached beside its MX. */
export function putIntoDns(dns: SimulatedDns, { name, route, addresses, number }: RoutedDomain): void {
  if (route === 'named' || route === 'mx') dns.set(mxName(name), addresses);
  if (route === 'implicit') dns.set(name, addresses);
  if (route === 'nobody') dns.setMx(name, [{ preference: 0, exchange: '.' }]);
  if (route !== 'mx') return;
  dns.set(`inner.${name}`, [`${guardedPrefix}${number}.1`]);
  dns.setMx(name, [
    { preference: 20, exchange: mxName(name) },
    { preference: 5, exchange: `gone.${name}` },
    { preference: 10, exchange: `inner.${name}` },
  ]);
}

export interface RoutedDomain {
  readonly name: string;
  readonly number: number;
  readonly route: WorldRoute;
  readonly addresses: readonly string[];
}

/**
 * Whether a bounce without a remote is what DNS said shortly before: such a domain bounces when, and only
 * when, it was said not to exist, or to take no mail.
 */
export function isBounceOfDns(
  { name, route }: Pick<RoutedDomain, 'name' | 'route'>,
  status: string,
  wasAbsent: (name: string) => boolean,
): boolean {
  if (status === '5.1.10') return route === 'nobody';
  const byDns = route === 'mx' || route === 'implicit' || route === 'nobody';
  if (status === '5.1.2') return byDns && wasAbsent(name);
  return status === '5.4.4' && route === 'mx' && wasAbsent(mxName(name));
}

function mxName(name: string): string {
  return `mx.${name}`;
}
