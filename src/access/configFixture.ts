/** Configurations in a few words, for the tests of this folder. */
import { parseCidr, parseIp } from '../base/ip.ts';
import type {
  CidrText,
  Config,
  DomainPattern,
  InjectionSourceConfig,
  InjectionSourceSettings,
  ListenerConfig,
  Origin,
  Setting,
} from '../config/config.ts';

export interface FixtureListener {
  /** `10.0.0.1:25`, `[::]:25` */
  readonly at: string;
  readonly block?: boolean;
  readonly source?: string;
  /** Blank-separated. */
  readonly allowedHosts?: string;
  readonly pool?: string;
}

export interface Fixture {
  /** A text stands for a one-line listener. */
  readonly listeners: readonly (string | FixtureListener)[];
  /** What `<source ...>` covers, and what it sets; a text that is no range is a name. */
  readonly sources?: readonly (readonly [string, Partial<InjectionSourceSettings>])[];
  /** As in the file: `*`, `dom`, `*.dom`, `[*.]dom`, `[CIDR]`. */
  readonly relayDomains?: readonly string[];
  readonly hostNames?: readonly string[];
}

export const relays = { alwaysAllowRelaying: true };
export const noRelay = { alwaysAllowRelaying: false };

export function configOf(fixture: Fixture): Config {
  let line = 0;
  const written = (text: string): Origin => ({ file: 'config', line: ++line, column: 1, text });
  const setting = <T>(value: T, text: string): Setting<T> => ({ value, origin: written(text) });
  const byDefault = <T>(value: T): Setting<T> => ({ value, origin: undefined });

  const listener = (given: string | FixtureListener): ListenerConfig => {
    const { at, block, source, allowedHosts, pool }: FixtureListener =
      typeof given === 'string' ? { at: given } : given;
    const colon = at.lastIndexOf(':');
    return {
      address: at.slice(0, colon).replace(/[[\]]/g, ''),
      port: Number(at.slice(colon + 1)),
      origin: written(block ? `<smtp-listener ${at}>` : `smtp-listener ${at}`),
      blockForm: block ?? false,
      source: source === undefined ? undefined : setting(source, `source ${source}`),
      allowedHosts:
        allowedHosts === undefined
          ? undefined
          : setting(allowedHosts.split(' ').filter(Boolean).map(cidrText), `allowed-hosts ${allowedHosts}`),
      defaultVirtualMta: pool === undefined ? undefined : setting(pool, `default-virtual-mta ${pool}`),
      durability: undefined,
    };
  };
  const source = ([over, settings]: readonly [
    string,
    Partial<InjectionSourceSettings>,
  ]): InjectionSourceConfig => ({
    origin: written(`<source ${over}>`),
    over: /^[\d:]/.test(over) ? { kind: 'cidr', cidr: cidrText(over) } : { kind: 'name', name: over },
    settings: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [
        name,
        setting(value, `    ${directive(name)} ${word(value)}`),
      ]),
    ),
  });

  return {
    file: 'config',
    postmaster: byDefault([]),
    hostNames: setting(fixture.hostNames ?? ['mail.local.test'], 'host-name mail.local.test'),
    listeners: fixture.listeners.map(listener),
    injectionSources: (fixture.sources ?? []).map(source),
    relayDomains: (fixture.relayDomains ?? []).map((text) => setting(pattern(text), `relay-domain ${text}`)),
    virtualMtas: [],
    pools: [],
    patternLists: [],
    invalidVirtualMtaFallback: byDefault(''),
    domains: [],
    smtpPatternLists: [],
    bounceCategoryRules: [],
    acctFiles: [],
    nameServers: [],
    ednsUdpLength: { value: 1232, origin: undefined },
    spools: [byDefault('spool')],
    minFreeSpaceBytes: byDefault(0),
    logFile: byDefault('log'),
    totalMaxSmtpIn: byDefault(100),
    totalMaxSmtpOut: byDefault(1200),
    durability: byDefault('sync'),
    engines: byDefault(1),
    domainPrecedence: byDefault('specificity'),
    customDsnFromHeader: byDefault(''),
    smtpSourceHosts: [],
  };
}

export function cidrText(text: string): CidrText {
  const cidr = parseCidr(text)!;
  const [address] = text.split('/');
  const full =
    parseIp(address!) === undefined ? `${address}${'.0'.repeat(4 - address!.split('.').length)}` : address!;
  return { address: full, bits: cidr.bits };
}

function pattern(text: string): DomainPattern {
  if (text === '*') return { kind: 'all' };
  if (text.startsWith('[*.]')) return { kind: 'domainAndSubdomains', domain: text.slice(4) };
  if (text.startsWith('*.')) return { kind: 'subdomains', domain: text.slice(2) };
  if (text.startsWith('[')) return { kind: 'literal', cidr: cidrText(text.slice(1, -1)) };
  return { kind: 'exact', domain: text };
}

function directive(settingName: string): string {
  return settingName.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function word(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}
