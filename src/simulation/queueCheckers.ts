import type { Case, Say } from './case.ts';
import { type TryNote, tryKey } from './evidence.ts';
import { guardedPrefix } from './worldRoutes.ts';

/** A connection that was begun with the one that failed may still wait for its resolver: for MX, then for addresses. */
const resolvedWithinMs = 45_000;

/** No limit is passed that receivers can see. */
export function checkLimits(
  { receivers, vmtas, totalMaxSmtpOut, mostHeld, mostHeldBy }: Case,
  say: Say,
): void {
  for (const { name, address, maxSmtpOut } of vmtas) {
    const held = mostHeldBy.get(address) ?? 0;
    if (maxSmtpOut > 0 && held > maxSmtpOut) {
      say('max-smtp-out of a virtual MTA holds', `${name}: ${held}, not ${maxSmtpOut}`);
    }
  }
  for (const { domain, receiver } of receivers) {
    for (const [address, peak] of receiver.peaks) {
      if (peak > domain.maxSmtpOut) {
        say(
          'max-smtp-out holds',
          `${domain.name}: ${peak} connections from ${address}, not ${domain.maxSmtpOut}`,
        );
      }
    }
  }
  if (mostHeld > totalMaxSmtpOut) say('total-max-smtp-out holds', `${mostHeld}, not ${totalMaxSmtpOut}`);
}

/** What DNS must not lead to is not connected to. */
export function checkGuarded({ evidence }: Case, say: Say): void {
  for (const key of evidence.tries.keys()) {
    if (key.includes(` ${guardedPrefix}`)) say('private addresses that DNS gives are not tried', key);
  }
}

/** retry-after, over restarts too: seen best where every try fails. */
export function checkQueueRetries({ receivers, vmtas, evidence, wallStepsMs }: Case, say: Say): void {
  for (const { domain } of receivers) {
    if (!domain.isDead) continue;
    const leastMs = Math.min(...domain.retryAfterMs) - wallStepsMs - 1;
    for (const { name, address } of vmtas) {
      const tries = evidence.tries.get(tryKey(address, domain.addresses[0]!)) ?? [];
      // What fails while the queue waits already is the same failure.
      let waitsUntilMs = 0;
      let failedMs = 0;
      for (const { atMs, isFailure } of happenings(tries)) {
        if (isFailure && atMs >= waitsUntilMs) {
          failedMs = atMs;
          waitsUntilMs = atMs + leastMs;
        }
        if (isFailure || atMs >= waitsUntilMs || atMs < failedMs + resolvedWithinMs) continue;
        if (evidence.mayBeForgotten(failedMs, failedMs, atMs)) continue;
        const detail = `${domain.name}/${name} failed at ${failedMs}, tried again at ${atMs}`;
        say('a queue waits its retry-after', detail);
      }
    }
  }
}

/** Beginnings and failures, in order; of one moment a beginning comes first. */
function happenings(tries: readonly TryNote[]): readonly { atMs: number; isFailure: boolean }[] {
  const all = tries.flatMap(({ begunMs, failedMs }) => [
    { atMs: begunMs, isFailure: false },
    ...(failedMs === undefined ? [] : [{ atMs: failedMs, isFailure: true }]),
  ]);
  return all.sort((x, y) => x.atMs - y.atMs || Number(x.isFailure) - Number(y.isFailure));
}
