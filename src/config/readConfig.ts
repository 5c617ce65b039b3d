import type { Config } from './config.ts';
import { type ConfigFiles, memoryConfigFiles } from './configFiles.ts';
import { embeddedConfigName, embeddedConfigText } from './embedded.ts';
import type { Finding } from './finding.ts';
import { parse } from './parser.ts';
import { resolve } from './resolve.ts';

/**
 * `config` is undefined when an error keeps the file from meaning anything; nothing may run while any
 * finding is an error. Findings stand in the order of their lines.
 */
export interface ReadConfig {
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
}

const missingFile = 'E-FILE-MISSING';

/** Reads a PowerMTA configuration: everything that is wrong with it, and what it means. Never throws. */
export function readConfig(mainFile: string, files: ConfigFiles): ReadConfig {
  const parsed = parse(mainFile, files);
  if (!parsed.readable) return { config: undefined, findings: parsed.findings };
  if (parsed.givenUp) return { config: undefined, findings: inLineOrder(parsed.findings) };
  const resolved = resolve(mainFile, parsed.nodes, files);
  // What a line with an error was meant to set is not missing: say so only of a file without such lines.
  const wellFormed = parsed.findings.every((finding) => finding.level !== 'error');
  const meant = resolved.findings.filter((finding) => wellFormed || finding.origin !== undefined);
  const findings = inLineOrder([...parsed.findings, ...meant]);
  // A certificate that is not there leaves the meaning whole, so that access can still be judged.
  const faults = resolved.findings.filter(({ level, code }) => level === 'error' && code !== missingFile);
  return { config: wellFormed && faults.length === 0 ? resolved.config : undefined, findings };
}

/** The configuration that is used when none is given. */
export function readEmbeddedConfig(systemName: string): ReadConfig {
  const files = memoryConfigFiles(new Map([[embeddedConfigName, embeddedConfigText]]), systemName);
  return readConfig(embeddedConfigName, files);
}

/** Files in the order they are first mentioned; what concerns no line comes last. */
function inLineOrder(findings: readonly Finding[]): readonly Finding[] {
  const fileOrder = new Map<string | undefined, number>();
  for (const { origin } of findings) {
    if (origin !== undefined && !fileOrder.has(origin.file)) fileOrder.set(origin.file, fileOrder.size);
  }
  fileOrder.set(undefined, fileOrder.size);
  const place = ({ origin }: Finding): readonly number[] => [
    fileOrder.get(origin?.file)!,
    origin?.line ?? 0,
    origin?.column ?? 0,
  ];
  return findings
    .map((finding) => ({ finding, at: place(finding) }))
    .sort((a, b) => a.at[0]! - b.at[0]! || a.at[1]! - b.at[1]! || a.at[2]! - b.at[2]!)
    .map(({ finding }) => finding);
}
