export type ScenarioName = 'inject' | 'injectNone' | 'relay';

export interface Scenario {
  readonly connections: number;
  readonly sizeBytes: number;
  readonly nextHop: 'unreachable' | 'sink';
  /** What a 250 waits for. */
  readonly durability: 'sync' | 'none';
}

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  inject: { connections: 50, sizeBytes: 2048, nextHop: 'unreachable', durability: 'sync' },
  injectNone: { connections: 50, sizeBytes: 2048, nextHop: 'unreachable', durability: 'none' },
  relay: { connections: 20, sizeBytes: 2048, nextHop: 'sink', durability: 'sync' },
};

/** Whom a round measures: a checkout of ours, or a peer. */
export type ServerName = 'penstock' | 'postfix' | 'haraka';

/** What a round is told. */
export interface RoundOrder {
  readonly server: ServerName;
  /** Whether clients pipeline across messages. */
  readonly isChained: boolean;
  readonly scenario: Scenario;
  readonly seconds: number;
}

/** What a round tells. */
export interface RoundFigures {
  /** Until the last one had its 250, and in `relay` until the sink had it. */
  readonly messagesPerSecond: number;
  /** Supervisor and engines, user and system. */
  readonly cpuUsPerMessage: number;
  /** From the last byte of a content to its 250. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What load and sink took of the same machine. */
  readonly benchCpuUsPerMessage: number;
}
