import { canonicalIp } from './ip.ts';

/** The C library reads three (resolv.conf(5)). */
const serversMax = 3;

/** Addresses of the `nameserver` lines of a resolv.conf, a zone kept; without any, this host (resolv.conf(5)). */
export function nameServersOf(resolvConf: string): readonly string[] {
  const servers: string[] = [];
  for (const [, written] of resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)) {
    const [, text, zone = ''] = /^([^%]*)(%.+)?$/.exec(written!) ?? [];
    const address = canonicalIp(text ?? '');
    if (address !== undefined) servers.push(address + zone);
  }
  return servers.length === 0 ? ['127.0.0.1'] : servers.slice(0, serversMax);
}
