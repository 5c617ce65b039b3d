/** An IP address as a number. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is read as IPv4. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** `bits` leading bits of `first` count; host bits are zero. */
export interface Cidr {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly bits: number;
}

export function parseIp(text: string): IpAddress | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return { family: 4, value: v4 };
  const v6 = parseIpv6(text);
  if (v6 === undefined) return undefined;
  return v6 >> 32n === 0xffffn ? { family: 4, value: v6 & 0xffff_ffffn } : { family: 6, value: v6 };
}

/** Dotted quad, or for IPv6 the form of RFC 5952. */
export function formatIp(ip: IpAddress): string {
  return ip.family === 4 ? formatIpv4(ip.value) : formatIpv6(ip.value);
}

/** The one spelling under which addresses are compared as text; undefined when it is no address. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
}

export function addressBits(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** The last address of a range. */
export function lastOf(cidr: Cidr): bigint {
  return cidr.first | ((1n << BigInt(addressBits(cidr.family) - cidr.bits)) - 1n);
}

export function cidrContains(cidr: Cidr, ip: IpAddress): boolean {
  const shift = BigInt(addressBits(cidr.family) - cidr.bits);
  return cidr.family === ip.family && ip.value >> shift === cidr.first >> shift;
}

/**
 * `10.0.0.0/8`, PowerMTA's short prefixes `10/8` and `173.194/16`, single addresses, IPv6 (powermta a.2).
 * Host bits are cleared. `0/0` is IPv4 only here; who means "everything" adds ::/0.
 */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  if (match === null) return undefined;
  const [, addressText, bitsText] = match;
  const short = bitsText !== undefined && /^\d{1,3}(\.\d{1,3}){0,2}$/.test(addressText!);
  const full = short ? addressText + '.0'.repeat(4 - addressText!.split('.').length) : addressText!;
  const ip = parseIp(full);
  if (ip === undefined) return undefined;
  const bits = bitsText === undefined ? addressBits(ip.family) : Number(bitsText);
  if (bits > addressBits(ip.family)) return undefined;
  const host = BigInt(addressBits(ip.family) - bits);
  return { family: ip.family, first: (ip.value >> host) << host, bits };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp({ family: cidr.family, value: cidr.first })}/${cidr.bits}`;
}

function parseIpv4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0n;
  for (const part of match.slice(1)) {
    const octet = Number(part);
    if (octet > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = (value << 8n) | BigInt(octet);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2 || !text.includes(':')) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function groups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const last = parts.at(-1)!;
  const v4 = mayEndInIpv4 && last.includes('.') ? parseIpv4(last) : undefined;
  if (v4 !== undefined) parts.splice(-1, 1, (v4 >> 16n).toString(16), (v4 & 0xffffn).toString(16));
  const values: number[] = [];
  for (const part of parts) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    values.push(Number.parseInt(part, 16));
  }
  return values;
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
}

function formatIpv6(value: bigint): string {
  const parts = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && parts[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = (from: number, to: number): string =>
    parts
      .slice(from, to)
      .map((part) => part.toString(16))
      .join(':');
  if (best.at < 0) return hex(0, 8);
  return `${hex(0, best.at)}::${hex(best.at + best.length, 8)}`;
}
