import type { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { QueueName } from '../message/names.ts';
import type { QueueState } from '../message/queueState.ts';

/** A queue's retry clock: all that former releases knew. */
export function queueStateTo(out: ByteWriter, { queue, retryStep, retryAtMs }: QueueState): void {
  out.text(queue);
  out.u32(retryStep);
  out.f64(retryAtMs);
}

export function queueStateFrom(from: ByteReader): QueueState {
  return { queue: from.text() as QueueName, retryStep: from.u32(), retryAtMs: from.f64() };
}

/** The same with its mode and the local addresses it does not use. */
export function queueModeTo(out: ByteWriter, state: QueueState): void {
  queueStateTo(out, state);
  const { backoff, disabledSources = [] } = state;
  out.u8(Number(backoff !== undefined));
  out.f64(backoff?.sinceMs ?? 0);
  out.f64(backoff?.untilMs ?? 0);
  out.u32(disabledSources.length);
  for (const { address, untilMs } of disabledSources) {
    out.text(address);
    out.f64(untilMs);
  }
}

export function queueModeFrom(from: ByteReader): QueueState {
  const state = queueStateFrom(from);
  const isBackoff = from.u8() === 1;
  const times = { sinceMs: from.f64(), untilMs: from.f64() };
  const disabledSources = [];
  for (let left = from.u32(); left > 0; left--) {
    disabledSources.push({ address: from.text(), untilMs: from.f64() });
  }
  return { ...state, backoff: isBackoff ? times : undefined, disabledSources };
}
