import type { Content, Envelope, SpoolLocation } from '../message/envelope.ts';
import type { BodyPlace, SnapshotRecipient } from './record.ts';

/** A message on its way into a younger segment. */
export interface Snapshot {
  readonly envelope: Envelope;
  /** The content to be copied, or the file where it stays. */
  readonly body: Content | BodyPlace;
  /** The content failed its checksum where it was read. */
  readonly isDamaged: boolean;
  /** Those for whom no outcome was put into any batch so far. */
  readonly owed: readonly SnapshotRecipient[];
  /** The segment it comes from. */
  readonly from: number;
  /** Comes once: where it lies from now on, or undefined when its batch failed and it stays where it was. */
  readonly moved: (to: SpoolLocation | undefined) => void;
}
