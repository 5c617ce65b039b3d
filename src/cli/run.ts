import { relative } from 'node:path';
import { systemClock } from '../base/node/clock.ts';
import { systemDisk } from '../base/node/disk.ts';
import { systemNet } from '../base/node/net.ts';
import type { Endpoint } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import { renderFindings } from '../config/render.ts';
import { controlSocketPath } from '../control/controlSocket.ts';
import { describeListeners } from '../listener/listenerPlan.ts';
import { startBuiltInReceiver } from '../simulation/builtInReceiver.ts';
import { configurationOf } from './configuration.ts';
import { type ExitName, exitCodes } from './exitCodes.ts';
import { type Io, pairLines } from './io.ts';
import { packageVersion } from './packageVersion.ts';
import { syncPriceMs } from './syncPrice.ts';
import type { GivenOptions, Verb } from './verb.ts';

export const run: Verb = {
  name: 'run',
  summary: 'start the daemon in the foreground',
  options: [],
  async run(io, { options }) {
    const { config, findings } = await configurationOf(options.config);
    const isBlocked = findings.some(({ level, refusesRun }) => level === 'error' || refusesRun);
    if (findings.length > 0) io.err(renderFindings(findings).trimEnd());
    if (config === undefined || isBlocked) {
      io.err(`penstock: ${options.config ?? 'the embedded default'} is not started, for what stands above`);
      return 'error';
    }
    try {
      return await serve(io, options, config);
    } catch (error) {
      return failed(io, error as NodeJS.ErrnoException);
    }
  },
};

async function serve(io: Io, options: GivenOptions, config: Config): Promise<ExitName> {
  const isEmbedded = options.config === undefined;
  const receiver = isEmbedded
    ? await startBuiltInReceiver(systemNet(), systemClock(), onlyNextHop(config))
    : undefined;
  // Only here: the other verbs start faster without the engine.
  const { startSupervisor } = await import('../supervisor/supervisor.ts');
  const starting = startSupervisor({ config, configFile: options.config, version: packageVersion() });
  // Clients are served before the start is over: a signal in between must not be a crash.
  let isAsked = false;
  const stopFor = (signal: NodeJS.Signals): void => {
    // Who asks twice does not want to wait: what was accepted is on disk whatever happens now.
    if (isAsked) process.exit(exitCodes.interrupted.code);
    isAsked = true;
    starting.then(
      (started) => started.stop(signal),
      () => undefined,
    );
  };
  process.on('SIGTERM', stopFor);
  process.on('SIGINT', stopFor);
  const supervisor = await starting;
  await announce(io, options, config);
  const code = await supervisor.finished;
  process.off('SIGTERM', stopFor);
  process.off('SIGINT', stopFor);
  await receiver?.close();
  return code === 0 ? 'ok' : 'error';
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
      configFile: config.file,
      listeners,
      spool,
      acctFiles,
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
      ['control', relative('.', socket.path).startsWith('..') ? socket.path : relative('.', socket.path)],
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

function failed(io: Io, error: NodeJS.ErrnoException): ExitName {
  io.err(`penstock: ${error.message}`);
  if (error.code === 'EADDRINUSE')
    io.err('Something else listens there: another penstock ("penstock stop"), or another MTA.');
  if (error.code !== 'EACCES' && error.code !== 'EPERM') return 'error';
  io.err('Ports below 1024 and folders of other accounts need root.');
  return 'permission';
}
