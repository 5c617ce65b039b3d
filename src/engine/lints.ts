import type { Config } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';

/** What this release makes of a configuration less than its words promise. */
export function lintEngines({ engines, spools }: Config): readonly Finding[] {
  const findings: Finding[] = [];
  if (engines.value > 1) {
    findings.push({
      level: 'warning',
      code: 'W-ENGINES',
      message: `More than one engine is experimental: every limit holds for each of the ${engines.value} by itself.`,
      origin: engines.origin,
      underline: 0,
      fix: 'engines 1',
      refusesRun: false,
    });
  }
  for (const { value, origin } of spools.slice(1)) {
    findings.push({
      level: 'warning',
      code: 'W-NOT-YET',
      message: `One spool is used, ${spools[0]!.value}; ${value} is not.`,
      origin,
      underline: 0,
      fix: '',
      refusesRun: false,
    });
  }
  return findings;
}
