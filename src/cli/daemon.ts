import { relative } from 'node:path';
import { askControl, type ControlAnswer } from '../control/client.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import { configurationOf } from './configuration.ts';
import type { Failure } from './failure.ts';
import type { GivenOptions } from './verb.ts';

/** An answer, or why there is none. */
export type Asked<T> = { readonly result: T } | { readonly failure: Failure };

/** Asks the daemon that `--socket` or `--config` mean. */
export async function askDaemon<T>(
  given: GivenOptions,
  verb: string,
  options: Readonly<Record<string, unknown>> = {},
  stream?: { readonly silenceMs: number; told(item: unknown): void },
): Promise<Asked<T>> {
  const path = await socketOf(given);
  if (path === undefined) return { failure: unreadable(given) };
  const answer = await askControl(path, verb, options, stream?.silenceMs, stream?.told);
  return answer.kind === 'answered'
    ? { result: answer.result as T }
    : { failure: failureOf(shortPath(path), answer) };
}

/** The configuration that was given says nothing. */
export function unreadable({ config }: GivenOptions): Failure {
  const message = `${config} has errors`;
  return { exit: 'error', code: 'configuration', message, fix: `See "penstock check ${config}".` };
}

/** From here, where that is not the longer way. */
export function shortPath(path: string): string {
  const way = relative('.', path);
  return way.startsWith('..') ? path : way;
}

/** undefined: the configuration that would say cannot be read. */
async function socketOf(options: GivenOptions): Promise<string | undefined> {
  if (options.socket !== undefined) return options.socket;
  const { config } = await configurationOf(options.config);
  return config === undefined ? undefined : controlSocketPath(config).path;
}

function failureOf(at: string, answer: Exclude<ControlAnswer, { kind: 'answered' }>): Failure {
  if (answer.kind === 'refused') {
    const { code, message } = answer.error;
    // It will know, once it has started.
    const exit = code === 'STARTING' ? 'unknown' : 'error';
    return { exit, code, message: `the daemon refused: ${message} (${code})` };
  }
  const { code } = answer;
  if (code === 'EACCES' || code === 'EPERM') {
    const fix = 'Use the account the daemon runs under, or root.';
    return { exit: 'permission', code, message: `permission denied at ${at}`, fix };
  }
  return {
    exit: 'unreachable',
    code,
    message: `no daemon answers at ${at} (${code})`,
    fix: 'Start one with "penstock run", or name its --config or --socket.',
  };
}
