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
} from '../ports.ts';

/** The kernel caps it at net.core.somaxconn. */
const backlog = 4096;

/** TCP of this machine. A network error becomes `closed(code)`, never an exception. */
export function systemNet(): Net {
  return { listen, connect };
}

function listen(at: Endpoint, accept: (connection: Connection) => ConnectionEvents): Promise<Listening> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // At once: an error before the owner knows of the socket would stop the process.
    socket.on('error', () => {});
    const ends = endpointsOf(socket);
    if (ends === undefined) return void socket.destroy();
    const connection = new SocketConnection(socket, ends.remote, ends.local);
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
    const connection = new SocketConnection(socket, options.remote, ends.local);
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

class SocketConnection implements Connection {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #socket: Socket;
  #events: ConnectionEvents | undefined;
  #error: string | undefined;
  /** The kernel did not take the last write at once, so the owner is told when it has. */
  #owesDrained = false;

  constructor(socket: Socket, remote: Endpoint, local: Endpoint) {
    this.#socket = socket;
    this.remote = remote;
    this.local = local;
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
    const socket = this.#socket;
    socket.on('error', (error) => {
      this.#error ??= codeOf(error);
    });
    socket.on('end', () => events.ended());
    socket.on('close', () => events.closed(this.#error));
    // Buffer.slice is a view where Uint8Array.slice is a copy: owners get the plain type.
    socket.on('data', (data: Buffer) => {
      events.received(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    });
  }

  unsentBytes(): number {
    return this.#socket.writableLength;
  }

  write(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (chunks.length === 0 || socket.destroyed || socket.writableEnded) return;
    if (chunks.length === 1) socket.write(chunks[0]!);
    else {
      // Corked writes leave together as one writev.
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    if (socket.writableLength === 0 || this.#owesDrained) return;
    // The kernel did not take it all: an empty write behind it tells when it has.
    this.#owesDrained = true;
    socket.write(nothing, this.#taken);
  }

  readonly #taken = (): void => {
    if (!this.#owesDrained || this.#socket.writableLength > 0 || this.#socket.destroyed) return;
    this.#owesDrained = false;
    this.#events?.drained();
  };

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (!this.#socket.destroyed) this.#socket.end();
  }

  reset(): void {
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
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
