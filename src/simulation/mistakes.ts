import type { Digest } from '../base/ports.ts';
import { accountingMistakes } from './accountingMistakes.ts';
import type { FaultMix } from './faultMix.ts';
import { limitMistakes } from './limitMistakes.ts';
import { logicMistakes } from './logicMistakes.ts';
import type { Mistake } from './mistake.ts';
import { perfectDns } from './simulatedDns.ts';
import { spoolMistakes } from './spoolMistakes.ts';

export interface PlantedMistake {
  readonly mistake: Mistake;
  /** Stated where the general mix of faults meets it too rarely. */
  readonly mix: Partial<FaultMix>;
}

/** Disks that fail and machines that die, at the worst moments, again and again; all else is well. */
const manyCrashes: Partial<FaultMix> = {
  on: new Set(['disk.sync', 'disk.folder', 'disk.slow', 'crash.engine', 'crash.supervisor', 'crash.power']),
  crashes: 6,
  painfulCrashes: { failure: 5, recovery: 3, segment: 5, unlink: 5, cursor: 3 },
  pairRate: 0.6,
  segmentBytes: 16 * 1024,
  diskMs: 3,
};

/** The same with power alone, and a segment for each batch. */
const powerCuts: Partial<FaultMix> = {
  ...manyCrashes,
  on: new Set(['disk.slow', 'crash.power', 'crash.supervisor']),
  segmentBytes: 4096,
};

/** So slow a disk that a crash finds something under way nearly always. */
const slowDisk: Partial<FaultMix> = {
  ...manyCrashes,
  diskMs: 300,
  pairRate: 0.8,
  sickStartRate: 0.8,
  pauseMs: 2000,
};

/** A failed sync every other second, and processes that die of it. */
const failingSyncs: Partial<FaultMix> = {
  ...manyCrashes,
  on: new Set(['disk.sync', 'crash.engine']),
  spoolFaultRate: 1,
  painRate: 0.9,
  diskFaultEveryMs: 1000,
  painfulCrashes: { failure: 30, recovery: 2, segment: 2, unlink: 2, cursor: 0 },
  segmentBytes: 96 * 1024,
  diskMs: 0.3,
};

const mixes: Readonly<Record<string, Partial<FaultMix>>> = {
  'recovery goes on after a failed sync': { ...slowDisk, spoolFaultRate: 1, painRate: 0.5, sickStartRate: 1 },
  'tombstone reclaimed early': powerCuts,
  'a content file is not synced': { ...powerCuts, bodyFileBytes: 1024 },
  'the folder of content files is not synced': { ...powerCuts, bodyFileBytes: 1024 },
  'A9: a content file goes with the batch that failed, before the 451': {
    ...failingSyncs,
    bodyFileBytes: 1024,
  },
  'missing CRC check': { ...slowDisk, on: powerCuts.on! },
  'V1: only a 250 makes the directory sync happen': powerCuts,
  'V3: recovery does not write again': failingSyncs,
  "V4: the recorder reads on by itself after an engine's death": {
    ...slowDisk,
    on: new Set(['disk.slow', 'crash.engine', 'crash.power']),
    pairRate: 1,
  },
  'V5: two unlinks without a directory sync between': powerCuts,
  'cursor before CSV sync': powerCuts,
  "the cursor's folder is not synced after the rename": powerCuts,
  'a failed CSV sync is repeated and believed': {
    ...powerCuts,
    on: new Set(['disk.sync', 'disk.slow', 'crash.power']),
    spoolFaultRate: 0,
  },
  'V6: a restarted recorder believes a cursor that is not durable': powerCuts,
  'a name server that fails is believed': {
    on: new Set(['dns', 'crash.engine']),
    dns: { ...perfectDns, servfailRate: 0.3, timeoutRate: 0.1 },
  },
  // Mail has to grow old first.
  'age lost at a restart': { on: new Set(['crash.engine']), faultsMs: 1_200_000, crashes: 3 },
};

/** Every planted bug by name. `digest`: the world's own, to change headers with. */
export function plantedMistakes(digest: Digest): Readonly<Record<string, PlantedMistake>> {
  const all = { ...spoolMistakes(digest), ...accountingMistakes, ...limitMistakes, ...logicMistakes };
  return Object.fromEntries(
    Object.entries(all).map(([name, mistake]) => [name, { mistake, mix: mixes[name] ?? {} }]),
  );
}
