import { dnsPort, systemDns } from '../../base/node/dns.ts';
import type { Dns } from '../../base/ports.ts';
import type { Config } from '../config.ts';

/** The name servers of a configuration, or the system's. */
export function configuredDns({ nameServers, ednsUdpLength }: Config): Dns {
  const servers = nameServers.map(({ value }) => ({ address: value, port: dnsPort }));
  return systemDns({
    servers: servers.length === 0 ? undefined : servers,
    ednsUdpBytes: ednsUdpLength.value,
  });
}
