/** Exact set algebra over addresses: what "everyone except 10/8" means, without sampling. */
import { addressBits, type Cidr, type IpAddress, lastOf } from './ip.ts';

/**
 * Sorted, disjoint intervals written as their edges: [first, last + 1, first, last + 1 ...], strictly
 * rising. An address is inside when an odd number of edges lie at or below it, so one set has exactly
 * one spelling, and two sets are equal when their edges are.
 */
export type IntervalEdges = readonly bigint[];

/** `[first, last + 1]` */
export type Interval = readonly [bigint, bigint];

/** A set of addresses of both families. */
export interface IpSet {
  readonly 4: IntervalEdges;
  readonly 6: IntervalEdges;
}

export const ipFamilies = [4, 6] as const;

export const noIps: IpSet = { 4: [], 6: [] };

export const allIps: IpSet = { 4: [0n, 1n << 32n], 6: [0n, 1n << 128n] };

export function ipSetOf(cidrs: readonly Cidr[]): IpSet {
  const intervals = (family: 4 | 6): Interval[] =>
    cidrs.filter((cidr) => cidr.family === family).map((cidr) => [cidr.first, lastOf(cidr) + 1n]);
  return { 4: mergedEdges(intervals(4)), 6: mergedEdges(intervals(6)) };
}

export function unionOf(sets: readonly IpSet[]): IpSet {
  const intervals = (family: 4 | 6): Interval[] => sets.flatMap((set) => [...intervalsOf(set, family)]);
  return { 4: mergedEdges(intervals(4)), 6: mergedEdges(intervals(6)) };
}

export function intersectionOf(a: IpSet, b: IpSet): IpSet {
  return combine(a, b, (inA, inB) => inA && inB);
}

/** What is in `a` and not in `b`. */
export function differenceOf(a: IpSet, b: IpSet): IpSet {
  return combine(a, b, (inA, inB) => inA && !inB);
}

/** The part of a set that is of one family. */
export function ofFamily(set: IpSet, family: 4 | 6): IpSet {
  return { ...noIps, [family]: set[family] };
}

export function isEmptyIpSet(set: IpSet): boolean {
  return set[4].length === 0 && set[6].length === 0;
}

export function ipSetContains(set: IpSet, ip: IpAddress): boolean {
  const edges = set[ip.family];
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! <= ip.value) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/** How many addresses of that family are in the set. */
export function addressCount(set: IpSet, family: 4 | 6): bigint {
  let count = 0n;
  for (const [first, end] of intervalsOf(set, family)) count += end - first;
  return count;
}

/** The intervals of one family, rising. */
export function* intervalsOf(set: IpSet, family: 4 | 6): Generator<Interval> {
  const edges = set[family];
  for (let i = 0; i < edges.length; i += 2) yield [edges[i]!, edges[i + 1]!];
}

/** The fewest prefixes that make up the family's part of the set, rising. */
export function* cidrsOf(set: IpSet, family: 4 | 6): Generator<Cidr> {
  for (const [start, end] of intervalsOf(set, family)) {
    let first = start;
    while (first < end) {
      // The largest block that is aligned at `first` and does not pass the end.
      let hostBits = 0;
      while (hostBits < addressBits(family)) {
        const next = 1n << BigInt(hostBits + 1);
        if ((first & (next - 1n)) !== 0n || first + next > end) break;
        hostBits++;
      }
      yield { family, first, bits: addressBits(family) - hostBits };
      first += 1n << BigInt(hostBits);
    }
  }
}

/** The largest prefix that lies wholly in the set; the lowest of equal ones. */
export function largestPrefix(set: IpSet, family: 4 | 6): Cidr | undefined {
  let largest: Cidr | undefined;
  for (const cidr of cidrsOf(set, family)) {
    if (largest === undefined || cidr.bits < largest.bits) largest = cidr;
  }
  return largest;
}

/**
 * Cuts a family's whole address space at every edge of the given sets: within one of the returned
 * intervals no address can be told from another by membership in them.
 */
export function atomsOf(sets: readonly IpSet[], family: 4 | 6): Interval[] {
  const edges = new Set<bigint>(allIps[family]);
  for (const set of sets) for (const edge of set[family]) edges.add(edge);
  const sorted = [...edges].sort((a, b) => (a < b ? -1 : 1));
  return sorted.slice(1).map((end, i) => [sorted[i]!, end] as const);
}

/** Intervals in any order, overlapping or touching, as the edges of their union. */
function mergedEdges(intervals: Interval[]): IntervalEdges {
  intervals.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const out: bigint[] = [];
  for (const [first, end] of intervals) {
    const previousEnd = out.at(-1);
    if (previousEnd === undefined || previousEnd < first) out.push(first, end);
    else if (previousEnd < end) out[out.length - 1] = end;
  }
  return out;
}

function combine(a: IpSet, b: IpSet, keep: (inA: boolean, inB: boolean) => boolean): IpSet {
  return { 4: combineEdges(a[4], b[4], keep), 6: combineEdges(a[6], b[6], keep) };
}

/** Walks both lists by rising edge; how many edges are passed says whether we stand inside. */
function combineEdges(
  a: IntervalEdges,
  b: IntervalEdges,
  keep: (inA: boolean, inB: boolean) => boolean,
): IntervalEdges {
  const out: bigint[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const x = a[i];
    const y = b[j];
    const edge = x === undefined || (y !== undefined && y < x) ? y! : x;
    if (x === edge) i++;
    if (y === edge) j++;
    if (keep(i % 2 === 1, j % 2 === 1) !== (out.length % 2 === 1)) out.push(edge);
  }
  return out;
}
