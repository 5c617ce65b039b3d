import type { QueueName } from '../message/names.ts';
import type { QueueSelector } from './queueSelector.ts';

/** One command that still counts. */
export interface PauseRule {
  readonly selector: QueueSelector;
  readonly isPaused: boolean;
  /** Rises from rule to rule. */
  readonly order: number;
}

/** What a command did to the rules. */
export interface PauseChange {
  /** undefined: nothing is paused that it could end. */
  readonly added: PauseRule | undefined;
  readonly dropped: readonly PauseRule[];
}

/**
 * What an operator paused: rules in the order they were given, the last that matches decides. So a queue
 * that comes into being later obeys them, too.
 */
export class PauseRules {
  #rules: readonly PauseRule[] = [];

  get rules(): readonly PauseRule[] {
    return this.#rules;
  }

  /** The new rule takes the place of those it covers; one that changes nothing is not kept. */
  set(selector: QueueSelector, isPaused: boolean): PauseChange {
    const before = this.#rules;
    const order = (before.at(-1)?.order ?? 0) + 1;
    const kept = before.filter((rule) => !selector.covers(rule.selector));
    this.#rules = withoutIdle([...kept, { selector, isPaused, order }]);
    return {
      added: this.#rules.find((rule) => rule.order === order),
      dropped: before.filter((rule) => !this.#rules.includes(rule)),
    };
  }

  isPaused(queue: QueueName): boolean {
    return this.ruleOf(queue)?.isPaused ?? false;
  }

  /** The rule that decides; undefined: none speaks of it. */
  ruleOf(queue: QueueName): PauseRule | undefined {
    return this.#rules.findLast(({ selector }) => selector.matches(queue));
  }

  /** As they were kept; in any order. */
  restore(rules: readonly PauseRule[]): void {
    this.#rules = rules.toSorted((a, b) => a.order - b.order);
  }
}

/** Before the first rule that pauses there is nothing to resume. */
function withoutIdle(rules: readonly PauseRule[]): readonly PauseRule[] {
  const first = rules.findIndex(({ isPaused }) => isPaused);
  return first < 0 ? [] : rules.slice(first);
}
