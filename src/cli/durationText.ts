const units: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/** The two largest units: `3d 4h`, `12m 5s`, `0s`. */
export function durationText(durationMs: number): string {
  let rest = Math.max(0, durationMs);
  const parts: string[] = [];
  for (const [name, ms] of units) {
    const count = Math.floor(rest / ms);
    rest -= count * ms;
    if (count > 0 || parts.length > 0) parts.push(`${count}${name}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}
