import type { Config } from '../config/config.ts';
import type { EngineReport, QuarantineView, ReleaseCounts } from '../engine/engine.ts';
import type {
  DeleteCounts,
  DeleteOrder,
  FoundQueue,
  PauseAnswer,
  QueueListing,
  QueueSelection,
  WhyMessage,
  WhyQueue,
} from '../engine/operations.ts';
import type { TracePage } from '../engine/tracing.ts';
import type { BatchPosition, Watermark } from '../message/batchPosition.ts';
import type { MessageId } from '../message/messageId.ts';
import type { QueueName } from '../message/names.ts';
import type { RetryCounts } from '../queue/schedule.ts';

/** What an engine is asked. */
export type Question =
  | { readonly about: 'report' }
  | { readonly about: 'queues'; readonly selection: QueueSelection }
  | { readonly about: 'queue'; readonly queue: QueueName }
  /** Selectors are known to be ones. */
  | { readonly about: 'pause'; readonly selector: string; readonly isPaused: boolean }
  | { readonly about: 'retry'; readonly selector: string }
  | { readonly about: 'why'; readonly queue: QueueName }
  | { readonly about: 'whyMessage'; readonly id: MessageId }
  | { readonly about: 'trace'; readonly queue: QueueName; readonly withData: boolean }
  | { readonly about: 'traced'; readonly queue: QueueName }
  | { readonly about: 'delete'; readonly order: DeleteOrder }
  | { readonly about: 'quarantined'; readonly messagesMax: number }
  /** `id` undefined: of all messages. */
  | { readonly about: 'release'; readonly id: MessageId | undefined };

/** What it answers, by what it was asked about. */
export interface Answers {
  readonly report: EngineReport;
  readonly queues: QueueListing;
  readonly queue: FoundQueue;
  readonly pause: PauseAnswer | 'tooMany';
  readonly retry: RetryCounts;
  readonly why: WhyQueue | Extract<FoundQueue, { kind: 'unknown' }>;
  readonly whyMessage: WhyMessage | 'unknown';
  readonly trace: FoundQueue | { readonly kind: 'busy' };
  readonly traced: TracePage;
  readonly delete: DeleteCounts | 'busy';
  readonly quarantined: QuarantineView;
  readonly release: ReleaseCounts;
}

/** What the supervisor tells an engine process. Structured clone: plain data only. */
export type ToEngine =
  | {
      readonly kind: 'start';
      readonly config: Config;
      readonly spoolFolder: string;
      readonly recorded: BatchPosition;
      /** false: deliver what the folder owes, accept nothing (an engine that is not configured any more). */
      readonly accepts: boolean;
      /** The life before ended in a crash: note every step with a message before it is taken. */
      readonly isCareful: boolean;
    }
  | { readonly kind: 'recorded'; readonly position: BatchPosition }
  | { readonly kind: 'ask'; readonly ask: number; readonly question: Question }
  | { readonly kind: 'stop' };

/** What an engine process tells the supervisor. */
export type FromEngine =
  /** It listens to us: what is said before would be lost. */
  | { readonly kind: 'ready' }
  /** The start takes longer, for this reason. */
  | { readonly kind: 'waits'; readonly message: string }
  | { readonly kind: 'started' }
  /** It cannot start, or it ends for a fault of its own. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'published'; readonly watermark: Watermark }
  /** `answer` undefined: it is not that far. */
  | {
      readonly kind: 'answer';
      readonly ask: number;
      readonly answer: Answers[keyof Answers] | undefined;
    }
  | { readonly kind: 'stopped' };
