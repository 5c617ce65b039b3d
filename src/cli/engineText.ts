import type { EngineStateReport } from '../control/reports.ts';
import { durationText } from './durationText.ts';

/** What an engine is doing, since when and why: `restarting in 3s: killed by SIGKILL`. */
export function engineText(engine: EngineStateReport, nowMs: number): string {
  const { state, pid, deaths, diedOf, waitsFor, restartInMs } = engine;
  const sinceMs = nowMs - engine.sinceMs;
  const process = pid === undefined ? '' : `, pid ${pid}`;
  const died = deaths === 0 ? '' : `; ${deaths === 1 ? 'died once' : `died ${deaths} times`}, of: ${diedOf}`;
  const texts: Readonly<Record<EngineStateReport['state'], string>> = {
    starting: `starting since ${durationText(sinceMs)}${process}${waitsFor === undefined ? '' : `: ${waitsFor}`}`,
    running: `running${process}, up ${durationText(sinceMs)}${died}`,
    draining: `draining${process}: not configured any more, only delivers`,
    notAnswering: `not answering since ${durationText(sinceMs)}${process}`,
    restarting: `restarting in ${Math.ceil((restartInMs ?? 0) / 1000)}s${died}`,
    stopping: `stopping since ${durationText(sinceMs)}${process}`,
    stopped: 'stopped',
  };
  return texts[state];
}
