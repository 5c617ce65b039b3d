import { createHash } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../config/config.ts';

/** sun_path holds 108 bytes, the closing zero included. */
const pathMaxBytes = 107;

export interface ControlSocket {
  readonly path: string;
  /** Why the socket is not where one would look for it, or undefined. */
  readonly notice: string | undefined;
}

/** Where a daemon with this configuration listens for control: beside its spool folder. */
export function controlSocketPath(config: Pick<Config, 'spools'>): ControlSocket {
  const spool = resolve(config.spools[0]!.value);
  const path = join(dirname(spool), 'penstock.sock');
  if (Buffer.byteLength(path) <= pathMaxBytes) return { path, notice: undefined };
  const name = createHash('sha256').update(`${userInfo().uid} ${spool}`).digest('hex').slice(0, 16);
  const short = join(tmpdir(), `penstock-${name}.sock`);
  return { path: short, notice: `The control socket is ${short}: ${path} is too long for a socket.` };
}
