/** A file's bytes: appending to them does not copy them each time. */
export class GrowingBytes {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What lies between the old end and `position` is zero. */
  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, position);
    this.#length = Math.max(this.#length, end);
  }

  /** Shorter, or longer by zeroes. */
  cut(length: number): void {
    if (length > this.#length) this.write(new Uint8Array(length - this.#length), this.#length);
    else this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  /** Up to `length` bytes from `position` on; not a copy. */
  view(position: number, length: number): Uint8Array {
    const from = Math.min(position, this.#length);
    return this.#bytes.subarray(from, Math.min(from + length, this.#length));
  }

  /** The same bytes as `other`. */
  become(other: GrowingBytes): void {
    this.#bytes = other.#bytes.slice(0, other.#length);
    this.#length = other.#length;
  }
}
