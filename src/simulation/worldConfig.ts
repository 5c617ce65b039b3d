import type { Config, Rate } from '../config/config.ts';
import { memoryConfigFiles } from '../config/configFiles.ts';
import { readConfig } from '../config/readConfig.ts';
import type { SeededRandom } from './seededRandom.ts';
import { drawRoute, smtpHostsLine, type WorldRoute } from './worldRoutes.ts';

/** One recipient domain, its modelled ISP, and the limits its queues have. */
export interface WorldDomain {
  readonly name: string;
  readonly number: number;
  readonly route: WorldRoute;
  readonly addresses: readonly string[];
  readonly maxSmtpOut: number;
  readonly retryAfterMs: readonly number[];
  readonly retryRecipientsAfterMs: number;
  readonly bounceAfterMs: number;
  /** Nobody ever answers there: its mail expires. */
  readonly isDead: boolean;
  /** require-starttls. */
  readonly isTlsOnly: boolean;
  readonly maxMsgRate: Rate;
  readonly maxConnectRate: Rate;
  readonly smtpOutRampupIntervalMs: number;
}

export interface WorldVmta {
  readonly name: string;
  readonly address: string;
  /** Of all its queues together; 0: no limit. */
  readonly maxSmtpOut: number;
  readonly maxSmtpMsgRate: Rate;
}

export interface WorldConfig {
  readonly text: string;
  readonly config: Config;
  readonly domains: readonly WorldDomain[];
  readonly vmtas: readonly WorldVmta[];
  /** Ports of the engine's listeners on `machineAddress`. */
  readonly ports: readonly number[];
  readonly totalMaxSmtpOut: number;
  /** What each accounting file asks for, by path. */
  readonly acctFiles: readonly { readonly path: string; readonly records: string }[];
}

export const machineAddress = '10.0.0.1';
export const receiverPort = 25;
const minuteMs = 60_000;

/**
 * Draws a configuration: some domains and virtual MTAs with limits and waits small enough to be met. Rates have
 * numbers of their own: without them a world is as it would be.
 */
export function drawConfig(random: SeededRandom, rates: SeededRandom): WorldConfig {
  const hasRates = rates.oneIn(2);
  const rate = (oneIn: number, countMost: number): Rate =>
    hasRates && rates.oneIn(oneIn)
      ? { count: 1 + rates.below(countMost), perMs: rates.pick([2, 10, 60]) * 1000 }
      : undefined;
  const vmtas = Array.from({ length: 1 + random.below(3) }, (_, i) => ({
    name: `v${i + 1}`,
    address: `10.0.0.${11 + i}`,
    maxSmtpOut: hasRates && rates.oneIn(3) ? 1 + rates.below(4) : 0,
    maxSmtpMsgRate: rate(3, 30),
  }));
  const count = 3 + random.below(5);
  const domains = Array.from({ length: count }, (_, i) => ({
    ...drawDomain(random, i + 1, i > 1 && random.oneIn(8)),
    maxMsgRate: rate(2, 12),
    maxConnectRate: rate(3, 6),
    smtpOutRampupIntervalMs: hasRates && rates.oneIn(4) ? 1000 : 0,
  }));
  const totalMaxSmtpOut = random.oneIn(3) ? 2 + random.below(4) : 20;
  const ports = random.oneIn(2) ? [25] : [25, 2525];
  const acctFiles = [
    { path: '/acct/all.csv', records: random.oneIn(2) ? 'd,b,t' : 'd,b' },
    ...(random.oneIn(2) ? [{ path: '/acct/bounces.csv', records: 'b' }] : []),
    ...(random.oneIn(3) ? [{ path: '/acct/receipts.csv', records: 'r' }] : []),
  ];
  const parts = { domains, vmtas, ports, totalMaxSmtpOut, acctFiles };
  const text = configText(random, parts);
  return { text, config: configOf(text), ...parts };
}

/** The resolved configuration of a text that has no error. */
function configOf(text: string): Config {
  const { config, findings } = readConfig('world', memoryConfigFiles(new Map([['world', text]]), 'sim.test'));
  if (config === undefined) throw new Error(findings.map(({ message }) => message).join('\n'));
  return config;
}

type DrawnDomain = Omit<WorldDomain, 'maxMsgRate' | 'maxConnectRate' | 'smtpOutRampupIntervalMs'>;

function drawDomain(random: SeededRandom, number: number, isDead: boolean): DrawnDomain {
  const count = isDead ? 1 : 1 + random.below(2);
  const addresses = Array.from({ length: count }, (_, i) => `203.0.${number}.${i + 1}`);
  const name = `d${number}.test`;
  return {
    name,
    number,
    route: drawRoute(random, count, isDead),
    addresses,
    maxSmtpOut: 1 + random.below(4),
    retryAfterMs: random.pick([[minuteMs], [minuteMs, 3 * minuteMs], [2 * minuteMs, 5 * minuteMs]]),
    retryRecipientsAfterMs: (1 + random.below(5)) * minuteMs,
    bounceAfterMs: random.pick([4, 12, 60]) * minuteMs,
    isDead,
    isTlsOnly: random.oneIn(5),
  };
}

function configText(random: SeededRandom, parts: Omit<WorldConfig, 'text' | 'config'>): string {
  const { domains, vmtas, ports, totalMaxSmtpOut, acctFiles } = parts;
  const perConnection = random.oneIn(3) ? 1 + random.below(5) : 0;
  const lines = [
    'postmaster postmaster@sim.test',
    'host-name mx.sim.test',
    ...ports.flatMap((port) => [
      `<smtp-listener ${machineAddress}:${port}>`,
      '    default-virtual-mta-pool all',
      '</smtp-listener>',
    ]),
    '<source 10.9.0.0/16>',
    '    always-allow-relaying yes',
    `    add-received-header ${random.oneIn(4) ? 'no' : 'yes'}`,
    '</source>',
    `total-max-smtp-out ${totalMaxSmtpOut}`,
    ...vmtas.flatMap(({ name, address, maxSmtpOut, maxSmtpMsgRate }) => [
      `<virtual-mta ${name}>`,
      `    smtp-source-host ${address} ${name}.sim.test`,
      `    max-smtp-out ${maxSmtpOut}`,
      `    max-smtp-msg-rate ${rateText(maxSmtpMsgRate)}`,
      '</virtual-mta>',
    ]),
    '<virtual-mta-pool all>',
    ...vmtas.map(({ name }) => `    virtual-mta ${name}`),
    '</virtual-mta-pool>',
    '<domain *>',
    `    max-msg-per-connection ${perConnection}`,
    `    max-rcpt-per-message ${random.oneIn(3) ? 2 : 0}`,
    `    connection-idle-timeout ${random.pick(['1s', '10s'])}`,
    '    smtp-greeting-timeout 30s',
    '    smtp-data-termination-timeout 2m',
    '    connect-timeout 20s',
    '    data-send-timeout 1m',
    '</domain>',
    ...domains.flatMap((domain) => [
      `<domain ${domain.name}>`,
      ...[smtpHostsLine(domain.route, domain.name, domain.addresses[0]!) ?? []].flat(),
      `    max-smtp-out ${domain.maxSmtpOut}`,
      `    retry-after ${domain.retryAfterMs.map((ms) => `${ms / 1000}s`).join(',')}`,
      `    retry-recipients-after ${domain.retryRecipientsAfterMs / 1000}s`,
      `    bounce-after ${domain.bounceAfterMs / 1000}s`,
      `    require-starttls ${domain.isTlsOnly ? 'yes' : 'no'}`,
      `    max-msg-rate ${rateText(domain.maxMsgRate)}`,
      `    max-connect-rate ${rateText(domain.maxConnectRate)}`,
      `    smtp-out-rampup-interval ${domain.smtpOutRampupIntervalMs / 1000}s`,
      '</domain>',
    ]),
    '<spool /spool>',
    '</spool>',
    'log-file /log',
    ...acctFiles.flatMap(({ path, records }) => [
      `<acct-file ${path}>`,
      `    records ${records}`,
      `    max-size ${random.oneIn(3) ? '1M' : '50M'}`,
      '    delete-after never',
      '</acct-file>',
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function rateText(rate: Rate): string {
  return rate === undefined ? 'unlimited' : `${rate.count}/${rate.perMs / 1000}s`;
}
