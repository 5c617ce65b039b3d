import { createServer, isIP, type Server, Socket } from 'node:net';
import { canonicalIp } from '../ip.ts';
import type {
  Connection,
  ConnectionEvents,
  ConnectOptions,
  Endpoint,
  Listening,
  Net,
  PendingConnection,
  TlsClientOptions,
  TlsFacts,
} from '../ports.ts';
import { TlsClient } from './tlsClient.ts';

/** The kernel caps it at net.core.somaxconn. */
const backlog = 4096;

/** TCP of this machine. A network error becomes `closed(code)`, never an exception. */
export function systemNet(): Net {
  const tls = new TlsClient();
  return {
    listen: (at, accept) => listen(tls, at, accept),
    connect: (options, opened, events) => connect(tls, options, opened, events),
  };
}

function listen(
  tls: TlsClient,
  at: Endpoint,
  accept: (connection: Connection) => ConnectionEvents,
): Promise<Listening> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // At once: an error before the owner knows of the socket would stop the process.
    socket.on('error', () => {});
    const ends = endpointsOf(socket);
    if (ends === undefined) return void socket.destroy();
    const connection = new SocketConnection(tls, socket, ends.remote, ends.local);
    connection.attach(accept(connection));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // `::` means every IPv6 address; IPv4 has its own 0.0.0.0 listener.
    server.listen({ host: at.address, port: at.port, backlog, ipv6Only: true }, () => {
      server.off('error', reject);
      // A failed accept (EMFILE) concerns that one client; the kernel keeps the others waiting.
      server.on('error', () => {});
      resolve(listening(server, at));
    });
  });
}

function listening(server: Server, asked: Endpoint): Listening {
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : asked.port;
  return {
    at: { address: asked.address, port },
    // Stops accepting now; Node's callback would wait for every accepted connection to end.
    async close() {
      server.close();
    },
  };
}

function connect(
  tls: TlsClient,
  options: ConnectOptions,
  opened: (connection: Connection) => void,
  events: ConnectionEvents,
): PendingConnection {
  const socket = new Socket({ allowHalfOpen: true });
  let state: 'pending' | 'open' | 'over' = 'pending';
  let failure: string | undefined;
  socket.on('error', (error) => {
    failure = codeOf(error);
  });
  socket.once('close', () => {
    if (state !== 'pending') return;
    state = 'over';
    events.closed(failure ?? 'ECONNABORTED');
  });
  socket.once('connect', () => {
    if (state !== 'pending') return;
    const ends = endpointsOf(socket);
    if (ends === undefined) return void socket.destroy();
    state = 'open';
    const connection = new SocketConnection(tls, socket, options.remote, ends.local);
    connection.attach(events);
    opened(connection);
  });
  const { address, port } = options.remote;
  // Only addresses: a name here would be looked up by dns.lookup on the pool that syncs use.
  if (isIP(address) === 0 || (options.localAddress !== undefined && isIP(options.localAddress) === 0)) {
    failure = 'EINVAL';
    socket.destroy();
  } else {
    const local = options.localAddress === undefined ? {} : { localAddress: options.localAddress };
    socket.connect({ host: address, port, noDelay: true, ...local });
  }
  return {
    abandon() {
      if (state !== 'pending') return;
      state = 'over';
      socket.destroy();
    },
  };
}

const nothing = new Uint8Array(0);
/** More than this is handed to the kernel piece by piece, so that `unsentBytes` shows how it gets on. */
const pieceBytes = 131_072;

class SocketConnection implements Connection {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #tls: TlsClient;
  readonly #socket: Socket;
  /** What the owner's bytes pass through: the socket, or TLS over it. */
  #stream: Socket;
  #events: ConnectionEvents | undefined;
  #error: string | undefined;
  /** The kernel did not take the last write at once, so the owner is told when it has. */
  #owesDrained = false;
  /** What waits until the kernel took the piece before it. */
  readonly #waiting: (readonly Uint8Array[])[] = [];
  #waitingBytes = 0;
  #isEnding = false;

  constructor(tls: TlsClient, socket: Socket, remote: Endpoint, local: Endpoint) {
    this.#tls = tls;
    this.#socket = socket;
    this.#stream = socket;
    this.remote = remote;
    this.local = local;
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
    this.#socket.on('error', this.#failed);
    this.#socket.on('close', this.#closed);
    this.#listenTo(this.#socket);
  }

  #listenTo(stream: Socket): void {
    stream.on('end', this.#ended);
    stream.on('data', this.#received);
  }

  readonly #failed = (error: Error): void => {
    this.#error ??= codeOf(error);
  };

  readonly #closed = (): void => {
    this.#drop();
    this.#events?.closed(this.#error);
  };

  readonly #ended = (): void => this.#events?.ended();

  readonly #received = (data: Buffer): void => {
    // Buffer.slice is a view where Uint8Array.slice is a copy: owners get the plain type.
    this.#events?.received(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  };

  startTls(options: TlsClientOptions, secured: (tls: TlsFacts) => void): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.off('end', this.#ended);
    socket.off('data', this.#received);
    try {
      const stream = this.#tls.handshake(socket, this.remote, options);
      this.#stream = stream;
      // The reason is told by the stream, the end by the socket that goes with it.
      stream.on('error', this.#failed);
      stream.once('secureConnect', () => {
        this.#listenTo(stream);
        secured({ protocol: stream.getProtocol() ?? '', cipher: stream.getCipher().name });
      });
    } catch (error) {
      this.#failed(error as Error);
      socket.destroy();
    }
  }

  unsentBytes(): number {
    return this.#waitingBytes + this.#stream.writableLength;
  }

  write(chunks: readonly Uint8Array[]): void {
    if (chunks.length === 0 || this.#isEnding || this.#stream.destroyed) return;
    const sizeBytes = sizeOf(chunks);
    if (sizeBytes <= pieceBytes && this.#waiting.length === 0) {
      this.#hand(chunks);
      return;
    }
    for (const piece of piecesOf(chunks)) this.#waiting.push(piece);
    this.#waitingBytes += sizeBytes;
    this.#handWaiting();
  }

  /** As much as the kernel takes at once, and one piece more. */
  #handWaiting(): void {
    while (this.#waiting.length > 0 && !this.#owesDrained) {
      const piece = this.#waiting.shift()!;
      this.#waitingBytes -= sizeOf(piece);
      this.#hand(piece);
    }
  }

  #hand(chunks: readonly Uint8Array[]): void {
    const stream = this.#stream;
    if (chunks.length === 1) stream.write(chunks[0]!);
    else {
      // Corked writes leave together as one writev.
      stream.cork();
      for (const chunk of chunks) stream.write(chunk);
      stream.uncork();
    }
    if (stream.writableLength === 0 || this.#owesDrained) return;
    // The kernel did not take it all: an empty write behind it tells when it has.
    this.#owesDrained = true;
    stream.write(nothing, this.#taken);
  }

  readonly #taken = (): void => {
    const stream = this.#stream;
    if (!this.#owesDrained || stream.destroyed) return;
    if (stream.writableLength > 0) {
      // Something was written behind the empty write.
      stream.write(nothing, this.#taken);
      return;
    }
    this.#owesDrained = false;
    this.#handWaiting();
    if (this.#owesDrained) return;
    this.#events?.drained();
    if (this.#isEnding) stream.end();
  };

  #drop(): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#isEnding = true;
    if (this.#waiting.length === 0 && !this.#stream.destroyed) this.#stream.end();
  }

  reset(): void {
    this.#drop();
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  let sizeBytes = 0;
  for (const chunk of chunks) sizeBytes += chunk.length;
  return sizeBytes;
}

/** The same bytes in pieces of at most `pieceBytes`, as views. */
function piecesOf(chunks: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const pieces: Uint8Array[][] = [[]];
  let room = pieceBytes;
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      if (room === 0) {
        pieces.push([]);
        room = pieceBytes;
      }
      const view = chunk.subarray(from, from + room);
      pieces.at(-1)!.push(view);
      from += view.length;
      room -= view.length;
    }
  }
  return pieces;
}

/** undefined when the peer is gone already. */
function endpointsOf(socket: Socket): { remote: Endpoint; local: Endpoint } | undefined {
  const remote = endpoint(socket.remoteAddress, socket.remotePort);
  const local = endpoint(socket.localAddress, socket.localPort);
  return remote === undefined || local === undefined ? undefined : { remote, local };
}

function endpoint(address: string | undefined, port: number | undefined): Endpoint | undefined {
  const canonical = address === undefined ? undefined : canonicalIp(address.replace(/%.*$/, ''));
  return canonical === undefined || port === undefined ? undefined : { address: canonical, port };
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
