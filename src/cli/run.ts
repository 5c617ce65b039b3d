import { resolve } from 'node:path';
import { systemClock } from '../base/node/clock.ts';
import { systemDisk } from '../base/node/disk.ts';
import { systemNet } from '../base/node/net.ts';
import type { Endpoint } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { renderFindings } from '../config/render.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import { describeListeners } from '../listener/listenerPlan.ts';
import { startBuiltInReceiver } from '../simulation/builtInReceiver.ts';
import type { AlreadyRunning, Supervisor } from '../supervisor/supervisor.ts';
import { configurationOf } from './configuration.ts';
import { shortPath } from './daemon.ts';
import { type ExitName, exitCodes } from './exitCodes.ts';
import type { Failure } from './failure.ts';
import { type Io, pairLines } from './io.ts';
import { packageVersion } from './packageVersion.ts';
import { syncPriceMs } from './syncPrice.ts';
import { configOption, type GivenOptions, type Verb } from './verb.ts';

export const run: Verb = {
  name: 'run',
  summary: 'start the daemon in the foreground',
  options: [configOption],
  async run(io, { options }) {
    const { config, findings } = await configurationOf(options.config);
    const isBlocked = findings.some(({ level, refusesRun }) => level === 'error' || refusesRun);
    if (config === undefined || isBlocked) {
      const message = `${options.config ?? 'the embedded default'} is not started, for what stands above`;
      return { exit: 'error', code: 'configuration', message, findings };
    }
    if (findings.length > 0) io.err(renderFindings(findings).trimEnd());
    try {
      return await serve(io, options, config);
    } catch (error) {
      return failureOf(error as NodeJS.ErrnoException);
    }
  },
};

async function serve(io: Io, options: GivenOptions, config: Config): Promise<ExitName | Failure> {
  // Only here: the other verbs start faster without the engine.
  const { Supervisor } = await import('../supervisor/supervisor.ts');
  const supervisor = new Supervisor({
    config,
    configFile: options.config,
    version: packageVersion(),
    notice: (text) => io.err(`penstock: ${text}`),
  });
  let isAsked = false;
  const stopFor = (signal: NodeJS.Signals): void => {
    // Who asks twice does not want to wait: what was accepted is on disk whatever happens now.
    if (isAsked) process.exit(exitCodes.interrupted.code);
    isAsked = true;
    void supervisor.stop(signal);
  };
  process.on('SIGTERM', stopFor);
  process.on('SIGINT', stopFor);
  try {
    // Whatever a start hangs in, a stop ends it.
    return await Promise.race([
      started(io, options, config, supervisor),
      supervisor.finished.then(() => 'ok' as const),
    ]);
  } finally {
    process.off('SIGTERM', stopFor);
    process.off('SIGINT', stopFor);
  }
}

/** Resolves with what kept it from starting, or once it has ended. */
async function started(
  io: Io,
  options: GivenOptions,
  config: Config,
  supervisor: Supervisor,
): Promise<ExitName | Failure> {
  const other = await supervisor.claim();
  if (other !== undefined) return alreadyRunning(other);
  try {
    const isEmbedded = options.config === undefined;
    if (isEmbedded) await startBuiltInReceiver(systemNet(), systemClock(), onlyNextHop(config));
    if (await supervisor.start()) await announce(io, options, config);
  } catch (error) {
    await supervisor.abandon();
    throw error;
  }
  return (await supervisor.finished) === 0 ? 'ok' : 'error';
}

function alreadyRunning({ pid, socket }: AlreadyRunning): Failure {
  const who = pid === undefined ? 'but does not answer' : `pid ${pid}`;
  const message = `already running, ${who} (${shortPath(socket)})`;
  return { exit: 'error', code: 'alreadyRunning', message, fix: 'End it with "penstock stop".' };
}

/** Where the embedded configuration sends everything: there our own receiver listens. */
function onlyNextHop(config: Config): Endpoint {
  const { host, port } = config.domains[0]!.settings.smtpHosts!.value[0]![0]!;
  return { address: host, port };
}

async function announce(io: Io, options: GivenOptions, config: Config): Promise<void> {
  const spool = config.spools[0]!.value;
  const socket = controlSocketPath(config);
  const acctFiles = config.acctFiles.map(({ path }) => path);
  if (options.json) {
    const listeners = config.listeners.map(({ address, port }) => ({ address, port }));
    const facts = {
      pid: process.pid,
      configFile: options.config === undefined ? config.file : resolve(options.config),
      listeners,
      spool: resolve(spool),
      acctFiles: acctFiles.map((path) => resolve(path)),
      logFile: resolve(config.logFile.value),
      socket: socket.path,
    };
    io.out(JSON.stringify({ schema: 'penstock.run/1', ...facts }));
    return;
  }
  const example = options.config === undefined ? '--listener 2526' : `--config ${options.config}`;
  const lines = [
    ...describeListeners(config),
    '',
    ...pairLines([
      ['configuration', config.file],
      ['durability', await durabilityText(config, spool)],
      ['spool', spool],
      ...acctFiles.map((path) => ['accounting', path] as const),
      ['log', config.logFile.value],
      ['control', shortPath(socket.path)],
      ...(socket.notice === undefined ? [] : [['notice', socket.notice] as const]),
    ]),
    '',
    'Next, from another shell:',
    `  ./bin/penstock send --to a@gmail.test ${example}`,
  ];
  for (const line of lines) io.out(line);
}

/** `sync` with what one sync costs on this disk, so that nobody has to guess. */
async function durabilityText(config: Config, spool: string): Promise<string> {
  const durability = config.durability.value;
  if (durability !== 'sync') return durability;
  const priceMs = await syncPriceMs(systemDisk(), systemClock(), spool);
  return priceMs === undefined ? durability : `sync: a sync takes ${priceMs.toFixed(1)} ms on this disk`;
}

function failureOf({ code = 'unknown', message }: NodeJS.ErrnoException): Failure {
  const exit = code === 'EACCES' || code === 'EPERM' ? 'permission' : 'error';
  const fix = fixes[code];
  return { exit, code, message, ...(fix !== undefined && { fix }) };
}

const forRoot = 'Ports below 1024 and folders of other accounts need root.';
const fixes: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Something else listens there: another MTA, or a penstock with another spool.',
  EBUSY: 'It may be the engine of a daemon that was killed: end that pid if it does not end by itself.',
  EACCES: forRoot,
  EPERM: forRoot,
};
