import { hostname } from 'node:os';
import { lintAccess } from '../access/lints.ts';
import { proveClosed } from '../access/openRelay.ts';
import type { Config } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';
import { loadConfig } from '../config/node/load.ts';
import { readEmbeddedConfig } from '../config/readConfig.ts';
import { lintEngines } from '../engine/lints.ts';

/** A configuration as every verb sees it: read, and judged by the open relay proof. */
export interface Configuration {
  /** undefined when an error keeps it from meaning anything. */
  readonly config: Config | undefined;
  /** The proof's included. */
  readonly findings: readonly Finding[];
  /** The theorem, or why there is none; empty without a configuration. */
  readonly proof: readonly string[];
}

/** `file` undefined: the embedded default. */
export async function configurationOf(file: string | undefined): Promise<Configuration> {
  const { config, findings } = file === undefined ? readEmbeddedConfig(hostname()) : loadConfig(file);
  if (config === undefined) return { config, findings, proof: [] };
  const proof = proveClosed(config);
  const lints = [...lintAccess(config), ...lintEngines(config)];
  const judged = [...findings, ...lints, ...proof.findings];
  return { config, findings: judged, proof: proof.lines };
}
