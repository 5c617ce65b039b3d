import type { Origin } from './config.ts';

/** One thing to say about a configuration. Codes are stable: E-OPEN-RELAY, W-NOT-YET ... (operator 4.3). */
export interface Finding {
  readonly level: 'error' | 'warning' | 'notice';
  readonly code: string;
  readonly message: string;
  /** undefined: about the whole configuration. */
  readonly origin: Origin | undefined;
  /** How many characters the caret underlines, from `origin.column` on; 0 for none. */
  readonly underline: number;
  /** What to do about it, or ''. */
  readonly fix: string;
  /** For `run`: an unsafe directive that is known but not honoured (architecture 7). `check` passes, `run` refuses. */
  readonly refusesRun: boolean;
}
