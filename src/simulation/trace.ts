const linesKept = 400;

/**
 * Everything that can be seen from outside, in order, as one number: two runs of a seed must agree on it.
 * With `keeps` it remembers the last of it in words.
 */
export class Trace {
  readonly #nowMs: () => number;
  readonly #lines: string[] | undefined;
  #hash = 0x811c9dc5;
  events = 0;

  constructor(nowMs: () => number, keeps = false) {
    this.#nowMs = nowMs;
    this.#lines = keeps ? [] : undefined;
  }

  /** `what` is a stable word, `detail` what it happened to, `value` any number of it. */
  note(what: string, detail = '', value = 0): void {
    this.events += 1;
    this.#fold(what);
    this.#fold(detail);
    this.#mix(value | 0);
    this.#mix((this.#nowMs() * 1000) | 0);
    if (this.#lines === undefined) return;
    this.#lines.push(`${this.#nowMs().toFixed(3)} ${what} ${detail} ${value}`);
    if (this.#lines.length > 2 * linesKept) this.#lines.splice(0, linesKept);
  }

  get hash(): number {
    return this.#hash >>> 0;
  }

  get lastLines(): readonly string[] {
    return this.#lines?.slice(-linesKept) ?? [];
  }

  #fold(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
  }
}
