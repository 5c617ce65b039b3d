/**
 * The proof that a configuration is no open relay (architecture 7), exact over all listeners and all
 * clients. It asks the compiled decision the daemon uses, so what it says is what the daemon does.
 */
import type { Config } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';
import { mailChoiceLines } from './mailChoice.ts';
import { openRelayFindings, proofLines } from './proofText.ts';
import { findRelaying, type OpenRelay, type ProvenGrant } from './relaying.ts';

export interface Proof {
  /** No open relay. Nothing overrides a false. */
  readonly closed: boolean;
  /** Everybody who may relay without AUTH, by listener and deciding line: smaller grants included. */
  readonly grants: readonly ProvenGrant[];
  /** One for each listener that makes it an open relay; empty when closed. */
  readonly openRelays: readonly OpenRelay[];
  /** E-OPEN-RELAY, one for each of `openRelays`. */
  readonly findings: readonly Finding[];
  /** The theorem, or what is wrong with it, and what mail itself may choose, for a terminal. */
  readonly lines: readonly string[];
}

export function proveClosed(config: Config): Proof {
  const { grants, openRelays } = findRelaying(config);
  return {
    closed: openRelays.length === 0,
    grants,
    openRelays,
    findings: openRelayFindings(config, openRelays),
    lines: [...proofLines(config, grants, openRelays), ...mailChoiceLines(config)],
  };
}
