/*
 * Reads an engine's folder as docs/spool.md describes it, and nothing else: no file of the product is
 * imported. What this reader finds and a recovery does not is a fault of one of the two, or of the page.
 */

import { crc32 } from 'node:zlib';

/** Name below the engine's folder to content. */
export type Folder = ReadonlyMap<string, Buffer>;

export interface OwedRecipient {
  attempts: number;
  nextTryMs: number;
  /** As on disk: 0 is none. */
  held: number;
}

export interface OwedMessage {
  readonly recipients: Map<number, OwedRecipient>;
  readonly isInFile: boolean;
  /** Where its record lies. */
  readonly segment: number;
  readonly recordAt: number;
}

export interface Found {
  readonly messages: ReadonlyMap<string, OwedMessage>;
  readonly queueStates: ReadonlyMap<string, string>;
  /** Segments on the chain, and those of them whose footers were used. */
  readonly chain: readonly number[];
  readonly footers: readonly number[];
}

interface Header {
  readonly number: number;
  readonly epoch: number;
  readonly salt: number;
  readonly firstBatch: number;
  readonly predecessor: number;
  readonly lastBatch: number;
  readonly syncedThrough: number;
}

interface BatchFrame {
  readonly at: number;
  readonly number: number;
  readonly syncedThrough: number;
  readonly recordBytes: number;
  readonly endAt: number;
}

const block = 4096;

class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  u8(): number {
    return this.bytes.readUInt8(this.#step(1));
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.#step(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.#step(4));
  }

  f64(): number {
    return this.bytes.readDoubleLE(this.#step(8));
  }

  text(): string {
    const length = this.u32();
    const at = this.#step(length);
    return this.bytes.toString('utf8', at, at + length);
  }

  id(): string {
    return `${this.u32().toString(16)}.${this.f64().toString(16)}`;
  }

  #step(length: number): number {
    this.at += length;
    return this.at - length;
  }
}

/** What is owed; throws where a recovery would speak of damage. */
export function readSpool(folder: Folder): Found {
  const headers = new Map<number, Header>();
  for (const [name, bytes] of folder) {
    const header = /^(\d{8}|[1-9]\d{8,9})\.segment$/.test(name) ? segmentHeader(bytes) : undefined;
    if (header?.number === Number.parseInt(name, 10)) headers.set(header.number, header);
  }
  const chain: { readonly header: Header; readonly by: Header | undefined }[] = [];
  let header = headers.get(Math.max(0, ...headers.keys()));
  for (let by: Header | undefined; header !== undefined; header = headers.get(header.predecessor)) {
    chain.unshift({ header, by });
    by = header;
  }
  const state = new State();
  const footers: number[] = [];
  for (const { header: segment, by } of chain) {
    const bytes = folder.get(`${String(segment.number).padStart(8, '0')}.segment`)!;
    const isOnDisk = by !== undefined && by.syncedThrough === by.lastBatch;
    const footer = isOnDisk ? footerOf(bytes, segment, by.lastBatch) : undefined;
    if (footer === undefined) readBatches(bytes, segment, by, state);
    else {
      footers.push(segment.number);
      readFooter(footer, segment.number, state);
    }
  }
  return {
    messages: state.messages,
    queueStates: state.queueStates,
    chain: chain.map((link) => link.header.number),
    footers,
  };
}

/** The content of an owed message is whole. */
export function isContentWhole(folder: Folder, id: string, { segment, recordAt }: OwedMessage): boolean {
  const bytes = folder.get(`${String(segment).padStart(8, '0')}.segment`)!;
  const { salt } = segmentHeader(bytes)!;
  const from = new Cursor(bytes, recordAt + 12);
  const at = from.f64();
  const sizeBytes = from.f64();
  from.u32();
  const checksum = from.u32();
  const [epoch, sequence] = [from.u32(), from.f64()];
  from.f64();
  const isInFile = (from.u8() & 8) !== 0;
  const content = isInFile ? folder.get(`bodies/${id}`) : bytes.subarray(at, at + sizeBytes);
  const seed = isInFile ? ((Math.imul(epoch, 0x9e3779b1) >>> 0) ^ (sequence % 2 ** 32)) >>> 0 : salt;
  return content?.length === sizeBytes && crc32(content, seed) === checksum;
}

const deleted = 4;

class State {
  readonly messages = new Map<string, OwedMessage>();
  readonly queueStates = new Map<string, string>();

  put(id: string, message: OwedMessage): void {
    this.messages.delete(id);
    if (message.recipients.size > 0) this.messages.set(id, message);
  }

  event(kind: number, id: string, place: number, attempts: number, nextTryMs: number): void {
    const message = this.messages.get(id);
    if (message?.recipients.has(place) !== true) return;
    if (kind === 2) message.recipients.set(place, { attempts, nextTryMs, held: 0 });
    else message.recipients.delete(place);
    if (message.recipients.size === 0) this.messages.delete(id);
  }

  queueState(from: Cursor): void {
    const [queue, step, at] = [from.text(), from.u32(), from.f64()];
    if (step === 0 && at === 0) this.queueStates.delete(queue);
    else this.queueStates.set(queue, `${step} ${at}`);
  }

  queueMode(from: Cursor): void {
    const state = [from.text(), from.u32(), from.f64()] as const;
    const [isBackoff, since, until] = [from.u8() === 1, from.f64(), from.f64()];
    const told: (string | number)[] = [state[1], state[2], ...(isBackoff ? [since, until] : [])];
    for (let left = from.u32(); left > 0; left--) told.push(`${from.text()}@${from.f64()}`);
    this.queueStates.set(state[0], told.join(' '));
  }

  hold(from: Cursor): void {
    const [id, held] = [from.id(), from.u8()];
    for (const recipient of this.messages.get(id)?.recipients.values() ?? []) {
      if (recipient.held !== deleted) recipient.held = held;
    }
  }

  purge(from: Cursor): void {
    for (let left = from.u32(); left > 0; left--) {
      const [id, place] = [from.id(), from.u32()];
      const recipient = this.messages.get(id)?.recipients.get(place);
      if (recipient !== undefined) recipient.held = deleted;
    }
  }
}

function segmentHeader(bytes: Buffer): Header | undefined {
  return headerAt(bytes, 0) ?? headerAt(bytes, 2048);
}

function headerAt(bytes: Buffer, start: number): Header | undefined {
  if (bytes.length < block || bytes.toString('latin1', start, start + 4) !== 'PSS1') return undefined;
  const from = new Cursor(bytes, start + 4);
  const version = from.u32();
  const [number, epoch, salt, firstBatch] = [from.u32(), from.u32(), from.u32(), from.f64()];
  const [predecessor, lastBatch] = [from.u32(), from.f64()];
  const syncedThrough = version === 1 ? lastBatch : from.f64();
  const checksum = crc32(bytes.subarray(start, from.at), 0);
  if (from.u32() !== checksum) return undefined;
  return { number, epoch, salt, firstBatch, predecessor, lastBatch, syncedThrough };
}

function frameAt(bytes: Buffer, at: number, { salt, epoch }: Header): BatchFrame | undefined {
  if (at + 64 > bytes.length || bytes.toString('latin1', at, at + 4) !== 'PSB1') return undefined;
  if (crc32(bytes.subarray(at, at + 40), salt) !== bytes.readUInt32LE(at + 40)) return undefined;
  const from = new Cursor(bytes, at + 4);
  if (from.u32() !== epoch) return undefined;
  const [number, syncedThrough, recordBytes, bodyBytes] = [from.f64(), from.f64(), from.f64(), from.f64()];
  const endAt = at + Math.ceil((64 + recordBytes + bodyBytes) / block) * block;
  return endAt > bytes.length ? undefined : { at, number, syncedThrough, recordBytes, endAt };
}

function framesOf(bytes: Buffer, header: Header): ReadonlyMap<number, BatchFrame> {
  const frames = new Map<number, BatchFrame>();
  for (let at = block; at < bytes.length; ) {
    const frame = frameAt(bytes, at, header);
    if (frame !== undefined) frames.set(frame.number, frame);
    at = frame?.endAt ?? at + block;
  }
  return frames;
}

function readBatches(bytes: Buffer, header: Header, by: Header | undefined, state: State): void {
  const frames = framesOf(bytes, header);
  let covered = by?.syncedThrough ?? 0;
  for (const { syncedThrough } of frames.values()) covered = Math.max(covered, syncedThrough);
  const limit = by?.lastBatch ?? Number.POSITIVE_INFINITY;
  for (let number = header.firstBatch; number <= limit; number++) {
    const records = recordsOf(bytes, frames.get(number), header);
    const isWhole = records !== undefined && (number <= covered || areContentsWhole(bytes, records, header));
    if (!isWhole && number > covered) return;
    if (!isWhole) throw new Error(`batch ${number} of segment ${header.number} is damaged`);
    for (const at of records) readRecord(bytes, at, header.number, state);
  }
}

/** Where its records begin; undefined when it is not whole. */
function recordsOf(
  bytes: Buffer,
  frame: BatchFrame | undefined,
  { salt }: Header,
): readonly number[] | undefined {
  if (frame === undefined) return undefined;
  const found: number[] = [];
  const endAt = frame.at + 64 + frame.recordBytes;
  let at = frame.at + 64;
  while (at < endAt) {
    const payloadEnd = at + 12 + bytes.readUInt32LE(at + 4);
    if (payloadEnd > endAt) return undefined;
    const checksum = crc32(bytes.subarray(at + 12, payloadEnd), crc32(bytes.subarray(at, at + 8), salt));
    if (checksum !== bytes.readUInt32LE(at + 8)) return undefined;
    found.push(at);
    at = payloadEnd;
  }
  return at === endAt ? found : undefined;
}

function areContentsWhole(bytes: Buffer, records: readonly number[], { salt }: Header): boolean {
  return records.every((recordAt) => {
    const from = new Cursor(bytes, recordAt);
    const type = from.u32();
    if (type !== 1 && type !== 4) return true;
    from.at = recordAt + 12;
    const [at, sizeBytes] = [from.f64(), from.f64()];
    from.u32();
    const checksum = from.u32();
    const isInFile = (bytes[recordAt + 12 + 44]! & 8) !== 0;
    return isInFile || crc32(bytes.subarray(at, at + sizeBytes), salt) === checksum;
  });
}

function readRecord(bytes: Buffer, recordAt: number, segment: number, state: State): void {
  const from = new Cursor(bytes, recordAt);
  const type = from.u32();
  from.at += 8;
  if (type === 1 || type === 4) readMessage(from, type === 4, { segment, recordAt }, state);
  else if (type === 2) {
    const kind = from.u8();
    from.u32();
    state.event(kind, from.id(), from.u32(), from.u32(), from.f64());
  } else if (type === 3) state.queueState(from);
  else if (type === 5) state.purge(from);
  else if (type === 7) state.queueMode(from);
  else if (type === 6) state.hold(from);
}

function readMessage(
  from: Cursor,
  isSnapshot: boolean,
  place: Pick<OwedMessage, 'segment' | 'recordAt'>,
  state: State,
): void {
  from.at += 8 + 8 + 4 + 4;
  const id = from.id();
  from.f64();
  const isInFile = (from.u8() & 8) !== 0;
  for (let texts = 0; texts < 8; texts++) from.text();
  from.u16();
  const recipients = new Map<number, OwedRecipient>();
  for (let index = 0, left = from.u32(); index < left; index++) {
    recipients.set(index, { attempts: 0, nextTryMs: 0, held: 0 });
    for (let texts = 0; texts < 3; texts++) from.text();
  }
  if (isSnapshot) {
    recipients.clear();
    for (let left = from.u32(); left > 0; left--) {
      recipients.set(from.u32(), { attempts: from.u32(), nextTryMs: from.f64(), held: from.u8() });
    }
  }
  state.put(id, { recipients, isInFile, ...place });
}

function footerOf(bytes: Buffer, { salt }: Header, lastBatch: number): Buffer | undefined {
  if (bytes.length % block !== 0) return undefined;
  const trailer = bytes.subarray(-32);
  if (trailer.toString('latin1', 0, 4) !== 'PSF1') return undefined;
  if (crc32(trailer.subarray(0, 24), salt) !== trailer.readUInt32LE(24)) return undefined;
  const payloadBytes = trailer.readDoubleLE(4);
  const at = bytes.length - Math.ceil((payloadBytes + 32) / block) * block;
  const payload = bytes.subarray(at, at + payloadBytes);
  const isWhole = crc32(payload, salt) === trailer.readUInt32LE(20);
  return isWhole && trailer.readDoubleLE(12) === lastBatch ? payload : undefined;
}

function readFooter(payload: Buffer, segment: number, state: State): void {
  const from = new Cursor(payload, 0);
  for (let names = from.u32(); names > 0; names--) from.text();
  while (from.at < payload.length) {
    const entry = from.u8();
    if (entry === 1) readFooterMessage(from, segment, state);
    else if (entry === 2) state.event(from.u8(), from.id(), from.u32(), from.u32(), from.f64());
    else if (entry === 3) state.queueState(from);
    else if (entry === 4) state.hold(from);
    else if (entry === 7) state.queueMode(from);
    else state.purge(from);
  }
}

function readFooterMessage(from: Cursor, segment: number, state: State): void {
  const id = from.id();
  const recordAt = from.f64();
  from.at += 4 + 8;
  const isInFile = from.u8() === 1;
  from.at += 8 + 4;
  const recipients = new Map<number, OwedRecipient>();
  for (let left = from.u32(); left > 0; left--) {
    const index = from.u32();
    from.u32();
    recipients.set(index, { attempts: from.u32(), nextTryMs: from.f64(), held: from.u8() });
  }
  state.put(id, { recipients, isInFile, segment, recordAt });
}
