import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { systemNet } from '../../src/base/node/net.ts';
import type { Connection, Net, TlsClientOptions, TlsFacts } from '../../src/base/ports.ts';

const certificateFile = 'test/tls/certificate.pem';
const [cert, key] = [readFileSync(certificateFile), readFileSync('test/tls/key.pem')];
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const usual: TlsClientOptions = {
  serverName: 'mx.tls.test',
  authoritiesFile: '',
  ciphers: '',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  resumes: false,
};

/** A server that says "go" and then does something to the socket. */
async function serverThat(acts: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('go');
    acts(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const at = server.address();
  return at !== null && typeof at === 'object' ? at.port : 0;
}

function secureWith(
  options: TLSSocketOptions = {},
  acts: (secured: TLSSocket) => void = () => {},
): (socket: Socket) => void {
  return (socket) => {
    const secured = new TLSSocket(socket, { isServer: true, cert, key, ...options });
    secured.on('error', () => {});
    acts(secured);
  };
}

/** Connects, waits for "go", begins TLS, and keeps what comes. */
class Client {
  connection!: Connection;
  readonly seen: string[] = [];
  bytes = 0;
  facts: TlsFacts | undefined;
  #waiting: (() => void)[] = [];

  constructor(net: Net, port: number, options: TlsClientOptions = usual) {
    net.connect(
      { remote: { address: '127.0.0.1', port }, localAddress: undefined },
      (connection) => {
        this.connection = connection;
      },
      {
        received: (bytes) => {
          this.bytes += bytes.length;
          const text = new TextDecoder().decode(bytes);
          if (this.seen.length === 0) this.connection.startTls(options, (facts) => this.#secured(facts));
          this.#note(bytes.length < 100 ? `received ${text}` : 'received much');
        },
        ended: () => this.#note('ended'),
        drained: () => this.#note('drained'),
        closed: (code) => this.#note(`closed ${code ?? 'orderly'}`),
      },
    );
  }

  #secured(facts: TlsFacts): void {
    this.facts = facts;
    this.#note('secured');
  }

  #note(what: string): void {
    if (this.seen.at(-1) !== what) this.seen.push(what);
    for (const look of this.#waiting.splice(0)) look();
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  has(what: string): Promise<void> {
    return this.until(() => this.seen.some((seen) => seen.startsWith(what)));
  }
}

test('after the handshake both sides hear each other through TLS, and the end is orderly', async () => {
  const names: (string | false | null)[] = [];
  const port = await serverThat(
    secureWith({}, (secured) => {
      secured.on('secure', () => names.push((secured as { servername?: string }).servername ?? null));
      secured.on('data', (data) => secured.write(`heard ${data}`));
      secured.on('end', () => secured.end());
    }),
  );
  const client = new Client(systemNet(), port);
  await client.has('secured');
  client.connection.write([encode('EHLO '), encode('x')]);
  await client.has('received heard EHLO x');
  client.connection.end();
  await client.has('closed');
  expect(client.seen.filter((what) => what !== 'drained')).toEqual([
    'received go',
    'secured',
    'received heard EHLO x',
    'ended',
    'closed orderly',
  ]);
  expect(client.facts).toMatchObject({ protocol: 'TLSv1.3', cipher: expect.stringMatching(/^TLS_AES_/) });
  expect(names).toEqual(['mx.tls.test']);
});

test('many megabytes pass in both directions, and what is held back can be seen to become less', async () => {
  const sizeBytes = 24 << 20;
  let got = 0;
  let stream!: TLSSocket;
  const port = await serverThat(
    secureWith({}, (secured) => {
      stream = secured;
      secured.pause();
      secured.on('data', (data) => {
        got += data.length;
        if (got === sizeBytes) secured.write(Buffer.alloc(sizeBytes));
      });
      secured.pause();
    }),
  );
  const client = new Client(systemNet(), port);
  await client.has('secured');
  client.connection.write([new Uint8Array(sizeBytes)]);
  const atFirst = client.connection.unsentBytes();
  expect(atFirst).toBeGreaterThan(0);
  stream.resume();
  await client.has('drained');
  expect(client.connection.unsentBytes()).toBe(0);
  await client.until(() => client.bytes === sizeBytes + 2);
});

test.each<readonly [string, TlsClientOptions, TLSSocketOptions, string | undefined]>([
  ['nobody vouches for it and nobody has to', usual, {}, undefined],
  ['its authority is given', { ...usual, authoritiesFile: certificateFile }, {}, undefined],
  [
    'it has another name than it should',
    { ...usual, authoritiesFile: certificateFile, serverName: 'mx.other.test' },
    {},
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  ['the authorities cannot be read', { ...usual, authoritiesFile: 'test/tls/none.pem' }, {}, 'ENOENT'],
  ['no cipher has such a name', { ...usual, ciphers: 'NO-SUCH-CIPHER' }, {}, 'ERR_SSL_NO_CIPHER_MATCH'],
  ['it speaks TLS 1.1 only', usual, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }, 'ERR_SSL'],
  ['it speaks TLS 1.2 only', usual, { maxVersion: 'TLSv1.2' }, undefined],
  [
    '1.3 is wanted and it has not got it',
    { ...usual, minVersion: 'TLSv1.3' },
    { maxVersion: 'TLSv1.2' },
    'ERR_SSL',
  ],
])('the handshake when %s', async (_, options, server, code) => {
  const port = await serverThat(secureWith(server));
  const client = new Client(systemNet(), port, options);
  if (code === undefined) await client.has('secured');
  else {
    await client.has('closed');
    expect(client.seen).toEqual(['received go', expect.stringContaining(`closed ${code}`)]);
  }
});

test.each<readonly [string, (socket: Socket) => void, string]>([
  [
    'says something else',
    (socket) => socket.once('data', () => socket.write('250 injected\r\n'.repeat(9))),
    'ERR_SSL',
  ],
  ['hangs up', (socket) => socket.once('data', () => socket.end()), 'ECONNRESET'],
  ['resets', (socket) => socket.once('data', () => socket.resetAndDestroy()), 'ECONNRESET'],
])('a server that %s in the handshake closes the connection with the reason', async (_, acts, code) => {
  const client = new Client(systemNet(), await serverThat(acts));
  await client.has('closed');
  expect(client.seen).toEqual(['received go', expect.stringContaining(`closed ${code}`)]);
});

test('a reset during the handshake, and after it, ends our side at once', async () => {
  const [quiet, talking] = [await serverThat(() => {}), await serverThat(secureWith())];
  const early = new Client(systemNet(), quiet);
  await early.has('received go');
  early.connection.reset();
  await early.has('closed');
  const late = new Client(systemNet(), talking);
  await late.has('secured');
  late.connection.reset();
  await late.has('closed');
});

test('a session is resumed where that is asked for, and only there', async () => {
  for (const resumes of [true, false]) {
    const reused: boolean[] = [];
    const secureContext = createSecureContext({ cert, key });
    const port = await serverThat(
      secureWith({ secureContext }, (secured) => {
        secured.on('secure', () => reused.push(secured.isSessionReused()));
        secured.on('data', (data) => secured.write(data));
      }),
    );
    const net = systemNet();
    for (let i = 0; i < 2; i++) {
      const client = new Client(net, port, { ...usual, resumes });
      await client.has('secured');
      client.connection.write([encode('x')]);
      await client.has('received x');
      client.connection.reset();
      await client.has('closed');
    }
    expect(reused).toEqual([false, resumes]);
  }
});
