/**
 * The content of one message while it comes in: views of received chunks, kept only as long as the
 * message can still be accepted. What is refused costs no memory, however much of it follows.
 */

import type { WireForm } from '../message/envelope.ts';
import { ContentScanner } from '../protocol/dataStream.ts';
import { badContent, replies } from '../protocol/replies.ts';
import type { Reply } from '../protocol/reply.ts';

export interface ContentLimits {
  /** 0: no cap. */
  readonly maxMessageSizeBytes: number;
  readonly maxMessageHops: number;
}

const maxHeaderBytes = 262_144;
const maxHeaderFields = 1000;

/** Smaller pieces are copied together: a view costs more than its octets, and it pins its chunk. */
const smallPieceBytes = 512;
const largestTailBytes = 65_536;

export class IncomingContent {
  readonly wireForm: WireForm;
  /** Memory that the held views keep alive. */
  heldBytes = 0;
  readonly #limits: ContentLimits;
  readonly #scanner: ContentScanner;
  #pieces: Uint8Array[] = [];
  /** Where small pieces gather; `#tailFrom` to `#tailTo` is not among the pieces yet. */
  #tail: Uint8Array | undefined;
  #tailFrom = 0;
  #tailTo = 0;
  #lastChunk: Uint8Array | undefined;
  #refused = false;
  #shed = false;

  constructor(wireForm: WireForm, limits: ContentLimits) {
    this.wireForm = wireForm;
    this.#limits = limits;
    this.#scanner = new ContentScanner(wireForm);
  }

  /** Octets of the message so far, dots un-stuffed. */
  get sizeBytes(): number {
    return this.#scanner.contentBytes;
  }

  get eightBit(): boolean {
    return this.#scanner.eightBit;
  }

  /** Why the message cannot be accepted; the same at the end of content however it was cut. */
  get refusal(): Reply | undefined {
    if (this.#shed) return replies.outOfSpace;
    const { contentBytes, headerBytes, fieldCount, receivedCount, fault } = this.#scanner;
    const { maxMessageSizeBytes, maxMessageHops } = this.#limits;
    if (maxMessageSizeBytes > 0 && contentBytes > maxMessageSizeBytes) return replies.messageTooBig;
    if (headerBytes > maxHeaderBytes || fieldCount > maxHeaderFields) return replies.headerTooBig;
    if (receivedCount > maxMessageHops) return replies.mailLoop;
    return fault === undefined ? undefined : badContent(fault);
  }

  /** Takes content from `from` up to `to`. The index behind the end of data, or -1. */
  take(chunk: Uint8Array, from: number, to: number): number {
    const end = this.#scanner.scan(chunk, from, to);
    if (!this.#refused && this.refusal !== undefined) this.#refuse();
    if (!this.#refused) this.#hold(chunk, from, end < 0 ? to : end);
    return end;
  }

  /** Gives its memory back: what follows is swallowed, and the end is refused with 452. */
  shed(): void {
    this.#shed = true;
    this.#refuse();
  }

  /** Ends content that came in chunks of BDAT; afterwards `refusal` is final. */
  finish(): void {
    this.#scanner.finish();
  }

  /** The content in its wire form. */
  chunks(): readonly Uint8Array[] {
    this.#flushTail();
    return this.#pieces;
  }

  #refuse(): void {
    this.#refused = true;
    this.#pieces = [];
    this.#tail = undefined;
    this.#lastChunk = undefined;
    this.heldBytes = 0;
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    if (to - from < smallPieceBytes) {
      this.#gather(chunk, from, to);
      return;
    }
    this.#flushTail();
    this.#pieces.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
    if (chunk !== this.#lastChunk) this.heldBytes += chunk.buffer.byteLength;
    this.#lastChunk = chunk;
  }

  #gather(chunk: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#tail === undefined || this.#tailTo + length > this.#tail.length) {
      this.#flushTail();
      // Doubling, so that a trickle of any length makes few pieces.
      const size = Math.min(largestTailBytes, Math.max(smallPieceBytes, 2 * (this.#tail?.length ?? 0)));
      this.#tail = new Uint8Array(size);
      this.#tailFrom = 0;
      this.#tailTo = 0;
      this.heldBytes += size;
    }
    this.#tail.set(chunk.subarray(from, to), this.#tailTo);
    this.#tailTo += length;
  }

  #flushTail(): void {
    if (this.#tail === undefined || this.#tailTo === this.#tailFrom) return;
    this.#pieces.push(this.#tail.subarray(this.#tailFrom, this.#tailTo));
    this.#tailFrom = this.#tailTo;
  }
}
