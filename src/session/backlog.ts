/** Input that came and is not carried out yet, in its order. */

/** What a buffered chunk costs beside its octets, so that one-octet chunks count. */
const chunkOverheadBytes = 128;

export class Backlog {
  #chunks: Uint8Array[] = [];
  #heldBytes = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Memory that the waiting views keep alive. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** `bytes` are kept by reference. */
  add(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#heldBytes += bytes.buffer.byteLength + chunkOverheadBytes;
  }

  /** Hands over chunk by chunk as long as all of it is consumed. @param consume gives how much it took */
  drain(consume: (bytes: Uint8Array) => number): void {
    let taken = 0;
    for (const bytes of this.#chunks) {
      const at = consume(bytes);
      if (at < bytes.length) {
        this.#chunks[taken] = bytes.subarray(at);
        break;
      }
      this.#heldBytes -= bytes.buffer.byteLength + chunkOverheadBytes;
      taken++;
    }
    this.#chunks.splice(0, taken);
  }

  clear(): void {
    this.#chunks = [];
    this.#heldBytes = 0;
  }
}
