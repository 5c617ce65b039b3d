const lf = 0x0a;
const cr = 0x0d;
const dot = 0x2e;

/**
 * What DATA carried without what the transport added (RFC 5321 section 4.5.2): stuffed dots and the closing dot
 * line. Views of the bytes, in their order.
 */
export function dotUnstuffed(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = bytes.indexOf(dot); at >= 0; at = bytes.indexOf(dot, at + 1)) {
    const opensLine = at === 0 || (bytes[at - 1] === lf && bytes[at - 2] === cr);
    if (!opensLine) continue;
    if (at > from) parts.push(bytes.subarray(from, at));
    from = at + 1;
    if (at + 3 === bytes.length && bytes[at + 1] === cr && bytes[at + 2] === lf) return parts;
  }
  if (from < bytes.length) parts.push(bytes.subarray(from));
  return parts;
}
