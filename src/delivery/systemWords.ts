/** What the system's codes mean in the words that rules are written for (`connection refused`). */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ECONNABORTED: 'connection aborted',
  EPIPE: 'connection reset by peer',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'local address not available',
};

/** `connection refused, ECONNREFUSED`; a code that has no words as it is. */
export function systemWords(code: string): string {
  const known = Object.hasOwn(words, code) ? words[code] : undefined;
  return known === undefined ? code : `${known}, ${code}`;
}
