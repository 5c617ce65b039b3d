/**
 * Who put trace fields before the content, newest first and joined by commas, when nothing else happened
 * to it: `received` is Received fields and then `content`, byte for byte. Otherwise undefined.
 */
export function traceOf(received: Buffer, content: Buffer): string | undefined {
  const traceOctets = received.length - content.length;
  if (traceOctets < 0 || !received.subarray(traceOctets).equals(content)) return undefined;
  const trace = received.toString('latin1', 0, traceOctets);
  const hosts: string[] = [];
  for (let at = 0; at < traceOctets; ) {
    const field = /^Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*/.exec(trace.slice(at))?.[0];
    const host = field === undefined ? undefined : /\sby\s+([^\s;]+)/.exec(field)?.[1];
    if (field === undefined || host === undefined) return undefined;
    hosts.push(host);
    at += field.length;
  }
  return hosts.join(',');
}
