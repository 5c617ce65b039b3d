/** A receiver that costs little: takes everything, keeps nothing, counts. Its first message is its port. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface SinkOptions {
  /** One number in shared memory: how many messages were taken. */
  readonly taken: Int32Array;
  /** Any, when none is named. */
  readonly port?: number;
  /** Of so many envelopes one is deferred; none when not named. */
  readonly defersOneIn?: number;
}

const { taken, port = 0, defersOneIn } = workerData as SinkOptions;

/** By a command's first letter: RCPT and RSET have the same answer. */
const replies = new Map([
  ['E', '250-sink.bench.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n'],
  ['H', '250 sink.bench.test\r\n'],
  ['M', '250 OK\r\n'],
  ['R', '250 OK\r\n'],
  ['N', '250 OK\r\n'],
  ['D', '354 go on\r\n'],
  ['Q', '221 bye\r\n'],
]);

const deferral = '450 4.2.1 later\r\n';
let envelopes = 0;

const server = createServer({ noDelay: true }, serve);
server.listen(port, '127.0.0.1', () => parentPort!.postMessage((server.address() as AddressInfo).port));

function serve(socket: Socket): void {
  let unread: Buffer = Buffer.alloc(0);
  let isContent = false;
  let isDeferred = false;
  socket.write('220 sink.bench.test\r\n');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    const bytes = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    let answer = '';
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(isContent ? '\r\n.\r\n' : '\r\n', at, 'latin1');
      if (end < 0) break;
      if (isContent) {
        isContent = false;
        answer += '250 taken\r\n';
        at = end + 5;
        Atomics.add(taken, 0, 1);
      } else {
        const verb = String.fromCharCode(bytes[at]!);
        if (verb === 'M') isDeferred = defersOneIn !== undefined && ++envelopes % defersOneIn === 0;
        isContent = verb === 'D' && !isDeferred;
        answer += isDeferred && 'RD'.includes(verb) ? deferral : (replies.get(verb) ?? '500 what?\r\n');
        // The line end of DATA may begin the end of an empty content.
        at = isContent ? end : end + 2;
      }
    }
    // Of a content only what may be the beginning of its end.
    unread = bytes.subarray(isContent ? Math.max(at, bytes.length - 4) : at);
    if (answer !== '') socket.write(answer, 'latin1');
    if (answer.endsWith('221 bye\r\n')) socket.end();
  });
}
