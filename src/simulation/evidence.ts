import type { ConnectOptions, Endpoint } from '../base/ports.ts';
import type { EngineLife } from './machineSetup.ts';

/** One end of an engine's life that was not an orderly one. */
export interface CrashNote {
  readonly atMs: number;
  /** Outcomes and queue states from here on were not durable yet; `atMs` when all of them were. */
  readonly unsyncedSinceMs: number;
}

/** A connection that was tried; when it failed, if the engine heard of it. */
export interface TryNote {
  readonly begunMs: number;
  failedMs: number | undefined;
}

export function tryKey(localAddress: string, remoteAddress: string): string {
  return `${localAddress} ${remoteAddress}`;
}

/** The window of promise 2: outcomes the engine knew and had not synced when it died. */
export class Evidence {
  readonly crashes: CrashNote[] = [];
  /** When bytes of each connection arrived at its client's end, by `endKey` of that end. */
  readonly #arrivals = new Map<string, { atMs: number; bytes: number }[]>();
  /** Connections that were tried, by local and remote address. */
  readonly tries = new Map<string, TryNote[]>();
  #lookedMs = 0;
  /** How long no engine served. */
  downMs = 0;

  /** After each event. */
  look(life: EngineLife | undefined, nowMs: number): void {
    if (life?.engine === undefined) this.downMs += nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
  }

  crashed(life: EngineLife, nowMs: number): void {
    if (life.engine === undefined) return;
    this.crashes.push({ atMs: nowMs, unsyncedSinceMs: nowMs - life.engine.report().unsyncedForMs });
  }

  connecting({ localAddress, remote }: ConnectOptions, nowMs: number): void {
    const key = tryKey(localAddress ?? '', remote.address);
    const tries = this.tries.get(key);
    const note = { begunMs: nowMs, failedMs: undefined };
    if (tries === undefined) this.tries.set(key, [note]);
    else tries.push(note);
  }

  /** The oldest of them that is still open: which one it is makes no difference. */
  connectFailed({ localAddress, remote }: ConnectOptions, nowMs: number): void {
    const tries = this.tries.get(tryKey(localAddress ?? '', remote.address));
    const note = tries?.find(({ failedMs }) => failedMs === undefined);
    if (note !== undefined) note.failedMs = nowMs;
  }

  arrived(to: Endpoint, bytes: number, nowMs: number): void {
    const key = endKey(to);
    const arrivals = this.#arrivals.get(key);
    const note = { atMs: nowMs, bytes: bytes + (arrivals?.at(-1)?.bytes ?? 0) };
    if (arrivals === undefined) this.#arrivals.set(key, [note]);
    else arrivals.push(note);
  }

  /** When the client at that end had read so many bytes; undefined: never. */
  readMs(end: Endpoint, bytes: number): number | undefined {
    return this.#arrivals.get(endKey(end))?.find((note) => note.bytes >= bytes)?.atMs;
  }

  /**
   * Whether the engine may have forgotten by `untilMs` what it learned at `knownMs` and made an outcome of
   * by `settledMs`.
   */
  mayBeForgotten(knownMs: number, settledMs: number, untilMs: number): boolean {
    return this.crashes.some(
      ({ atMs, unsyncedSinceMs }) =>
        settledMs + roundingMs >= unsyncedSinceMs && knownMs <= atMs && atMs <= untilMs,
    );
  }
}

/** Two clocks of fractions of milliseconds are between putting and asking. */
const roundingMs = 1;

function endKey({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
