import type { BatchPosition } from '../message/batchPosition.ts';
import type { MessageId } from '../message/messageId.ts';

/** Everything that was on disk once and is not whole any more. */
export type SpoolDamage =
  /** The header of a segment that counts; `isReadable`: what is behind it can be read all the same. */
  | { readonly kind: 'header'; readonly segment: number; readonly isReadable: boolean }
  /** A segment that counts is gone, or has a format that is not read here. */
  | { readonly kind: 'segment'; readonly segment: number }
  /** The footer says something else than the records do. */
  | { readonly kind: 'footer'; readonly segment: number }
  /** Records; so much of them can be read. */
  | {
      readonly kind: 'records';
      readonly segment: number;
      readonly at: number;
      readonly sizeBytes: number;
      readonly messages: number;
      readonly notes: number;
    }
  /** A content in its segment; `isOwed`: mail that is still to be delivered. */
  | {
      readonly kind: 'content';
      readonly segment: number;
      readonly at: number;
      readonly sizeBytes: number;
      readonly id: MessageId;
      readonly isOwed: boolean;
    }
  /** The file of an owed message's content is missing or damaged, or nothing says where it should be. */
  | { readonly kind: 'message'; readonly segment: number; readonly id: MessageId }
  /** The segment ends too early: batches up to this one were on disk. */
  | { readonly kind: 'cutShort'; readonly segment: number; readonly through: BatchPosition };
