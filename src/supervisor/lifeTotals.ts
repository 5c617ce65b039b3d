import type { EngineReport } from '../engine/engine.ts';

type ListenerCounts = EngineReport['listeners'][number];

/** The report of an engine's present life with what its ended lives had counted. */
export function carriedOn(ended: EngineReport | undefined, present: EngineReport): EngineReport {
  if (ended === undefined) return present;
  return {
    ...present,
    listeners: present.listeners.map((counts, index) => listenerSum(ended.listeners[index], counts)),
    outcomes: {
      deliveredTotal: ended.outcomes.deliveredTotal + present.outcomes.deliveredTotal,
      failedTotal: ended.outcomes.failedTotal + present.outcomes.failedTotal,
      deferredTotal: ended.outcomes.deferredTotal + present.outcomes.deferredTotal,
    },
  };
}

/** The report of an engine that has died: its connections ended with it, its spool did not. */
export function asLeft(report: EngineReport): EngineReport {
  return {
    ...report,
    outgoingConnections: 0,
    listeners: report.listeners.map((counts) => ({ ...counts, connections: 0 })),
  };
}

function listenerSum(ended: ListenerCounts | undefined, present: ListenerCounts): ListenerCounts {
  if (ended === undefined) return present;
  return {
    ...present,
    acceptedTotal: ended.acceptedTotal + present.acceptedTotal,
    refusedTotal: ended.refusedTotal + present.refusedTotal,
    messagesTotal: ended.messagesTotal + present.messagesTotal,
  };
}
