import type { TlsFacts } from '../base/ports.ts';

const encoder = new TextEncoder();

/** What the two sides of a simulated handshake say. Nothing is encrypted: what counts is who says what when. */
export const clientHello: Uint8Array = encoder.encode('\x16\x03\x01 client hello\n');
export const serverHello: Uint8Array = encoder.encode('\x16\x03\x03 server hello\n');
export const tlsAlert: Uint8Array = encoder.encode('\x15\x03\x03 no\n');

export const simulatedTls: TlsFacts = { protocol: 'TLSv1.3', cipher: 'TLS_SIMULATED' };

/** One side of a handshake: waits for what the other one has to say, octet by octet. */
export class SimulatedHandshake {
  readonly #awaited: Uint8Array;
  #had = 0;
  #state: 'under way' | 'done' | 'failed' = 'under way';

  constructor(awaited: Uint8Array) {
    this.#awaited = awaited;
  }

  get state(): 'under way' | 'done' | 'failed' {
    return this.#state;
  }

  /** How many octets belong to the handshake. */
  take(bytes: Uint8Array): number {
    for (const [at, byte] of bytes.entries()) {
      if (byte !== this.#awaited[this.#had]) {
        this.#state = 'failed';
        return at;
      }
      this.#had += 1;
      if (this.#had === this.#awaited.length) {
        this.#state = 'done';
        return at + 1;
      }
    }
    return bytes.length;
  }
}
