import type { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { OwedSink } from './owed.ts';

/*
 * Who was deleted: a count, then epoch, sequence and place in the envelope of each. In memory these are three
 * numbers each in one array, for there may be a million.
 */

export function purgeTo(out: ByteWriter, named: Float64Array): void {
  out.u32(named.length / 3);
  for (let at = 0; at < named.length; at += 3) {
    out.u32(named[at]!);
    out.f64(named[at + 1]!);
    out.u32(named[at + 2]!);
  }
}

export function purgeFrom(from: ByteReader): Float64Array {
  const named: number[] = [];
  for (let left = from.u32(); left > 0; left--) named.push(from.u32(), from.f64(), from.u32());
  return Float64Array.from(named);
}

export function tellPurge(named: Float64Array, into: OwedSink): void {
  for (let at = 0; at < named.length; at += 3) {
    into.purge({ epoch: named[at]!, sequence: named[at + 1]! }, named[at + 2]!);
  }
}
