const headerBytesMax = 16_384;

/** The domains (d=, RFC 6376 3.5) of the DKIM signatures of a message, lower case, as they claim. */
export function dkimSigners(content: readonly Uint8Array[]): readonly string[] {
  const signers: string[] = [];
  for (const line of headerOf(content)
    .replace(/\r\n(?=[ \t])/g, '')
    .split('\r\n')) {
    const tags = /^DKIM-Signature[ \t]*:(.*)$/i.exec(line)?.[1];
    const domain = tags && /(?:^|;)\s*d\s*=\s*([^\s;]+)/.exec(tags)?.[1];
    if (domain) signers.push(domain.toLowerCase());
  }
  return signers;
}

function headerOf(content: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  let text = '';
  for (const chunk of content) {
    text += decoder.decode(chunk.subarray(0, headerBytesMax));
    const end = text.indexOf('\r\n\r\n');
    if (end >= 0) return text.slice(0, end);
    if (text.length >= headerBytesMax) break;
  }
  return text;
}
