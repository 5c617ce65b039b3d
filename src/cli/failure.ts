import type { Finding } from '../config/finding.ts';
import { checkReport, renderFindings } from '../config/render.ts';
import { type ExitName, exitCodes } from './exitCodes.ts';
import type { Io } from './io.ts';

/** Why a verb did not do what it was asked to. */
export interface Failure {
  readonly exit: ExitName;
  /** Stable: the system's (`ECONNREFUSED`), the daemon's (`UNKNOWN_VERB`), or a word of ours in lower case. */
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly fix?: string;
  /** What is wrong with the configuration. */
  readonly findings?: readonly Finding[];
}

/** On standard error for people; under `--json` for programs, too, on standard output. */
export function sayFailure(io: Io, verb: string, failure: Failure, isJson: boolean): void {
  const { exit, code, message, fix, findings } = failure;
  if (findings !== undefined) io.err(renderFindings(findings).trimEnd());
  io.err(`${['penstock', verb].join(' ').trimEnd()}: ${message}`);
  if (fix !== undefined) io.err(fix);
  if (!isJson) return;
  io.out(
    JSON.stringify({
      schema: 'penstock.error/1',
      verb,
      exit: exitCodes[exit].code,
      code,
      message,
      fix,
      findings: findings && checkReport('', findings).findings,
    }),
  );
}

/** A command line that was not understood. */
export function misuse(message: string): Failure {
  return { exit: 'usage', code: 'usage', message };
}
