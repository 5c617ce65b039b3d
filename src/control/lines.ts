import type { Socket } from 'node:net';

/** What both sides accept of one line. A status of many listeners is some 100 KB. */
export const lineMaxBytes = 4 << 20;

/**
 * The peer's lines without LF, one at a time: a slow reader holds the sender back. A line above
 * `maxBytes` and a broken connection end the iteration (with false when it was the length).
 */
export async function* linesOf(socket: Socket, maxBytes = lineMaxBytes): AsyncGenerator<string, boolean> {
  let pending: Buffer[] = [];
  let size = 0;
  try {
    // Not destroyed when the loop is left: the caller may want to say why.
    const chunks: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false });
    for await (const data of chunks) {
      let rest = data;
      for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
        if (size + end > maxBytes) return false;
        yield Buffer.concat([...pending, rest.subarray(0, end)]).toString('utf8');
        pending = [];
        size = 0;
        rest = rest.subarray(end + 1);
      }
      size += rest.length;
      if (size > maxBytes) return false;
      if (rest.length > 0) pending.push(rest);
    }
  } catch {
    // Reset by the peer: the end, said rudely.
  }
  return true;
}
