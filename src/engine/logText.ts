/** A log line holds at most this much of what went over the wire. */
const mostBytes = 64 * 1024;

const decoder = new TextDecoder('utf-8');

/** Wire bytes for log-commands and log-data: as UTF-8, cut, without the last line end. */
export function logText(chunks: readonly Uint8Array[]): string {
  let text = '';
  let left = mostBytes;
  for (const chunk of chunks) {
    if (left <= 0) return `${text} ...`;
    text += decoder.decode(chunk.subarray(0, left));
    left -= chunk.length;
  }
  return left < 0 ? `${text} ...` : text.trimEnd();
}
