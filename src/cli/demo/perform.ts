import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemNet } from '../../base/node/net.ts';
import { AccountingTail } from '../accountingTail.ts';
import { shortPath } from '../daemon.ts';
import { type ExitName, exitCodes } from '../exitCodes.ts';
import type { Failure } from '../failure.ts';
import { type Io, pairLines } from '../io.ts';
import { demoMessages } from './demoMail.ts';
import { Injection } from './injection.ts';
import { type Progress, silent, startProgress } from './progress.ts';
import { destinations } from './scene.ts';
import { Stage } from './stage.ts';
import { Tally } from './tally.ts';
import { tallyLegend, tallyTable } from './tallyTable.ts';

const lookEveryMs = 200;
/** Behind the last message: who is deferred longer than that is left waiting. */
const patienceMs = 12_000;
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Wanted {
  readonly messages: number;
  readonly seed: number;
  readonly keepsSpool: boolean;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
}

/** Whatever ends it, nothing that it started is left running. */
export async function perform(io: Io, wanted: Wanted): Promise<ExitName | Failure> {
  const interrupted = new AbortController();
  const stopFor = (): void => {
    // Who asks twice does not want to wait: an engine without its supervisor ends by itself.
    if (interrupted.signal.aborted) process.exit(exitCodes.interrupted.code);
    interrupted.abort();
  };
  for (const signal of endSignals) process.on(signal, stopFor);
  let stage: Stage | undefined;
  try {
    stage = await Stage.set(wanted.seed, (text) => io.err(`penstock: ${text}`));
    const tell = await play(io, stage, wanted, interrupted.signal);
    await stage.close();
    if (tell === undefined) {
      io.err('penstock demo: interrupted; nothing is left running');
      return 'interrupted';
    }
    if (!wanted.keepsSpool) await stage.removeSpool();
    return tell();
  } catch (error) {
    await stage?.close();
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    return { exit: code === 'EACCES' || code === 'EPERM' ? 'permission' : 'error', code, message };
  } finally {
    for (const signal of endSignals) process.off(signal, stopFor);
  }
}

/** Sends it all and waits for what comes of it; undefined when interrupted. Told is when all has been stopped. */
async function play(
  io: Io,
  stage: Stage,
  wanted: Wanted,
  interrupted: AbortSignal,
): Promise<(() => ExitName | Failure) | undefined> {
  if (!(await stage.open(interrupted))) return undefined;
  const beganMs = performance.now();
  const tail = await AccountingTail.start(stage.config.acctFiles.map(({ path }) => path));
  if (!wanted.isJson) for (const line of opening(stage, wanted)) io.out(line);
  const messages = demoMessages(wanted.messages, wanted.seed);
  const injection = new Injection(systemNet(), stage.listeners, messages);
  const progress = wanted.isJson || wanted.isQuiet ? silent : await startProgress(io, wanted.messages);
  const tally = await tallied(injection, tail, progress, interrupted);
  if (interrupted.aborted) return undefined;
  const { accepted: sent, trouble } = injection;
  const seconds = (performance.now() - beganMs) / 1000;
  const ended = { sent, tally, seconds, acctFiles: await stage.acctFiles() };
  return () => {
    if (wanted.isJson) io.out(JSON.stringify(report(stage, wanted, ended)));
    else for (const line of closing(stage, ended)) io.out(line);
    if (sent === wanted.messages) return 'ok';
    const message = `${wanted.messages - sent} messages were not accepted (${trouble})`;
    return { exit: 'error', code: 'notAccepted', message };
  };
}

/** What there is to tell. */
interface Ending {
  /** Messages accepted. */
  readonly sent: number;
  readonly tally: Tally;
  readonly seconds: number;
  readonly acctFiles: readonly string[];
}

/** What the accounting file says until each recipient has ended, or patience with the rest has. */
async function tallied(
  injection: Injection,
  tail: AccountingTail,
  progress: Progress,
  interrupted: AbortSignal,
): Promise<Tally> {
  const tally = new Tally(new Map(destinations.map(({ isp }) => [isp.domain, isp.name])));
  let endMs = Number.POSITIVE_INFINITY;
  void injection.done.then(() => {
    endMs = performance.now() + patienceMs;
  });
  while (!interrupted.aborted) {
    for (const row of await tail.read()) tally.add(row);
    const { delivered, bounced, deferrals } = tally.totals;
    progress.show({ sent: injection.accepted, delivered, bounced, deferrals, ended: tally.ended });
    const isAllIn = endMs < Number.POSITIVE_INFINITY;
    if ((isAllIn && tally.ended >= injection.accepted) || performance.now() >= endMs) break;
    await sleep(lookEveryMs, undefined, { signal: interrupted }).catch(() => undefined);
  }
  progress.stop();
  return tally;
}

function opening({ places, configFile }: Stage, { messages }: Wanted): readonly string[] {
  return [
    `Sending ${messages} messages to receivers in the manner of ${ispNames}.`,
    'Nothing leaves this machine.',
    '',
    ...pairLines([
      ['listeners', `127.0.0.1, ports ${places.listenerPorts.join(', ')}`],
      ['configuration', shortPath(configFile)],
      ['meanwhile', `./bin/penstock status --config ${shortPath(configFile)}`],
    ]),
    '',
  ];
}

const ispNames = destinations.map(({ isp }) => isp.name).join(', ');

function closing(stage: Stage, ended: Ending): readonly string[] {
  const { sent, tally, seconds, acctFiles } = ended;
  const { delivered, bounced } = tally.totals;
  const waiting = sent - tally.ended;
  const configFile = shortPath(stage.configFile);
  return [
    '',
    ...tallyTable(tally.lines()),
    '',
    tallyLegend,
    '',
    `${sent} sent, ${delivered} delivered, ${bounced} bounced, ${waiting} still waiting after ${seconds.toFixed(0)} s.`,
    'One sending address is worse off than its neighbours, and one signing domain is',
    'not believed: the accounting file says which.',
    '',
    ...pairLines([
      ...acctFiles.map((path) => ['accounting', `${shortPath(path)}  ${tally.rows} rows`] as const),
      ['configuration', configFile],
      ['log', shortPath(stage.config.logFile.value)],
    ]),
    '',
    'Next:',
    `  ./bin/penstock check ${configFile}`,
    '  npm start',
  ];
}

function report(stage: Stage, { messages, seed }: Wanted, { sent, tally, seconds, acctFiles }: Ending) {
  return {
    schema: 'penstock.demo/1',
    messages,
    seed,
    sent,
    ...tally.totals,
    waiting: sent - tally.ended,
    seconds: Math.round(seconds * 10) / 10,
    lines: tally.lines(),
    configFile: resolve(stage.configFile),
    acctFiles: acctFiles.map((path) => resolve(path)),
    logFile: resolve(stage.config.logFile.value),
  };
}
