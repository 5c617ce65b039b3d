import type { Config } from '../config/config.ts';

/** Whether a host or endpoint is one of our own listeners: mail for it would come back to us. */
export interface OwnHosts {
  isOwnHost(name: string, port: number): boolean;
  isOwnEndpoint(address: string, port: number): boolean;
}

/** A listener on every address of its family. */
const wildcards = new Set(['0.0.0.0', '::']);

/**
 * A name of ours counts where a listener that others reach has the port: mail for `mail.example.com` may
 * well go to another server of that name on this machine.
 */
export function compileOwnHosts(
  config: Pick<Config, 'hostNames' | 'listeners' | 'virtualMtas' | 'smtpSourceHosts'>,
): OwnHosts {
  const names = new Set(config.hostNames.value);
  const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');
  const ports = new Set(config.listeners.flatMap(({ address, port }) => (isLoopback(address) ? [] : [port])));
  const sourceHosts = [config, ...config.virtualMtas].flatMap((one) => one.smtpSourceHosts);
  const local = sourceHosts.map(({ value }) => value.address);
  const endpoints = new Set(
    config.listeners.flatMap(({ address, port }) => {
      const isSameFamily = (other: string): boolean => other.includes(':') === address.includes(':');
      const addresses = wildcards.has(address) ? local.filter(isSameFamily) : [];
      return [address, ...addresses].map((one) => endpointKey(one, port));
    }),
  );
  return {
    isOwnHost: (name, port) => ports.has(port) && names.has(name),
    isOwnEndpoint: (address, port) => endpoints.has(endpointKey(address, port)),
  };
}

function endpointKey(address: string, port: number): string {
  return `${address} ${port}`;
}
