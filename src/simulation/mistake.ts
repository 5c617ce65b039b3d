import type { Digest, Disk, Dns, Net } from '../base/ports.ts';
import type { EngineParts } from '../engine/engine.ts';
import type { BatchPosition, Watermark } from '../message/batchPosition.ts';

/** A disk with one step wrong. `isRecovering`: the engine has not created a segment of its own yet. */
export type DiskMistake = (disk: Disk, isRecovering: () => boolean) => Disk;

/**
 * A way to get one step wrong, put between the product and its ports, or in place of one of its parts: the
 * product carries no switches. `mistakes.ts` has them by name; `noMistake` is what normally runs.
 */
export interface Mistake {
  /** For one life of the engine's process. */
  readonly engineDisk?: DiskMistake;
  readonly engineNet?: (net: Net) => Net;
  readonly engineDns?: (dns: Dns) => Dns;
  readonly parts?: Partial<EngineParts>;
  /** For one life of the supervisor's process. */
  readonly recorderDisk?: (disk: Disk) => Disk;
  /** For both. */
  readonly digest?: Digest;
  /** What the recorder is told instead of the watermark. */
  readonly watermark?: (watermark: Watermark) => Watermark;
  /** What the recorder is told when an engine died, with the last watermark of it. */
  readonly afterDeath?: (last: Watermark) => Watermark;
  /** What the engine is told instead of the cursor. */
  readonly recorded?: (position: BatchPosition) => BatchPosition;
}

export const noMistake: Mistake = {};
