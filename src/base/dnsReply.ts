import { canonicalIp } from './ip.ts';
import type { DnsAnswer, DnsData, DnsType, MxRecord } from './ports.ts';

/** A reply of a name server, its octets read. Names without a final dot; the root is `.`. */
export interface DnsReply {
  /** NOERROR, NXDOMAIN, SERVFAIL ... */
  readonly rcode: string;
  readonly isAuthoritative: boolean;
  readonly offersRecursion: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
}

export interface DnsRecord {
  readonly name: string;
  /** A, MX, CNAME ... */
  readonly type: string;
  readonly ttlS: number;
  /** As the library gives it: a text, or an object with fields of its type. */
  readonly data: unknown;
}

/** `alias`: the reply ends in another name, of which it says nothing. */
export type DnsFinding<Data> =
  | DnsAnswer<Data>
  | { readonly kind: 'alias'; readonly target: string; readonly ttlMs: number };

/** Aliases followed, in one reply or over several. */
export const aliasesMax = 8;

/** What a reply says of a name. */
export function readReply<T extends DnsType>(reply: DnsReply, name: string, type: T): DnsFinding<DnsData[T]> {
  if (reply.rcode !== 'NOERROR' && reply.rcode !== 'NXDOMAIN') return failed(reply.rcode);
  let owner = spelled(name);
  let ttlMs = Number.POSITIVE_INFINITY;
  let aliases = 0;
  for (let alias = aliasOf(reply, owner); alias !== undefined; alias = aliasOf(reply, owner)) {
    aliases += 1;
    // A circle, or as good as one.
    if (aliases > aliasesMax) return failed('ALIASES');
    owner = alias.target;
    ttlMs = Math.min(ttlMs, alias.ttlMs);
  }
  const records: DnsData[T][] = [];
  for (const record of reply.answers) {
    if (record.type !== type || spelled(record.name) !== owner) continue;
    const data = dataOf[type](record.data);
    if (data === undefined) return failed('BADRESP');
    records.push(data);
    ttlMs = Math.min(ttlMs, ttlMsOf(record));
  }
  if (records.length > 0) return { kind: 'found', records, ttlMs };
  const soa = reply.authorities.find((record) => record.type === 'SOA');
  const negativeMs = soa === undefined ? 0 : Math.min(ttlMs, negativeTtlMs(soa));
  // RFC 2308 2.1: it is the last name of a chain that does not exist.
  if (reply.rcode === 'NXDOMAIN') return { kind: 'none', exists: false, ttlMs: negativeMs };
  if (soa !== undefined) return { kind: 'none', exists: true, ttlMs: negativeMs };
  if (aliases > 0) return { kind: 'alias', target: owner, ttlMs };
  // RFC 2308 2.2: without SOA but with NS it is a referral, and who refers does not look up for us.
  const isReferral = reply.authorities.some((record) => record.type === 'NS');
  const isLame = isReferral || !(reply.isAuthoritative || reply.offersRecursion);
  return isLame ? failed('LAME') : { kind: 'none', exists: true, ttlMs: 0 };
}

/** One spelling for each name: ASCII letters in lower case (RFC 4343), no final dot. */
export function spelled(name: string): string {
  const lower = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** Whether a text can be put as a question: labels of 1 to 63 visible ASCII characters, 253 in all (RFC 1035 2.3.4). */
export function isDnsName(name: string): boolean {
  return name.length <= 253 && /^[\x21-\x2d\x2f-\x7e]{1,63}(\.[\x21-\x2d\x2f-\x7e]{1,63})*$/.test(name);
}

type DataReaders = { readonly [T in DnsType]: (data: unknown) => DnsData[T] | undefined };

const dataOf: DataReaders = { A: addressOf, AAAA: addressOf, MX: mxOf };

function addressOf(data: unknown): string | undefined {
  return typeof data === 'string' ? canonicalIp(data) : undefined;
}

function mxOf(data: unknown): MxRecord | undefined {
  const { preference, exchange } = (data ?? {}) as Partial<Record<string, unknown>>;
  if (typeof exchange !== 'string') return undefined;
  return { preference: typeof preference === 'number' ? preference : 0, exchange: spelled(exchange) };
}

function aliasOf(reply: DnsReply, owner: string): { target: string; ttlMs: number } | undefined {
  const record = reply.answers.find(({ type, name }) => type === 'CNAME' && spelled(name) === owner);
  if (typeof record?.data !== 'string') return undefined;
  return { target: spelled(record.data), ttlMs: ttlMsOf(record) };
}

/** RFC 2181 8: one with the highest bit set counts as 0. */
function ttlMsOf({ ttlS }: DnsRecord): number {
  return ttlS >= 2 ** 31 ? 0 : ttlS * 1000;
}

/** RFC 2308 5: the lesser of the SOA's own TTL and its MINIMUM field. */
function negativeTtlMs(soa: DnsRecord): number {
  const { minimum } = (soa.data ?? {}) as { minimum?: unknown };
  return Math.min(ttlMsOf(soa), typeof minimum === 'number' ? minimum * 1000 : 0);
}

function failed(code: string): { readonly kind: 'failed'; readonly code: string } {
  return { kind: 'failed', code };
}
