import {
  type EngineStateReport,
  isAnswering,
  type QuarantinedReport,
  type QuarantineListReport,
  type QuarantineReleaseReport,
} from '../control/reports.ts';
import type { QuarantineView, ReleaseCounts } from '../engine/engine.ts';
import type { QuarantinedSummary } from '../engine/quarantine.ts';
import { formatMessageId } from '../message/messageId.ts';

/** What one engine answered; undefined: nothing. */
export interface EngineAnswer<T> {
  readonly state: EngineStateReport;
  readonly answer: T | undefined;
}

/** At most `messagesMax` of all that is held. */
export function quarantineListReport(
  engines: readonly EngineAnswer<QuarantineView>[],
  messagesMax: number,
): QuarantineListReport {
  const messages = engines.flatMap(
    ({ state, answer }) => answer?.messages.map((message) => quarantinedReport(state.name, message)) ?? [],
  );
  return {
    schema: 'penstock.quarantineList/1',
    isRunning: true,
    total: engines.reduce((sum, { answer }) => sum + (answer?.total ?? 0), 0),
    messages: messages.slice(0, messagesMax),
    unanswered: unanswered(engines),
  };
}

export function quarantinedReport(engine: string, summary: QuarantinedSummary): QuarantinedReport {
  return { ...summary, engine, id: formatMessageId(summary.id) };
}

export function quarantineReleaseReport(
  engines: readonly EngineAnswer<ReleaseCounts>[],
): QuarantineReleaseReport {
  return {
    schema: 'penstock.quarantineRelease/1',
    messages: engines.reduce((sum, { answer }) => sum + (answer?.messages ?? 0), 0),
    recipients: engines.reduce((sum, { answer }) => sum + (answer?.recipients ?? 0), 0),
    unanswered: unanswered(engines),
  };
}

/** Those whose part is missing. */
export function unanswered(engines: readonly EngineAnswer<unknown>[]): readonly EngineStateReport[] {
  return engines.flatMap(({ state, answer }) => (answer === undefined || !isAnswering(state) ? [state] : []));
}
