/** The proof in words (operator 4.3). */
import { addressBits, formatCidr } from '../base/ip.ts';
import { addressCount, cidrsOf, differenceOf, type IpSet, isEmptyIpSet } from '../base/ipRanges.ts';
import type { Config, Origin } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';
import type { RelayGrant } from './access.ts';
import { reachOf } from './addressSpace.ts';
import type { OpenRelay, ProvenGrant } from './relaying.ts';

/** More ranges or lines than this are summed up. */
const shown = 3;

/** One for each. A message is a block of lines: what, which lines, who, the dialogue that would succeed. */
export function openRelayFindings(config: Config, openRelays: readonly OpenRelay[]): Finding[] {
  // Listeners that treat clients alike share the set of them, and with it what is said of it.
  const shared = new Map<IpSet, OpenWords>();
  return openRelays.map((open) => {
    const isShared = open.grants.every(({ grant }) => !grant.implied);
    const words = (isShared ? shared.get(open.clients) : undefined) ?? openWords(config, open);
    if (isShared) shared.set(open.clients, words);
    return openRelayFinding(config, open, words);
  });
}

interface OpenWords {
  /** Those of the most clients first. */
  readonly deciding: readonly RelayGrant[];
  readonly deciders: ReadonlySet<Origin | undefined>;
  readonly who: string;
}

function openWords(config: Config, { grants, clients, family, listenerIndex }: OpenRelay): OpenWords {
  const reach = reachOf(config.listeners[listenerIndex]!.address);
  const sized = grants.map(({ grant, publicClients }) => ({
    grant,
    size: addressCount(publicClients, family),
  }));
  sized.sort((a, b) => (a.size < b.size ? 1 : a.size > b.size ? -1 : 0));
  return {
    deciding: sized.map(({ grant }) => grant),
    deciders: new Set(grants.map(({ grant }) => grant.origin)),
    who: `Anyone in ${rangeText(clients, family, reach)} (${shareText(clients, family)})`,
  };
}

function openRelayFinding(config: Config, open: OpenRelay, { deciding, deciders, who }: OpenWords): Finding {
  const listener = config.listeners[open.listenerIndex]!;
  const origins = [
    listener.origin,
    ...deciding.slice(0, shown).flatMap(({ block, origin }) => [block, origin]),
  ];
  const message = [
    `listener ${listenerName(config, open.listenerIndex)} is an open relay${
      open.wideAlone ? '' : ' together with the other listeners named'
    }`,
    ...[...new Set(origins)]
      .filter((origin) => origin !== undefined)
      .map((origin) => sourceLine(origin, deciders)),
    ...(deciding.length > shown ? [`and ${deciding.length - shown} more grants like these`] : []),
    `${who} may relay without AUTH.`,
    `Witness: client ${open.witnessAddress}, MAIL FROM:<a@x>, RCPT TO:<${open.rcptTo}> -> 250`,
  ];
  return {
    level: 'error',
    code: 'E-OPEN-RELAY',
    message: message.join('\n'),
    origin: listener.origin,
    underline: 0,
    fix: fixes[deciding[0]!.kind](deciding[0]!),
    refusesRun: true,
  };
}

const fixes: Record<RelayGrant['kind'], (grant: RelayGrant) => string> = {
  'always-allow-relaying': (grant) =>
    `narrow ${(grant.block && lineText(grant.block)) ?? 'the source'} to the hosts that submit mail, or name those hosts in ` +
    'allowed-hosts of a <smtp-listener> block',
  'allowed-hosts': () => 'narrow allowed-hosts to the hosts that submit mail',
  'loopback-block': () => 'give the listener a <source>',
  'relay-domain': () => 'name the domains that are yours in relay-domain',
};

/** The theorem with every grant, or the count of listeners that break it. */
export function proofLines(
  config: Config,
  grants: readonly ProvenGrant[],
  openRelays: readonly OpenRelay[],
): string[] {
  const open = openRelays.length;
  const verdict =
    open === 0
      ? 'proof: closed. Without AUTH only these may relay:'
      : `proof: FAILED (${open} of ${config.listeners.length} listeners). Without AUTH these may relay:`;
  const byListener = config.listeners.map((): ProvenGrant[] => []);
  for (const proven of grants) byListener[proven.listenerIndex]!.push(proven);
  // Listeners with the same answers share the sets, and with them the words.
  const texts = new Map<IpSet, string>();
  const listed = new Map<IpSet, number>();
  const lines = config.listeners.flatMap((listener, index) => {
    const own = byListener[index]!;
    const isShared = own.length > shown && own.every(({ grant }) => !grant.implied);
    const like = isShared ? listed.get(own[0]!.clients) : undefined;
    if (like !== undefined) {
      return [`  listener ${listenerName(config, index)}: the same as ${listenerName(config, like)}`];
    }
    if (own.length > 0) listed.set(own[0]!.clients, index);
    return [
      `  listener ${listenerName(config, index)}${own.length === 0 ? ': nobody' : ''}`,
      ...own.flatMap(({ grant, clients, publicClients }) => {
        const family = clients[4].length > 0 ? 4 : 6;
        const text = texts.get(clients) ?? rangeText(clients, family, reachOf(listener.address));
        texts.set(clients, text);
        return [
          `    ${text}${isEmptyIpSet(publicClients) ? '' : '  (public)'}`,
          `      ${grant.text}${grant.implied ? ', implied' : ''}${grant.origin ? ` (${place(grant.origin)})` : ''}`,
        ];
      }),
    ];
  });
  return [verdict, ...lines];
}

export function listenerName(config: Config, index: number): string {
  const { address, port } = config.listeners[index]!;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `config:14` */
export function place(origin: Origin): string {
  return `${origin.file}:${origin.line}`;
}

/** `10.0.0.0/8, 192.0.2.7`, or `0.0.0.0/0 except 127.0.0.0/8` where that is shorter. */
export function rangeText(set: IpSet, family: 4 | 6, reach: IpSet): string {
  const inside = prefixTexts(set, family);
  if (inside.length === 1) return inside[0]!;
  const outside = prefixTexts(differenceOf(reach, set), family);
  if (inside.length <= outside.length) return listText(inside);
  const whole = prefixTexts(reach, family);
  // What a listener on :: can have is ::/0 without the mapped IPv4 addresses: no news to a reader.
  const everyone = whole.length === 1 ? whole[0]! : '::/0';
  return outside.length === 0 ? everyone : `${everyone} except ${listText(outside)}`;
}

function prefixTexts(set: IpSet, family: 4 | 6): string[] {
  const single = `/${addressBits(family)}`;
  return Array.from(cidrsOf(set, family), (cidr) => {
    const text = formatCidr(cidr);
    return text.endsWith(single) ? text.slice(0, -single.length) : text;
  });
}

function listText(texts: readonly string[]): string {
  const rest = texts.length - shown;
  return texts.slice(0, shown).join(', ') + (rest > 0 ? ` and ${rest} more ranges` : '');
}

/** `99.6% of IPv4`, or a count where the share would read as nothing. */
function shareText(set: IpSet, family: 4 | 6): string {
  const count = addressCount(set, family);
  const perMille = Number((count * 1000n) >> BigInt(addressBits(family)));
  if (perMille > 0) return `${perMille / 10}% of IPv${family}`;
  if (family === 4) return `${count} addresses`;
  const bits = count.toString(2).length - 1;
  return `${count === 1n << BigInt(bits) ? '' : 'over '}2^${bits} addresses`;
}

/** The line without its comment and its columns. */
function lineText(origin: Origin): string {
  return origin.text.replace(/#.*$/, '').trim().replace(/\s+/g, ' ');
}

function sourceLine(origin: Origin, deciders: ReadonlySet<Origin | undefined>): string {
  return `${String(origin.line).padStart(5)} | ${lineText(origin)}${deciders.has(origin) ? '   <- decides' : ''}`;
}
