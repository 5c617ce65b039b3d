import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { Endpoint, TlsClientOptions } from '../ports.ts';

/** Peers whose last session is kept for the next connection. */
const sessionsMax = 1_000;

/** The client side of TLS over sockets that are open: what is worth keeping from one handshake to the next. */
export class TlsClient {
  /** Making one costs milliseconds. There are as many as the configuration has kinds of options. */
  readonly #contexts = new Map<string, SecureContext>();
  readonly #sessions = new Map<string, Buffer>();

  /** Throws what the system says of an authorities file or a cipher list that is no good. */
  handshake(socket: Socket, remote: Endpoint, options: TlsClientOptions): TLSSocket {
    const { authoritiesFile, ciphers, minVersion, maxVersion, serverName, resumes } = options;
    const kind = [authoritiesFile, ciphers, minVersion, maxVersion].join('\n');
    // A session that nobody vouched for must not be resumed where somebody has to.
    const peer = [remote.address, remote.port, serverName, kind].join('\n');
    const session = resumes ? this.#sessions.get(peer) : undefined;
    const secured = connect({
      socket,
      host: remote.address,
      servername: serverName,
      secureContext: this.#contextFor(kind, options),
      rejectUnauthorized: authoritiesFile !== '',
      ...(session !== undefined && { session }),
    });
    secured.disableRenegotiation();
    if (resumes) secured.on('session', (fresh: Buffer) => this.#keep(peer, fresh));
    return secured;
  }

  #contextFor(kind: string, options: TlsClientOptions): SecureContext {
    const known = this.#contexts.get(kind);
    if (known !== undefined) return known;
    const { authoritiesFile, ciphers, minVersion, maxVersion } = options;
    const context = createSecureContext({
      minVersion,
      maxVersion,
      ...(ciphers !== '' && { ciphers }),
      ...(authoritiesFile !== '' && { ca: readFileSync(authoritiesFile) }),
    });
    this.#contexts.set(kind, context);
    return context;
  }

  /** The oldest go first. */
  #keep(peer: string, session: Buffer): void {
    this.#sessions.delete(peer);
    if (this.#sessions.size >= sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    this.#sessions.set(peer, session);
  }
}
