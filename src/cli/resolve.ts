import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { canonicalIp } from '../base/ip.ts';
import { nameServersOf } from '../base/nameServers.ts';
import { systemClock } from '../base/node/clock.ts';
import { dnsPort, systemDns } from '../base/node/dns.ts';
import { systemNet } from '../base/node/net.ts';
import { systemRandom } from '../base/node/random.ts';
import type { Endpoint } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { memoryConfigFiles } from '../config/configFiles.ts';
import { effectiveDomainSettings } from '../config/domainSettings.ts';
import { readConfig } from '../config/readConfig.ts';
import { DnsCache } from '../delivery/dnsCache.ts';
import { compileOwnHosts } from '../delivery/ownHosts.ts';
import { endpointsOf, Routes } from '../engine/routes.ts';
import { defaultVirtualMta, queueName } from '../message/names.ts';
import { toRoutableDomain } from '../protocol/domainName.ts';
import { compileRouting } from '../routing/routing.ts';
import { configurationOf } from './configuration.ts';
import type { ExitName } from './exitCodes.ts';
import { type Failure, misuse } from './failure.ts';
import { type Greeting, greet } from './greet.ts';
import { type ResolveReport, resolveLines, resolveReport } from './resolveReport.ts';
import { configOption, textOption, type Verb } from './verb.ts';

export const resolve: Verb = {
  name: 'resolve',
  summary: 'where mail for a domain goes, and why: what the daemon would find now',
  argument: ['DOMAIN', 'a recipient domain, or an address literal such as [192.0.2.1]'],
  options: [
    { ...configOption, meaning: 'the configuration that decides; default: none, so DNS alone does' },
    { flags: '--vmta NAME', meaning: 'the virtual MTA the mail is sent by' },
    { flags: '--server IP', meaning: 'the name server to ask, perhaps with :PORT' },
    { flags: '--connect', meaning: 'connect to each endpoint and hear its greeting' },
  ],
  async run(io, { argument, options }) {
    const domain = /^\[.*\]$/.test(argument) ? argument.toLowerCase() : toRoutableDomain(argument);
    if (domain === undefined) return misuse(`"${argument}" is no domain`);
    const configured = await configOf(options.config);
    if ('exit' in configured) return configured;
    const server = textOption(options, 'server');
    const asked = server === undefined ? undefined : endpointOf(server);
    if (server !== undefined && asked === undefined) return misuse(`--server ${server} is no address`);
    const report = await reportOf(domain, configured, textOption(options, 'vmta'), asked);
    if (typeof report === 'string') return misuse(report);
    const greetings = options.connect === true ? await greetAll(report) : undefined;
    const full = greetings === undefined ? report : { ...report, greetings };
    if (options.json) io.out(JSON.stringify(full));
    else for (const line of resolveLines(full)) io.out(line);
    return exitOf(full);
  },
};

/** Without a file the defaults of everything, and no listener that mail could come back to. */
async function configOf(file: string | undefined): Promise<Config | Failure> {
  if (file === undefined) {
    const { config } = readConfig(noConfig, memoryConfigFiles(new Map([[noConfig, '']]), hostname()));
    return { ...config!, listeners: [] };
  }
  const { config, findings } = await configurationOf(file);
  if (config !== undefined) return config;
  return { exit: 'error', code: 'configuration', message: `${file} has errors`, findings };
}

const noConfig = 'no configuration';

/** A text: what was wrong with the command line. */
async function reportOf(
  domain: string,
  config: Config,
  wantedVmta: string | undefined,
  server: Endpoint | undefined,
): Promise<ResolveReport | string> {
  const vmta = wantedVmta ?? defaultVirtualMta;
  const known = config.virtualMtas.find(({ name }) => name.toLowerCase() === vmta.toLowerCase());
  // Several take turns; the first speaks for them.
  const [sourceHost] = compileRouting(config).sourceHosts(vmta);
  if (sourceHost === undefined) return `there is no virtual MTA ${vmta}`;
  const settings = effectiveDomainSettings(config, domain, known?.name ?? vmta);
  const servers = server === undefined ? await serversOf(config) : [server];
  const dns = systemDns({ servers, ednsUdpBytes: config.ednsUdpLength.value });
  const routes = new Routes({
    cache: new DnsCache(dns, systemClock()),
    own: compileOwnHosts(config),
    random: systemRandom(),
  });
  const route = await routes.find(domain, settings, sourceHost.localAddress);
  return resolveReport({
    queue: queueName(domain, known?.name ?? vmta),
    sourceHost,
    servers,
    route,
    endpoints: endpointsOf(route, 0, settings.mxConnectionAttempts.value),
    bounceUponNoMx: settings.bounceUponNoMx.value,
  });
}

async function serversOf({ nameServers }: Config): Promise<readonly Endpoint[]> {
  const system = async (): Promise<readonly string[]> =>
    nameServersOf(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''));
  const addresses = nameServers.length > 0 ? nameServers.map(({ value }) => value) : await system();
  return addresses.map((address) => ({ address, port: dnsPort }));
}

/** `192.0.2.53`, `2001:db8::53`, and with a port `192.0.2.53:5353`, `[2001:db8::53]:5353`. */
function endpointOf(text: string): Endpoint | undefined {
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = canonicalIp(bracketed ?? plain ?? text);
  return address === undefined ? undefined : { address, port: Number(port ?? dnsPort) };
}

const greetingTimeoutMs = 10_000;

function greetAll({ endpoints, from }: ResolveReport): Promise<Greeting[]> {
  const net = systemNet();
  const localAddress = from ?? undefined;
  return Promise.all(
    endpoints.map(({ address, port }) =>
      greet(net, { remote: { address, port }, localAddress }, greetingTimeoutMs),
    ),
  );
}

function exitOf({ cause, greetings }: ResolveReport): ExitName {
  if (cause !== null) return cause.means === 'bounce' ? 'refused' : 'unknown';
  const isReached = greetings?.some((greeting) => greeting.kind === 'greeted' && greeting.isReady) ?? true;
  return isReached ? 'ok' : 'unreachable';
}
