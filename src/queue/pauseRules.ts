import type { QueueName } from '../message/names.ts';
import { parseQueueSelector, type QueueSelector } from './queueSelector.ts';

/** One command that still counts. */
export interface PauseRule {
  readonly selector: QueueSelector;
  readonly isPaused: boolean;
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
  set(selector: QueueSelector, isPaused: boolean): void {
    const kept = [...this.#rules.filter((rule) => !selector.covers(rule.selector)), { selector, isPaused }];
    const first = kept.findIndex((rule) => rule.isPaused);
    this.#rules = first < 0 ? [] : kept.slice(first);
  }

  isPaused(queue: QueueName): boolean {
    return this.#rules.findLast(({ selector }) => selector.matches(queue))?.isPaused ?? false;
  }

  /** Selectors with `!` before those that resume, in order: what `restore` takes. */
  texts(): readonly string[] {
    return this.#rules.map(({ selector, isPaused }) => (isPaused ? '' : '!') + selector.text);
  }

  restore(texts: readonly string[]): void {
    this.#rules = [];
    for (const text of texts) {
      const selector = parseQueueSelector(text.replace(/^!/, ''));
      if (selector !== undefined) this.set(selector, !text.startsWith('!'));
    }
  }
}
