const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads what ByteWriter wrote. Reading past the end throws RangeError: check CRCs first. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#step(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#step(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#step(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#step(8), true);
  }

  text(): string {
    const length = this.u32();
    const start = this.#step(length);
    if (start + length > this.#bytes.length) throw new RangeError('text past the end');
    if (length > 64) return decoder.decode(this.#bytes.subarray(start, start + length));
    let text = '';
    for (let i = start; i < start + length; i++) {
      const byte = this.#bytes[i]!;
      if (byte > 0x7f) return decoder.decode(this.#bytes.subarray(start, start + length));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** Passes over a text. */
  skipText(): void {
    const length = this.u32();
    this.#step(length);
  }

  #step(count: number): number {
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
