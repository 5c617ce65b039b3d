/** What a remote offers in EHLO, and what of it we make use of. */
export interface RemoteOffer {
  /** Keywords in upper case, in the remote's order, comma separated. */
  readonly keywords: string;
  readonly pipelining: boolean;
  readonly starttls: boolean;
  readonly size: boolean;
  /** RFC 1870: the largest message it takes, octets; Infinity where it names no limit. */
  readonly sizeLimitBytes: number;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
}

/**
 * @param lines the text lines of a positive EHLO reply; the first is the remote's greeting (RFC 5321 section
 *   4.1.1.1). None after HELO.
 * @param ignored keywords, upper case, that are treated as not offered
 */
export function remoteOffer(lines: readonly string[], ignored: ReadonlySet<string>): RemoteOffer {
  const capabilities = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9-]{0,63})(?: +(.*))?$/.exec(line.trimEnd());
    if (match !== null) capabilities.set(match[1]!.toUpperCase(), match[2] ?? '');
  }
  const has = (keyword: string): boolean => capabilities.has(keyword) && !ignored.has(keyword);
  return {
    keywords: [...capabilities.keys()].join(','),
    pipelining: has('PIPELINING'),
    starttls: has('STARTTLS'),
    size: has('SIZE'),
    sizeLimitBytes: sizeLimit(capabilities.get('SIZE') ?? ''),
    eightBitMime: has('8BITMIME'),
    smtpUtf8: has('SMTPUTF8'),
  };
}

/** A remote of which nothing is known, or that knows HELO only. */
export const noOffer: RemoteOffer = remoteOffer([], new Set());

function sizeLimit(text: string): number {
  const limit = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}
