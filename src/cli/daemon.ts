import { relative } from 'node:path';
import { askControl, type ControlAnswer } from '../control/client.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import { configurationOf } from './configuration.ts';
import type { ExitName } from './exitCodes.ts';
import type { Io } from './io.ts';
import type { GivenOptions } from './verb.ts';

/** An answer, or the exit of a verb that already said why there is none. */
export type Asked<T> = { readonly result: T } | { readonly exit: ExitName };

/** Asks the daemon that `--socket` or `--config` mean; says on `io` why when it does not answer. */
export async function askDaemon<T>(io: Io, options: GivenOptions, verb: string): Promise<Asked<T>> {
  const path = await socketOf(options);
  if (path === undefined) {
    io.err(`penstock: ${options.config} has errors; see penstock check ${options.config}`);
    return { exit: 'error' };
  }
  return explained<T>(io, path, await askControl(path, verb));
}

/** undefined: the configuration that would say cannot be read. */
async function socketOf(options: GivenOptions): Promise<string | undefined> {
  if (options.socket !== undefined) return options.socket;
  const { config } = await configurationOf(options.config);
  return config === undefined ? undefined : controlSocketPath(config).path;
}

function explained<T>(io: Io, path: string, answer: ControlAnswer): Asked<T> {
  if (answer.kind === 'answered') return { result: answer.result as T };
  if (answer.kind === 'refused') {
    io.err(`penstock: the daemon refused: ${answer.error.message} (${answer.error.code})`);
    return { exit: 'error' };
  }
  const at = relative('.', path).startsWith('..') ? path : relative('.', path);
  if (answer.code === 'EACCES' || answer.code === 'EPERM') {
    io.err(`penstock: permission denied at ${at}: use the account the daemon runs under, or root`);
    return { exit: 'permission' };
  }
  io.err(`penstock: no daemon answers at ${at} (${answer.code})`);
  io.err('Start one with "penstock run", or name its configuration (--config) or socket (--socket).');
  return { exit: 'unreachable' };
}
