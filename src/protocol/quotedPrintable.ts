/** RFC 2045 section 6.7, for text whose lines end in CRLF. */

const cr = 0x0d;
const lf = 0x0a;
const space = 0x20;
const tab = 0x09;
const equals = 0x3d;
const encoder = new TextEncoder();
/** RFC 5321 section 4.5.3.1.6, without the CRLF. */
const lineOctets = 998;
/** RFC 2045 section 6.7 rule 5. */
const encodedColumns = 76;

/** RFC 2045 sections 2.7 to 2.9: what a transport must be able to do for these bytes. */
export type TransferNeed = '7bit' | '8bit' | 'binary';

/** `binary`: a NUL, a bare CR or LF, or a line that is too long. */
export function transferNeed(bytes: Uint8Array): TransferNeed {
  let need: TransferNeed = '7bit';
  let lineAt = 0;
  for (let at = 0; at < bytes.length; at++) {
    const octet = bytes[at]!;
    if (octet >= 0x80) need = '8bit';
    if (octet === 0 || (octet === cr && bytes[at + 1] !== lf)) return 'binary';
    if (octet !== lf) continue;
    if (bytes[at - 1] !== cr || at - 1 - lineAt > lineOctets) return 'binary';
    lineAt = at + 1;
  }
  return bytes.length - lineAt > lineOctets ? 'binary' : need;
}

/** Line ends stay; all else of an octet that is not plain is encoded. */
export function quotedPrintable(bytes: Uint8Array): Uint8Array {
  let text = '';
  let column = 0;
  for (let at = 0; at < bytes.length; at++) {
    const octet = bytes[at]!;
    const endsLine = octet === cr && bytes[at + 1] === lf;
    if (endsLine) {
      text += '\r\n';
      column = 0;
      at += 1;
      continue;
    }
    const encoded = encodedOctet(octet, bytes[at + 1] === cr || at + 1 === bytes.length);
    if (column + encoded.length > encodedColumns - 1) {
      text += '=\r\n';
      column = 0;
    }
    text += encoded;
    column += encoded.length;
  }
  return encoder.encode(text);
}

function encodedOctet(octet: number, isLast: boolean): string {
  const isBlank = octet === space || octet === tab;
  const isPlain = (octet > space && octet < 0x7f && octet !== equals) || (isBlank && !isLast);
  return isPlain ? String.fromCharCode(octet) : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
}
