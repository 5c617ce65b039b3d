import { canonicalIp, formatIp, parseCidr, parseIp } from '../base/ip.ts';
import { toRoutableDomain } from '../protocol/domainName.ts';
import type { CidrText, DomainPattern, SmtpHost, SmtpHostGroup, SmtpSourceHost } from './config.ts';
import { splitWords } from './lexer.ts';
import {
  listOf,
  manyWords,
  oneWord,
  type Reading,
  readPort,
  right,
  splitAt,
  type ValueReader,
  wrong,
} from './values.ts';

/** Addresses, hosts and domains: the value types of powermta a.2 that name a place. */

export const ip = oneWord('IP', 'an IP address', canonicalIp);

export const host = oneWord('HOST', 'a host name such as mta1.example.com', toRoutableDomain);

/** A domain, or the name of a queue, which may hold an underscore. */
export const queue = oneWord('DOMAIN', 'a domain or queue name', toQueueDomain);

function toQueueDomain(word: string): string | undefined {
  if (parseIp(word) !== undefined) return undefined;
  return toRoutableDomain(word) ?? (/^[\w-]+(\.[\w-]+)*$/.test(word) ? word.toLowerCase() : undefined);
}

/** `10/8`; `0/0` means every address of both families, so this gives one range or two. */
export const cidr = oneWord('CIDR', 'an address or a range such as 10.0.0.0/8', parseCidrTexts);

export function parseCidrTexts(word: string): readonly CidrText[] | undefined {
  if (word === '0/0') return [...parseCidrTexts('0.0.0.0/0')!, ...parseCidrTexts('::/0')!];
  const range = parseCidr(word);
  if (range === undefined) return undefined;
  return [{ address: formatIp({ family: range.family, value: range.first }), bits: range.bits }];
}

/** Several ranges on a line, blanks or commas between them. */
export const cidrs: ValueReader<readonly CidrText[]> = {
  type: 'CIDR...',
  expected: 'addresses or ranges such as 10.0.0.0/8',
  list: false,
  read: (raw) => {
    const all: CidrText[] = [];
    for (const part of splitAt(raw, /[\s,]/)) {
      if (part.text === '') continue;
      const reading = cidr.read(part.text);
      if (reading.kind !== 'value') return { ...reading, at: part.at, length: part.text.length };
      all.push(...reading.value);
    }
    return all.length === 0 ? wrong('Expected addresses or ranges such as 10.0.0.0/8.') : right(all);
  },
};

/** What `<source ...>` covers: ranges, or a name such as `{auth}`. */
export type SourceArgument =
  | { readonly kind: 'cidr'; readonly cidrs: readonly CidrText[] }
  | { readonly kind: 'name'; readonly name: string };

export const sourceArgument = oneWord<SourceArgument>(
  'CIDR|NAME',
  'an address, a range such as 10.0.0.0/8, or a name',
  (word) => {
    const ranges = parseCidrTexts(word);
    if (ranges !== undefined) return { kind: 'cidr', cidrs: ranges };
    const isName = /^\{[\w.@-]+\}$/.test(word) || (/^[\w.@-]+$/.test(word) && !/^[\d.]+$/.test(word));
    return isName ? { kind: 'name', name: word } : undefined;
  },
);

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

export const listenAddress = oneWord<ListenAddress>(
  'ADDRESS:PORT',
  'an address and a port such as 192.0.2.1:25, 0/0:25 or [::]:25',
  readListenAddress,
);

function readListenAddress(word: string): ListenAddress | Reading<ListenAddress> | undefined {
  const match = /^(?:\[(.*)\]|(.*)):(\d+)$/.exec(word);
  const port = match === null ? undefined : readPort(match[3]!);
  if (match === null || port === undefined) return undefined;
  const written = match[1] ?? match[2]!;
  if (match[1] === undefined && written.includes(':') && !written.includes('/')) {
    return wrong('An IPv6 address stands in brackets here.', { fix: `write [${written}]:${port}` });
  }
  if (written === '0/0') return { address: '0.0.0.0', port };
  const ranges = parseCidrTexts(written);
  if (ranges === undefined) return undefined;
  const { address, bits } = ranges[0]!;
  const single = bits === (address.includes(':') ? 128 : 32);
  if (single || (bits === 0 && (address === '0.0.0.0' || address === '::'))) return { address, port };
  return wrong('A listener on every local address within a range is not supported.', {
    fix: 'write one smtp-listener for each address, or 0/0 for all',
  });
}

/** The one-line form: `ADDRESS:PORT [source=NAME]`. */
export const listenerLine = manyWords<ListenAddress & { readonly source: string | undefined }>(
  'ADDRESS:PORT [source=NAME]',
  `${listenAddress.expected}, then perhaps source=NAME`,
  1,
  2,
  ([first, second]) => {
    const at = listenAddress.read(first!.text);
    if (at.kind === 'wrong') return { ...at, length: first!.length };
    if (at.kind === 'notYet' || second === undefined) {
      return at.kind === 'notYet' ? at : right({ ...at.value, source: undefined });
    }
    const source = /^source=(\S+)$/i.exec(second.text)?.[1];
    if (source === undefined) return wrong('Expected source=NAME.', { at: second.at });
    return right({ ...at.value, source });
  },
);

/** `IP HOST`: the address to send from and the name to say in EHLO. */
export const sourceHost = manyWords<SmtpSourceHost>(
  'IP HOST',
  'an address and the EHLO name that goes with it',
  1,
  2,
  ([first, second]) => {
    const address = canonicalIp(first!.text);
    const hostName = second === undefined ? undefined : toRoutableDomain(second.text);
    const reversed = second !== undefined && (parseCidr(second.text) ?? undefined) !== undefined;
    if (address === undefined && reversed) {
      return wrong('The address comes first, then the name to say in EHLO; here they are reversed.', {
        code: 'E-REVERSED-SOURCE-HOST',
        fix: `write smtp-source-host ${second.text} ${first!.text}`,
      });
    }
    if (address === undefined) {
      if (parseCidr(first!.text) !== undefined)
        return { kind: 'notYet', what: 'a range of addresses to send from' };
      return wrong('Expected an IP address.', { length: first!.length });
    }
    if (second === undefined) return wrong('The EHLO name that goes with this address is missing.');
    if (hostName === undefined) return wrong('Expected a host name.', { at: second.at });
    return right({ address, hostName });
  },
);

const lookupMx = /^lookup-mx:/i;

/** `h1,h2;h3:port;lookup-mx:domain`. */
export const smtpHosts: ValueReader<readonly SmtpHostGroup[]> = {
  type: '[lookup-mx:]HOST[:PORT][,...][;...]',
  expected: 'hosts such as mx1.example.com,[192.0.2.1]:2525;lookup-mx:example.com',
  list: true,
  read: (raw) => {
    const words = splitWords(raw);
    if ('problem' in words) return wrong(words.problem, { at: words.at });
    const value = words.length === 1 ? words[0]!.text : raw;
    const groups: SmtpHostGroup[] = [];
    for (const group of splitAt(value, /;/)) {
      const hosts: SmtpHost[] = [];
      for (const part of splitAt(group.text, /,/)) {
        if (part.text === '') continue;
        const read = lookupMx.test(part.text) ? parseLookupMx(part.text) : parseSmtpHost(part.text);
        if (read === undefined) {
          const at = value === raw ? group.at + part.at : 0;
          return wrong('Expected a host name or address, perhaps with :PORT.', {
            at,
            length: part.text.length,
          });
        }
        hosts.push(read);
      }
      if (hosts.length > 0) groups.push(hosts);
    }
    return groups.length === 0 ? wrong(`Expected ${smtpHosts.expected}.`) : right(groups);
  },
};

/** The deprecated `route [192.0.2.1]:2525`: one host. */
export const route = oneWord<readonly SmtpHostGroup[]>(
  'HOST[:PORT]',
  'a host such as [192.0.2.1]:2525',
  (word) => {
    const read = parseSmtpHost(word);
    return read === undefined ? undefined : [[read]];
  },
);

function parseLookupMx(word: string): SmtpHost | undefined {
  const read = parseSmtpHost(word.replace(lookupMx, ''));
  return read === undefined || read.isAddress ? undefined : { ...read, lookupMx: true };
}

function parseSmtpHost(word: string): SmtpHost | undefined {
  const match = /^(\[(?:IPv6:)?([^\]]*)\]|[^:[\]]+)(?::(\d+))?$/i.exec(word);
  const bareIpv6 = match === null ? parseIp(word) : undefined;
  if (bareIpv6 !== undefined) return { host: formatIp(bareIpv6), isAddress: true, port: 0 };
  if (match === null) return undefined;
  const port = match[3] === undefined ? 0 : readPort(match[3]);
  if (port === undefined) return undefined;
  const address = canonicalIp(match[2] ?? match[1]!);
  if (address !== undefined) return { host: address, isAddress: true, port };
  const name = match[2] === undefined ? toRoutableDomain(match[1]!) : undefined;
  return name === undefined ? undefined : { host: name, isAddress: false, port };
}

/**
 * `*`, `dom`, `*.dom`, `[*.]dom`, `[CIDR]`, `{queue}`. `[0/0]` is every literal of both families, so this
 * gives one pattern or two; undefined when it is none.
 */
export function parseDomainPatterns(word: string): readonly DomainPattern[] | undefined {
  if (word === '*') return [{ kind: 'all' }];
  if (/^\{[\w.@-]+\}$/.test(word)) return [{ kind: 'exact', domain: word.toLowerCase() }];
  const literal = /^\[(?:IPv6:)?([\da-f.:/]+)\]$/i.exec(word);
  if (literal !== null) {
    return parseCidrTexts(literal[1]!)?.map((range) => ({ kind: 'literal', cidr: range }));
  }
  const match = /^(\*\.|\[\*\.\])?(.+)$/.exec(word);
  const domain = match === null ? undefined : toQueueDomain(match[2]!);
  if (domain === undefined) return undefined;
  const kinds = { '*.': 'subdomains', '[*.]': 'domainAndSubdomains' } as const;
  const prefix = match![1] as keyof typeof kinds | undefined;
  return [{ kind: prefix === undefined ? 'exact' : kinds[prefix], domain }];
}

export const domainPattern = oneWord<readonly DomainPattern[]>(
  'PATTERN',
  'a domain, *, *.domain, [*.]domain or [CIDR]',
  parseDomainPatterns,
);

/** `<domain ...>`: one pattern, which may hold macros (`$list`, `yahoo.$tld`); expanded when all are known. */
export const domainTag: ValueReader<string> = {
  type: 'PATTERN',
  expected: `${domainPattern.expected}, or a $macro`,
  list: false,
  read: (raw) => {
    const words = splitWords(raw);
    if ('problem' in words) return wrong(words.problem, { at: words.at });
    const [first] = words;
    const several = words.length > 1 || first?.text.includes(',') === true;
    if (several) {
      const all = raw.replace(/[\s,]+/g, ', ');
      return wrong('A <domain> tag takes one pattern.', {
        code: 'E-SEVERAL-DOMAINS',
        fix: `write "domain-macro LIST ${all}" above it, and <domain $LIST> here`,
      });
    }
    const word = first?.text ?? '';
    if (/\$\w/.test(word)) return right(word);
    const ipAlone = parseIp(word) !== undefined ? { fix: `write <domain [${word}]>` } : {};
    return parseDomainPatterns(word) === undefined
      ? wrong(`Expected ${domainTag.expected}.`, ipAlone)
      : right(word);
  },
};

/** A domain-macro: its name and the items of its list, which may use other macros. */
export interface DomainMacro {
  readonly name: string;
  readonly items: readonly string[];
}

const macroItems = listOf(
  oneWord('DOMAIN', 'domains, or their ends such as .co.uk', (word) =>
    /^[^\s"<>/]+$/.test(word) ? word : undefined,
  ),
);

export const domainMacro: ValueReader<DomainMacro> = {
  type: 'NAME DOMAIN,...',
  expected: 'a name and a comma list of domains',
  list: true,
  read: (raw) => {
    const match = /^(\w+)\s+(?=\S)/.exec(raw);
    if (match === null) {
      return /^\w+$/.test(raw)
        ? wrong('The list of this macro is missing.')
        : wrong('Expected a macro name.');
    }
    const items = macroItems.read(raw.slice(match[0].length));
    if (items.kind === 'wrong') return { ...items, at: items.at + match[0].length };
    return items.kind === 'notYet' ? items : right({ name: match[1]!.toLowerCase(), items: items.value });
  },
};

/** `host:port` or `[v6]:port`, for proxies. */
export const hostPort = oneWord('HOST:PORT', 'a host and a port such as proxy1:5000', (word) => {
  const read = parseSmtpHost(word);
  return read === undefined || read.port === 0 ? undefined : read;
});

/** `SELECTOR,DOMAIN,FILE` (RFC 6376 3.1: the selector names the key). */
export const domainKey: ValueReader<readonly string[]> = {
  type: 'SELECTOR,DOMAIN,FILE',
  expected: 'a selector, a domain or *, and a key file, with commas',
  list: false,
  read: (raw) => {
    const fields = splitAt(raw, /,/).map((part) => part.text);
    if (fields.length !== 3) {
      const problem = `domain-key takes three fields, selector,domain,file; this one has ${fields.length}.`;
      const [selector, ...rest] = fields;
      const middle = rest.find((field) => field !== selector && field.includes('.') && !field.includes('/'));
      const file = rest.at(-1);
      const known = fields.length > 3 && middle !== undefined;
      return wrong(problem, {
        code: 'E-DOMAIN-KEY-FIELDS',
        fix: known ? `one key is SELECTOR,${middle},${file}: one name, one domain, one file` : '',
      });
    }
    return fields.includes('') ? wrong(`Expected ${domainKey.expected}.`) : right(fields);
  },
};
