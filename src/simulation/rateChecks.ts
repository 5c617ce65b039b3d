import { busiestWindow, type Happening } from '../base/anyWindow.ts';
import type { Rate } from '../config/config.ts';
import type { Evidence } from './evidence.ts';
import type { Receiver } from './receiver.ts';
import type { WorldDomain, WorldVmta } from './worldConfig.ts';

/** What rates are judged by. */
export interface RateCase {
  readonly receivers: readonly { readonly domain: WorldDomain; readonly receiver: Receiver }[];
  readonly vmtas: readonly WorldVmta[];
  readonly evidence: Evidence;
}

/**
 * No receiver sees more than a rate in any window, wherever it begins. What an engine had counted dies with it,
 * so each of its lives is judged for itself; and what nobody waited for any more may come late.
 */
export function checkRates(
  { receivers, vmtas, evidence }: RateCase,
  say: (promise: string, detail: string) => void,
): void {
  const check = (promise: string, of: string, rate: Rate, atMs: readonly number[]): void => {
    if (rate === undefined) return;
    for (const life of livesOf(atMs, evidence)) {
      const most = busiestWindow(life, rate.perMs, 1);
      if (most > rate.count) say(promise, `${of}: ${most} within ${rate.perMs} ms, not ${rate.count}`);
    }
  };
  for (const { name, address, maxSmtpMsgRate } of vmtas) {
    const named = receivers.flatMap(({ receiver }) => namedMs(receiver, address, evidence));
    check('max-smtp-msg-rate holds in any window', name, maxSmtpMsgRate, named);
    for (const { domain, receiver } of receivers) {
      const of = `${domain.name}/${name}`;
      const { maxMsgRate, maxConnectRate } = domain;
      check('max-msg-rate holds in any window', of, maxMsgRate, namedMs(receiver, address, evidence));
      check('max-connect-rate holds in any window', of, maxConnectRate, metMs(receiver, address, evidence));
    }
  }
}

function livesOf(atMs: readonly number[], { crashes }: Evidence): readonly Happening[][] {
  const lives = new Map<number, Happening[]>();
  for (const one of atMs) {
    const life = crashes.filter((crash) => crash.atMs <= one).length;
    const happenings = lives.get(life) ?? [];
    lives.set(life, happenings);
    happenings.push({ atMs: one, amount: 1 });
  }
  return [...lives.values()];
}

/** When recipients were named by that address, and the engine read what was said to it. */
function namedMs(receiver: Receiver, address: string, evidence: Evidence): readonly number[] {
  return receiver.verdicts.flatMap(({ stage, atMs, connection, replyEndBytes }) => {
    const { clientAddress, clientPort: port } = receiver.connections[connection]!;
    const isRead = evidence.readMs({ address, port }, replyEndBytes) !== undefined;
    return stage === 'rcpt' && clientAddress === address && isRead ? [atMs] : [];
  });
}

/** When connections from that address came, of which the engine read anything. */
function metMs(receiver: Receiver, address: string, evidence: Evidence): readonly number[] {
  return receiver.connections.flatMap(({ clientAddress, clientPort: port, openedMs }) =>
    clientAddress === address && evidence.readMs({ address, port }, 1) !== undefined ? [openedMs] : [],
  );
}
