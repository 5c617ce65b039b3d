/**
 * Message content on the wire: DATA with dot-stuffing (RFC 5321 4.5.2) and BDAT without (RFC 3030).
 * One pass over received chunks, nothing copied. Only CR LF is a line end and only CR LF . CR LF the
 * end of DATA; whatever else looks like one is a fault, so that no two servers can disagree about
 * where a message ends (SMTP smuggling).
 */

/** The wire forms of `message/envelope.ts`. */
export type ContentForm = 'dotStuffed' | 'raw';

export interface ContentFault {
  readonly kind: ContentFaultKind;
  /** Line of the content, counted from 1. */
  readonly line: number;
}

export type ContentFaultKind = 'bareCr' | 'bareLf' | 'nul' | 'longLine';

/** RFC 5321 4.5.3.1.6: 1000 octets with CRLF; the dot that stuffing adds is not counted. */
const textLineOctets = 998;

const nul = 0x00;
const tab = 0x09;
const lf = 0x0a;
const cr = 0x0d;
const space = 0x20;
const dot = 0x2e;
const colon = 0x3a;

/** Where the next octet stands: at the start of a line, where a dot is not yet content; */
const lineStart = 0;
/** behind a dot that opened the line; */
const afterDot = 1;
const afterDotCr = 2;
/** at the first octet that is the line's own; */
const firstOctet = 3;
/** in what may be a field name, or in the blanks before its colon (header only; RFC 5322 4.5); */
const inFieldName = 4;
const afterFieldName = 5;
/** in a line; behind a CR in a line. */
const inLine = 6;
const afterCr = 7;

const received = Uint8Array.from('received', (character) => character.charCodeAt(0));

/**
 * Scans the content of one message, chunk by chunk, cut anywhere. Counts are exact for what has been
 * scanned; the first fault is kept and scanning goes on to the real end.
 */
export class ContentScanner {
  /** Octets of the message: stuffed dots and the terminator are not content. */
  contentBytes = 0;
  fieldCount = 0;
  /** Received fields: the hops the message has behind it (RFC 5321 6.3). */
  receivedCount = 0;
  /** Some octet is over 127. */
  eightBit = false;
  /** The first one. */
  fault: ContentFault | undefined;

  readonly #lineOpens: typeof lineStart | typeof firstOctet;
  #state: number;
  #inHeader = true;
  #headerBytes = 0;
  #linesDone = 0;
  /** Octets of the unfinished line in earlier chunks. */
  #lineOctets = 0;
  /** Octets of the field name that match `received`; -1 once one does not. */
  #matched = 0;

  constructor(form: ContentForm) {
    this.#lineOpens = form === 'dotStuffed' ? lineStart : firstOctet;
    this.#state = this.#lineOpens;
  }

  /** Octets of the header section so far. It ends before the first line that is no field. */
  get headerBytes(): number {
    return this.#inHeader ? this.contentBytes : this.#headerBytes;
  }

  /**
   * Scans `chunk` from `from` up to `to`. The index behind CR LF . CR LF, or -1 when it has not come
   * (in raw form: always). Behind the end nothing may be scanned.
   */
  scan(chunk: Uint8Array, from: number, to: number): number {
    let state = this.#state;
    let lineFrom = from - this.#lineOctets;
    let bits = 0;
    let dropped = 0;
    let at = from;
    let end = -1;
    // A case that `break`s has used its octet; one that `continue`s leaves it to the next state.
    while (at < to) {
      let octet = chunk[at]!;
      switch (state) {
        case inLine:
          // Nearly every octet passes here, four at a time.
          while (at + 4 < to) {
            const second = chunk[at + 1]!;
            const third = chunk[at + 2]!;
            const fourth = chunk[at + 3]!;
            if (octet <= cr || second <= cr || third <= cr || fourth <= cr) break;
            bits |= octet | second | third | fourth;
            at += 4;
            octet = chunk[at]!;
          }
          if (octet === cr) state = afterCr;
          else if (octet === lf) this.#fail('bareLf', at - lineFrom);
          else if (octet === nul) this.#fail('nul', at - lineFrom);
          break;
        case afterCr:
          if (octet === lf) {
            if (at - 1 - lineFrom > textLineOctets) this.#fail('longLine', 0);
            this.#linesDone++;
            lineFrom = at + 1;
            state = this.#lineOpens;
            break;
          }
          this.#fail('bareCr', at - 1 - lineFrom);
          state = inLine;
          continue;
        case lineStart:
          if (octet === dot) {
            // RFC 5321 4.5.2: never content, whether it was stuffed or ends the data.
            dropped++;
            state = afterDot;
            break;
          }
          state = this.#inHeader ? firstOctet : inLine;
          continue;
        case afterDot:
          lineFrom = at;
          if (octet === cr) {
            dropped++;
            state = afterDotCr;
            break;
          }
          state = firstOctet;
          continue;
        case afterDotCr:
          if (octet === lf) {
            dropped++;
            end = at + 1;
            to = end;
            break;
          }
          dropped--;
          this.#endHeader(at - 1 - from - dropped);
          this.#fail('bareCr', 0);
          state = inLine;
          continue;
        case firstOctet:
          state = inLine;
          if (!this.#inHeader) continue;
          if ((octet === space || octet === tab) && this.fieldCount > 0) continue;
          if (octet > space && octet < 0x7f && octet !== colon) {
            this.#matched = 0;
            state = inFieldName;
          } else this.#endHeader(at - from - dropped);
          continue;
        case inFieldName:
          if (octet === colon) {
            this.#countField();
            state = inLine;
          } else if (octet === space || octet === tab) state = afterFieldName;
          else if (octet > space && octet < 0x7f) this.#matchReceived(octet);
          else {
            this.#endHeader(lineFrom - from - dropped);
            state = inLine;
            continue;
          }
          break;
        case afterFieldName:
          if (octet === colon) {
            this.#countField();
            state = inLine;
          } else if (octet !== space && octet !== tab) {
            this.#endHeader(lineFrom - from - dropped);
            state = inLine;
            continue;
          }
          break;
      }
      bits |= octet;
      at++;
    }
    this.#state = state;
    this.#lineOctets = to - lineFrom;
    if (state >= inFieldName && state <= inLine && this.#lineOctets > textLineOctets)
      this.#fail('longLine', 0);
    this.contentBytes += to - from - dropped;
    if (bits > 0x7f) this.eightBit = true;
    return end;
  }

  /** The end of raw content, which nothing in it marks. */
  finish(): void {
    if (this.#state === afterCr) this.#fail('bareCr', this.#lineOctets - 1);
  }

  /** `textOctets` of the line came before: a line that was too long by then failed first, however it was cut. */
  #fail(kind: ContentFaultKind, textOctets: number): void {
    this.fault ??= { kind: textOctets > textLineOctets ? 'longLine' : kind, line: this.#linesDone + 1 };
  }

  #endHeader(bytesOfThisScan: number): void {
    if (!this.#inHeader) return;
    this.#headerBytes = this.contentBytes + bytesOfThisScan;
    this.#inHeader = false;
  }

  #matchReceived(octet: number): void {
    if (this.#matched >= 0)
      this.#matched = (octet | 0x20) === received[this.#matched] ? this.#matched + 1 : -1;
  }

  #countField(): void {
    this.fieldCount++;
    if (this.#matched === received.length) this.receivedCount++;
  }
}

const stuffedDot = Uint8Array.of(dot);
const crlf = Uint8Array.of(cr, lf);
const terminator = Uint8Array.of(dot, cr, lf);

/**
 * Raw content as DATA carries it (RFC 5321 4.5.2): views of `chunks` with dots between them, a CRLF
 * where the content does not end in one, and the terminator. The content has passed `ContentScanner`,
 * so each LF in it ends a line.
 */
export function dotStuff(chunks: readonly Uint8Array[]): Uint8Array[] {
  const stuffed: Uint8Array[] = [];
  let previous = lf;
  for (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(dot); at >= 0; at = chunk.indexOf(dot, at + 1)) {
      if ((at === 0 ? previous : chunk[at - 1]) !== lf) continue;
      if (at > from) stuffed.push(chunk.subarray(from, at));
      stuffed.push(stuffedDot);
      from = at;
    }
    if (from < chunk.length) stuffed.push(from === 0 ? chunk : chunk.subarray(from));
    if (chunk.length > 0) previous = chunk[chunk.length - 1]!;
  }
  if (previous !== lf) stuffed.push(crlf);
  stuffed.push(terminator);
  return stuffed;
}
