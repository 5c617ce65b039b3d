const cr = 0x0d;
const lf = 0x0a;

/**
 * The fields a content begins with, whole ones only, each with its CRLF (RFC 5322 section 2.1): up to the empty
 * line, or to the end of what there is.
 * @param isAll there is no more of the content: its last field is whole
 */
export function headerSection(bytes: Uint8Array, isAll: boolean): Uint8Array {
  let fieldsEnd = 0;
  for (let at = bytes.indexOf(lf); at >= 0; at = bytes.indexOf(lf, at + 1)) {
    if (bytes[at - 1] !== cr) continue;
    if (at - 1 === 0) return bytes.subarray(0, 0);
    const next = bytes[at + 1];
    if (next === cr && bytes[at + 2] === lf) return bytes.subarray(0, at + 1);
    // A line that goes on belongs to its field; whether the last one does is not known.
    if (next === undefined ? isAll : next !== 0x20 && next !== 0x09) fieldsEnd = at + 1;
  }
  return bytes.subarray(0, fieldsEnd);
}
