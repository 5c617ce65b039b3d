/** Message content as clients and receivers of a simulation handle it; independent of `protocol/`. */

const cr = 13;
const lf = 10;
const dot = 46;

/** Tells contents apart: 64 bits of a multiplicative hash, in hex. Not for adversaries. */
export function contentHash(content: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (let at = 0; at < content.length; at++) {
    a = Math.imul(a ^ content[at]!, 0x01000193);
    b = Math.imul(b, 31) + content[at]!;
  }
  b = Math.imul(b ^ (b >>> 15), 0x85ebca6b);
  return `${hex(a)}${hex(b)}`;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** The content without the one Received field a relay put before it (RFC 5321 section 4.4). */
export function withoutTrace(content: Uint8Array): Uint8Array {
  const name = 'received:';
  for (let i = 0; i < name.length; i++) {
    if (((content[i] ?? 0) | 0x20) !== (name.charCodeAt(i) | 0x20)) return content;
  }
  let at = 0;
  do {
    const end = content.indexOf(lf, at);
    if (end < 0) return content;
    at = end + 1;
  } while (content[at] === 0x20 || content[at] === 0x09);
  return content.subarray(at);
}

/** As DATA carries it (RFC 5321 section 4.5.2), closing dot line included; `content` ends in CRLF or is empty. */
export function dotStuffed(content: Uint8Array): Uint8Array {
  let dots = 0;
  for (let at = content.indexOf(dot); at >= 0; at = content.indexOf(dot, at + 1)) {
    if (at === 0 || content[at - 1] === lf) dots += 1;
  }
  const wire = new Uint8Array(content.length + dots + 3);
  let [from, to] = [0, 0];
  for (let at = content.indexOf(dot); at >= 0; at = content.indexOf(dot, at + 1)) {
    if (at > 0 && content[at - 1] !== lf) continue;
    wire.set(content.subarray(from, at), to);
    to += at - from;
    wire[to++] = dot;
    from = at;
  }
  wire.set(content.subarray(from), to);
  wire.set([dot, cr, lf], wire.length - 3);
  return wire;
}

/** Takes the content of a DATA command from the stream, dots un-stuffed (RFC 5321 section 4.5.2). */
export class ContentIntake {
  /** Octets a receiver must not be sent: bare CR or LF (RFC 5321 section 2.3.8). */
  bareLineEnds = 0;
  isComplete = false;
  #bytes = new Uint8Array(4096);
  #length = 0;
  #state: 'start' | 'dot' | 'dotCr' | 'text' | 'cr' = 'start';

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The index behind what belonged to the content. */
  take(bytes: Uint8Array, from: number): number {
    this.#makeRoom(bytes.length - from + 1);
    let at = from;
    while (at < bytes.length && !this.isComplete) {
      if (this.#state === 'text') at = this.#takeText(bytes, at);
      else this.#takeOctet(bytes[at++]!);
    }
    return at;
  }

  /** Up to the next control character. */
  #takeText(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length && bytes[at]! > cr) at++;
    this.#bytes.set(bytes.subarray(from, at), this.#length);
    this.#length += at - from;
    if (at < bytes.length) this.#takeOctet(bytes[at++]!);
    return at;
  }

  #takeOctet(octet: number): void {
    const before = this.#state;
    if (before === 'start' && octet === dot) {
      this.#state = 'dot';
      return;
    }
    if (before === 'dot' && octet === cr) {
      this.#state = 'dotCr';
      return;
    }
    if (before === 'dotCr') {
      if (octet === lf) {
        this.isComplete = true;
        return;
      }
      this.#bytes[this.#length++] = cr;
    }
    const hadCr = before === 'cr' || before === 'dotCr';
    if (hadCr !== (octet === lf)) this.bareLineEnds += 1;
    this.#bytes[this.#length++] = octet;
    this.#state = octet === cr ? 'cr' : octet === lf && hadCr ? 'start' : 'text';
  }

  #makeRoom(sizeBytes: number): void {
    if (this.#length + sizeBytes <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.#length + sizeBytes));
    grown.set(this.content);
    this.#bytes = grown;
  }
}
