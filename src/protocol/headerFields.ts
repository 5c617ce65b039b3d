/**
 * Fields of a header section (RFC 5322 2.2), found in stored content without copying any of it: where
 * they lie, so that they can be left out, and what they say. The section ends where `ContentScanner`
 * ends it: before the first line that is no field.
 */
import type { ContentForm } from './dataStream.ts';

export interface HeaderField {
  /** In lower case, without the blanks that obsolete syntax allows before the colon (RFC 5322 4.5). */
  readonly name: string;
  /**
   * What stands behind the colon, unfolded (RFC 5322 2.2.3), the blanks around it kept. Octets are read as
   * UTF-8, whatever is none as U+FFFD.
   */
  readonly value: string;
  /** Its lines in the stored content, stuffed dots and the last line end included. */
  readonly from: number;
  readonly to: number;
}

/** Octets of the stored content from `from` up to `to`. */
export interface ContentRange {
  readonly from: number;
  readonly to: number;
}

/** Every field of those names, in their order; one that stands several times is there several times. */
export type FieldFinder = (chunks: readonly Uint8Array[], form: ContentForm) => readonly HeaderField[];

const tab = 0x09;
const lf = 0x0a;
const space = 0x20;
const dot = 0x2e;
const colon = 0x3a;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const noFields: readonly HeaderField[] = [];

/** Finds fields of these names (lower case) in content that `ContentScanner` found no fault with. */
export function fieldFinder(names: Iterable<string>): FieldFinder {
  const wanted = new Set(names);
  if (wanted.size === 0) return () => noFields;
  /** By first octet: most fields are passed over at a look. */
  const opens = new Uint8Array(0x80);
  for (const name of wanted) {
    opens[name.charCodeAt(0)] = 1;
    opens[name.toUpperCase().charCodeAt(0)] = 1;
  }
  return (chunks, form) => {
    // Nearly always the section lies in the first chunk; where it does not, so much is joined as it needs.
    for (let count = 1; ; count *= 2) {
      const isWhole = count >= chunks.length;
      const head = count === 1 ? (chunks[0] ?? new Uint8Array(0)) : joined(chunks.slice(0, count));
      const fields = fieldsIn(head, isWhole, form, wanted, opens);
      if (fields !== undefined) return fields;
    }
  };
}

/** undefined: the section goes on behind `head`. */
function fieldsIn(
  head: Uint8Array,
  isWhole: boolean,
  form: ContentForm,
  wanted: ReadonlySet<string>,
  opens: Uint8Array,
): readonly HeaderField[] | undefined {
  const fields: HeaderField[] = [];
  const isStuffed = form === 'dotStuffed';
  let open: { readonly name: string; readonly from: number; value: string } | undefined;
  let isFirst = true;
  let at = 0;
  for (;;) {
    const textAt = isStuffed && head[at] === dot ? at + 1 : at;
    const lfAt = head.indexOf(lf, textAt);
    if (lfAt < 0 && !isWhole) return undefined;
    const lineEnd = lfAt < 0 ? head.length : lfAt + 1;
    const textEnd = lfAt < 0 ? head.length : lfAt - 1;
    const first = head[textAt];
    const isFold = (first === space || first === tab) && !isFirst;
    if (isFold && open !== undefined) open.value += textOf(head, textAt, textEnd);
    if (!isFold) {
      if (open !== undefined) fields.push({ ...open, to: at });
      open = undefined;
      const colonAt = colonOf(head, textAt, textEnd);
      if (colonAt < 0) return fields;
      if (opens[first!] === 1) {
        const name = nameOf(head, textAt, colonAt);
        if (wanted.has(name)) open = { name, from: at, value: textOf(head, colonAt + 1, textEnd) };
      }
    }
    isFirst = false;
    at = lineEnd;
  }
}

/** Of a line that is a field; -1 of any other, the empty one and the end of content included. */
function colonOf(head: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && head[at]! > space && head[at]! < 0x7f && head[at] !== colon) at++;
  if (at === from) return -1;
  while (at < to && (head[at] === space || head[at] === tab)) at++;
  return head[at] === colon && at < to ? at : -1;
}

function nameOf(head: Uint8Array, from: number, colonAt: number): string {
  let to = colonAt;
  while (head[to - 1] === space || head[to - 1] === tab) to--;
  return textOf(head, from, to).toLowerCase();
}

/** Values are short and ASCII; the decoder costs more than to look. */
function textOf(head: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at++) {
    if (head[at]! > 0x7f || at - from > 256) return utf8.decode(head.subarray(from, to));
    text += String.fromCharCode(head[at]!);
  }
  return text;
}

/** The chunks without these ranges, which rise and do not overlap: views, nothing is copied. */
export function withoutRanges(
  chunks: readonly Uint8Array[],
  cuts: readonly ContentRange[],
): readonly Uint8Array[] {
  const kept: Uint8Array[] = [];
  let next = 0;
  let start = 0;
  for (const chunk of chunks) {
    const end = start + chunk.length;
    let at = start;
    while (next < cuts.length && cuts[next]!.from < end) {
      const { from, to } = cuts[next]!;
      if (from > at) kept.push(chunk.subarray(at - start, from - start));
      at = Math.max(at, Math.min(to, end));
      if (to > end) break;
      next++;
    }
    if (at < end) kept.push(at === start ? chunk : chunk.subarray(at - start));
    start = end;
  }
  return kept;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
