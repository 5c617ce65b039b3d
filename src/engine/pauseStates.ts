import type { QueueState } from '../message/queueState.ts';
import type { PauseRule } from '../queue/pauseRules.ts';
import { parseQueueSelector } from '../queue/queueSelector.ts';

/*
 * The spool remembers a rule of what is paused as the state of a queue whose name is a slash and the
 * selector; no queue is called so. Its step is what the rule does, its time the rule's place among them.
 */

const paused = 1;
const resumed = 2;

export function stateOfRule({ selector, isPaused, order }: PauseRule): QueueState {
  return { queue: `/${selector.text}`, retryStep: isPaused ? paused : resumed, retryAtMs: order };
}

/** The rule counts no more. */
export function stateOfDropped({ selector }: PauseRule): QueueState {
  return { queue: `/${selector.text}`, retryStep: 0, retryAtMs: 0 };
}

/** Whether it is a rule's, and no queue's. */
export function isRuleState({ queue }: QueueState): boolean {
  return queue.startsWith('/');
}

/** undefined: it is not a rule's. */
export function ruleOfState(state: QueueState): PauseRule | undefined {
  const selector = isRuleState(state) ? parseQueueSelector(state.queue.slice(1)) : undefined;
  return selector && { selector, isPaused: state.retryStep === paused, order: state.retryAtMs };
}
