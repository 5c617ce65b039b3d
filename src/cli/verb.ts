import type { ExitName } from './exitCodes.ts';
import type { Failure } from './failure.ts';
import type { Io } from './io.ts';

/** One command of `penstock`, as data for commander and for the documents. */
export interface Verb {
  /** `status`, `queue list`. */
  readonly name: string;
  readonly summary: string;
  /** `FILE`, with what it is; required unless it says `optional`, then '' when it is not given. */
  readonly argument?: readonly [name: string, meaning: string, optional?: 'optional'];
  /** Beside those every verb has. */
  readonly options: readonly VerbOption[];
  run(io: Io, given: Given): Promise<ExitName | Failure>;
}

export interface VerbOption {
  /** commander's form: `--to ADDRESS`. */
  readonly flags: string;
  readonly meaning: string;
  readonly required?: true;
  /** The name of an option that says the same otherwise. */
  readonly conflicts?: string;
}

export const configOption: VerbOption = {
  flags: '--config PATH',
  meaning: 'the configuration; default: the embedded one',
};

/** How a verb finds a spool, whether a daemon runs on it or not. */
export const spoolOptions: readonly VerbOption[] = [
  { ...configOption, meaning: 'the configuration that names the spool; default: the embedded one' },
  { flags: '--folder PATH', meaning: 'a spool folder, or the folder of one engine', conflicts: 'config' },
];

/** How a verb finds its daemon. */
export const daemonOptions: readonly VerbOption[] = [
  { ...configOption, meaning: "the daemon's configuration; default: the embedded one" },
  {
    flags: '--socket PATH',
    meaning: "the daemon's control socket; default: beside its spool",
    conflicts: 'config',
  },
];

/** What was typed. Options by their long name in camelCase. */
export interface Given {
  readonly argument: string;
  readonly options: GivenOptions;
}

export interface GivenOptions {
  readonly json?: true;
  readonly quiet?: true;
  readonly socket?: string;
  readonly config?: string;
  readonly [name: string]: string | boolean | undefined;
}

/** The value of an option that takes one. */
export function textOption(options: GivenOptions, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}
