/**
 * RFC 5321 4.1.2 reverse-path and forward-path, with the UTF-8 of RFC 6531 3.3. This is the only
 * address parser of the listener: what access judges and what routing sends to is its one result.
 */
import { formatIp, parseIp } from '../base/ip.ts';
import { toRoutableDomain } from './domainName.ts';

export interface Path {
  /** Byte for byte as given, quotes kept; '' for the null reverse-path. */
  readonly localPart: string;
  /**
   * The domain that is judged and routed: lower-case A-labels, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
   * '' for the null reverse-path and for `<postmaster>`.
   */
  readonly domain: string;
  /** As given, without brackets. */
  readonly text: string;
  /**
   * The local part holds `%`, `!`, `@` or `:`, quoted or not: some systems read a further route in it,
   * so such a path must not be relayed on the strength of its domain.
   */
  readonly routedLocalPart: boolean;
  /** Some character is not ASCII: legal only with SMTPUTF8. */
  readonly international: boolean;
}

/**
 * `sourceRoute`: `<@relay:user@domain>`, which RFC 5321 appendix C lets us refuse; never relayed by.
 * `tooLong`: RFC 5321 4.5.3.1. `badDomain`: what follows the `@` is neither a domain nor a literal.
 */
export type PathFault = 'syntax' | 'tooLong' | 'badDomain' | 'sourceRoute';

export interface ParsedPath {
  readonly path: Path;
  /** What follows `>`: '' or parameters after a space. */
  readonly rest: string;
}

const nullPath: Path = { localPart: '', domain: '', text: '', routedLocalPart: false, international: false };

/** RFC 5321 4.5.3.1.1 to 4.5.3.1.3, octets; the path counts its brackets. */
const localPartOctets = 64;
const domainOctets = 255;
const pathOctets = 256;

/** RFC 5322 3.2.3 atext, by code. */
const atext = new Uint8Array(128);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~") {
  atext[character.charCodeAt(0)] = 1;
}

/** `text` begins with `<`, as it follows `FROM:` or `TO:`. `<>` is a reverse-path, `<postmaster>` a forward-path. */
export function parsePath(text: string, which: 'reverse' | 'forward'): ParsedPath | PathFault {
  if (text.charCodeAt(0) !== 0x3c) return 'syntax';
  const first = text.charCodeAt(1);
  if (first === 0x3e) {
    return which === 'reverse' ? withRest(nullPath, text, 2) : 'syntax';
  }
  if (first === 0x40) return 'sourceRoute';
  const localEnd = first === 0x22 ? quotedStringEnd(text, 1) : dotStringEnd(text, 1);
  if (localEnd < 0) return 'syntax';
  const localPart = text.slice(1, localEnd);
  if (octetLength(localPart) > localPartOctets) return 'tooLong';
  if (text.charCodeAt(localEnd) === 0x3e) {
    // RFC 5321 4.1.1.3: the one address without a domain.
    if (which === 'reverse' || localPart.toLowerCase() !== 'postmaster') return 'syntax';
    return withRest({ ...nullPath, localPart, text: localPart }, text, localEnd + 1);
  }
  if (text.charCodeAt(localEnd) !== 0x40) return 'syntax';
  const close = text.indexOf('>', localEnd);
  if (close < 0) return 'syntax';
  const given = text.slice(localEnd + 1, close);
  const address = text.slice(1, close);
  const octets = octetLength(address);
  if (given.length > domainOctets || octets + 2 > pathOctets) return 'tooLong';
  const domain = given.startsWith('[') ? routableLiteral(given) : toRoutableDomain(given);
  if (domain === undefined) return 'badDomain';
  const path: Path = {
    localPart,
    domain,
    text: address,
    // A next hop may fold compatibility forms: a fullwidth percent sign routes there as the plain one does.
    routedLocalPart: /[%!@:]/.test(localPart.normalize('NFKC')),
    international: octets !== address.length,
  };
  return withRest(path, text, close + 1);
}

function withRest(path: Path, text: string, from: number): ParsedPath | PathFault {
  if (from === text.length) return { path, rest: '' };
  return text.charCodeAt(from) === 0x20 ? { path, rest: text.slice(from) } : 'syntax';
}

/** Dot-string = Atom *("." Atom). The index behind it, or -1. */
function dotStringEnd(text: string, from: number): number {
  let at = from;
  let atomAt = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x80 ? atext[code] === 1 : isInternationalText(code)) continue;
    if (code !== 0x2e) break;
    if (at === atomAt) return -1;
    atomAt = at + 1;
  }
  return at === atomAt ? -1 : at;
}

/** Quoted-string = DQUOTE *QcontentSMTP DQUOTE. The index behind the closing quote, or -1. */
function quotedStringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code === 0x5c) {
      const escaped = text.charCodeAt(++at);
      if (!(escaped >= 0x20 && escaped <= 0x7e)) return -1;
    } else if (code < 0x80 ? code < 0x20 || code === 0x7f : !isInternationalText(code)) return -1;
  }
  return -1;
}

/** Non-ASCII code units except C1 controls and the Unicode line ends, which no log or row survives. */
function isInternationalText(code: number): boolean {
  return code >= 0xa0 && code !== 0x2028 && code !== 0x2029;
}

/** RFC 5321 4.1.3. An IPv4-mapped IPv6 address is the IPv4 address it means. */
function routableLiteral(text: string): string | undefined {
  const match = /^\[(IPv6:)?([0-9A-Fa-f.:]+)\]$/i.exec(text);
  const ip = match === null ? undefined : parseIp(match[2]!);
  // Without its tag an IPv6 address is no literal, and with it an IPv4 one is none.
  if (ip === undefined || (match![1] !== undefined) !== match![2]!.includes(':')) return undefined;
  return ip.family === 4 ? `[${formatIp(ip)}]` : `[IPv6:${formatIp(ip)}]`;
}

/** UTF-8 octets of a well-formed text. */
function octetLength(text: string): number {
  let octets = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Each half of a surrogate pair stands for two of its four octets.
    if (code >= 0x80) octets += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2;
  }
  return octets;
}
