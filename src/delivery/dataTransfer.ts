import type { Content, WireForm } from '../message/envelope.ts';

const cr = 13;
const lf = 10;
const dot = 46;
const crBytes = new Uint8Array([cr]);
const lfBytes = new Uint8Array([lf]);
const crLfBytes = new Uint8Array([cr, lf]);
const dotBytes = new Uint8Array([dot]);
const endOfData = new Uint8Array([dot, cr, lf]);

/**
 * What follows a 354: prefix, content, and the closing CRLF.CRLF, as views of the stored bytes.
 * `dotStuffed` content leaves as it came. `raw` content is stuffed here (RFC 5321 section 4.5.2); a bare
 * CR or LF in it becomes CRLF, so that no receiver can see another end of data than ours.
 */
export function dataChunks(content: Content, wireForm: WireForm): readonly Uint8Array[] {
  const out: Uint8Array[] = content.prefix.length > 0 ? [content.prefix] : [];
  if (wireForm === 'dotStuffed') {
    for (const chunk of content.chunks) out.push(chunk);
    return out;
  }
  let before = lf;
  for (const chunk of content.chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (before > cr) {
        // Inside a line only CR and LF matter.
        while (at < chunk.length && chunk[at]! > cr) at++;
        if (at > 0) before = chunk[at - 1]!;
        if (at === chunk.length) break;
      }
      const byte = chunk[at]!;
      const missing = missingBefore(before, byte);
      if (missing !== undefined) {
        if (at > from) out.push(chunk.subarray(from, at));
        out.push(missing);
        from = at;
        // Right behind a bare CR the line end was just completed: a dot is still to be stuffed.
        if (missing === lfBytes && byte === dot) out.push(dotBytes);
      }
      before = byte;
    }
    if (from < chunk.length) out.push(from === 0 ? chunk : chunk.subarray(from));
  }
  if (before === cr) out.push(lfBytes);
  else if (before !== lf) out.push(crLfBytes);
  out.push(endOfData);
  return out;
}

function missingBefore(before: number, byte: number): Uint8Array | undefined {
  if (before === cr && byte !== lf) return lfBytes;
  if (byte === lf && before !== cr) return crBytes;
  return before === lf && byte === dot ? dotBytes : undefined;
}

/** No octet above 127 in the header section: RFC 6532 is not needed for it. */
export function headerIsAscii(content: Content): boolean {
  let before = lf;
  for (const chunk of [content.prefix, ...content.chunks]) {
    for (const byte of chunk) {
      if (byte > 127) return false;
      if (before === lf && byte === cr) return true;
      before = byte;
    }
  }
  return true;
}
