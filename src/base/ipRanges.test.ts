import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cidr, cidrContains, formatCidr, parseCidr } from './ip.ts';
import {
  addressCount,
  allIps,
  atomsOf,
  cidrsOf,
  differenceOf,
  type IpSet,
  intersectionOf,
  ipSetContains,
  ipSetOf,
  isEmptyIpSet,
  largestPrefix,
  noIps,
  unionOf,
} from './ipRanges.ts';

// Small universes at both ends of both address spaces, where every address can be tried.
const universes = [
  { family: 4, base: 0n },
  { family: 4, base: (1n << 32n) - 64n },
  { family: 6, base: 0n },
  { family: 6, base: (1n << 128n) - 64n },
] as const;

type Universe = (typeof universes)[number];

const cidrsIn = (universe: Universe): fc.Arbitrary<Cidr[]> =>
  fc.array(
    fc.record({ at: fc.nat(63), host: fc.nat(6) }).map(({ at, host }) => ({
      family: universe.family,
      first: ((universe.base + BigInt(at)) >> BigInt(host)) << BigInt(host),
      bits: (universe.family === 4 ? 32 : 128) - host,
    })),
    { maxLength: 8 },
  );

const members = (universe: Universe, isIn: (value: bigint) => boolean): bigint[] =>
  Array.from({ length: 64 }, (_, i) => universe.base + BigInt(i)).filter(isIn);

const membersOf = (universe: Universe, set: IpSet): bigint[] =>
  members(universe, (value) => ipSetContains(set, { family: universe.family, value }));

const byHand = (universe: Universe, cidrs: readonly Cidr[]): bigint[] =>
  members(universe, (value) => cidrs.some((cidr) => cidrContains(cidr, { family: universe.family, value })));

describe.each(universes)('around $base of family $family', (universe) => {
  test('union, intersection and subtraction agree with trying every address', () => {
    fc.assert(
      fc.property(cidrsIn(universe), cidrsIn(universe), (a, b) => {
        const [inA, inB] = [new Set(byHand(universe, a)), new Set(byHand(universe, b))];
        const [setA, setB] = [ipSetOf(a), ipSetOf(b)];
        expect(membersOf(universe, setA)).toEqual([...inA]);
        expect(membersOf(universe, unionOf([setA, setB]))).toEqual(
          members(universe, (value) => inA.has(value) || inB.has(value)),
        );
        expect(membersOf(universe, intersectionOf(setA, setB))).toEqual(
          members(universe, (value) => inA.has(value) && inB.has(value)),
        );
        expect(membersOf(universe, differenceOf(setA, setB))).toEqual(
          members(universe, (value) => inA.has(value) && !inB.has(value)),
        );
      }),
    );
  });

  test('size, prefixes and the largest prefix agree with counting', () => {
    fc.assert(
      fc.property(cidrsIn(universe), (cidrs) => {
        const set = ipSetOf(cidrs);
        expect(addressCount(set, universe.family)).toBe(BigInt(byHand(universe, cidrs).length));
        const prefixes = [...cidrsOf(set, universe.family)];
        expect(ipSetOf(prefixes)).toEqual(set);
        const sum = prefixes.reduce((total, cidr) => total + addressCount(ipSetOf([cidr]), cidr.family), 0n);
        expect(sum).toBe(addressCount(set, universe.family));
        const inside = (cidr: Cidr): boolean => isEmptyIpSet(differenceOf(ipSetOf([cidr]), set));
        const largest = largestPrefix(set, universe.family);
        expect(largest === undefined).toBe(isEmptyIpSet(set));
        if (largest === undefined) return;
        expect(inside(largest)).toBe(true);
        const shorter = largest.bits - 1;
        const host = BigInt((universe.family === 4 ? 32 : 128) - shorter);
        for (const value of byHand(universe, cidrs)) {
          expect(inside({ family: universe.family, first: (value >> host) << host, bits: shorter })).toBe(
            false,
          );
        }
      }),
    );
  });

  test('no two addresses of one atom differ in any of the sets', () => {
    fc.assert(
      fc.property(fc.array(cidrsIn(universe), { maxLength: 3 }), (lists) => {
        const sets = lists.map(ipSetOf);
        const atoms = atomsOf(sets, universe.family);
        expect(atoms.reduce((sum, [first, end]) => sum + end - first, 0n)).toBe(
          addressCount(allIps, universe.family),
        );
        for (const [first, end] of atoms) {
          for (const value of members(universe, (at) => at >= first && at < end)) {
            for (const set of sets) {
              expect(ipSetContains(set, { family: universe.family, value })).toBe(
                ipSetContains(set, { family: universe.family, value: first }),
              );
            }
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

test('sets obey the laws of sets, over whole address spaces', () => {
  const cidr = fc
    .tuple(
      fc.constantFrom(4 as const, 6 as const),
      fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      fc.nat(128),
    )
    .map(([family, value, bits]): Cidr => {
      const width = family === 4 ? 32 : 128;
      const host = BigInt(width - (bits % (width + 1)));
      return { family, first: ((value % (1n << BigInt(width))) >> host) << host, bits: width - Number(host) };
    });
  const set = fc.array(cidr, { maxLength: 10 }).map(ipSetOf);
  fc.assert(
    fc.property(set, set, (a, b) => {
      expect(differenceOf(allIps, unionOf([a, b]))).toEqual(
        intersectionOf(differenceOf(allIps, a), differenceOf(allIps, b)),
      );
      expect(unionOf([differenceOf(a, b), intersectionOf(a, b)])).toEqual(a);
      expect(differenceOf(a, a)).toEqual(noIps);
      expect(unionOf([a, differenceOf(allIps, a)])).toEqual(allIps);
      for (const family of [4, 6] as const) {
        expect(addressCount(a, family) + addressCount(b, family)).toBe(
          addressCount(unionOf([a, b]), family) + addressCount(intersectionOf(a, b), family),
        );
      }
    }),
  );
});

test('everyone except 127/8 is the eight prefixes one writes by hand', () => {
  const set = differenceOf(allIps, ipSetOf([parseCidr('127/8')!]));
  expect([...cidrsOf(set, 4)].map(formatCidr)).toEqual([
    '0.0.0.0/2',
    '64.0.0.0/3',
    '96.0.0.0/4',
    '112.0.0.0/5',
    '120.0.0.0/6',
    '124.0.0.0/7',
    '126.0.0.0/8',
    '128.0.0.0/1',
  ]);
  expect(formatCidr(largestPrefix(set, 4)!)).toBe('128.0.0.0/1');
  expect([...cidrsOf(set, 6)].map(formatCidr)).toEqual(['::/0']);
});
