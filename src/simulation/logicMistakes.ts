import type { Clock, Connection, ConnectionEvents, Dns, DnsAnswer, Net } from '../base/ports.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { SpoolLocation } from '../message/envelope.ts';
import { reportedBy } from '../message/messageId.ts';
import type { Batch, OwedMessage, Settled, Settlement } from '../queue/schedule.ts';
import { Scheduler } from '../queue/scheduler.ts';
import type { OwedMail } from '../spool/copyForward.ts';
import { recover } from '../spool/recovery.ts';
import { SegmentSpool } from '../spool/segmentSpool.ts';
import type { OwnedMessage, SpoolReadFailure, StoredMessage } from '../spool/spool.ts';
import { settingsOtherwise } from './limitMistakes.ts';
import type { Mistake } from './mistake.ts';

class LosesDeferrals extends SegmentSpool {
  override putEvent(event: DeliveryEvent, messageSegment: number): void {
    super.putEvent(
      event.kind === 'deferred' ? { ...event, attempts: 0, nextTryMs: 0 } : event,
      messageSegment,
    );
  }
}

class DoublesOutcomes extends SegmentSpool {
  override putEvent(event: DeliveryEvent, messageSegment: number): void {
    super.putEvent(event, messageSegment);
    if (event.kind === 'failed') super.putEvent(event, messageSegment);
  }
}

/** When the outcomes are durable without it a crash may lose it. */
class ReportsLater extends SegmentSpool {
  readonly #clock: Clock;

  constructor(...[ports, ...rest]: ConstructorParameters<typeof SegmentSpool>) {
    super(ports, ...rest);
    this.#clock = ports.clock;
  }

  override putReported(events: readonly DeliveryEvent[], segment: number, report: OwnedMessage): void {
    for (const event of events) this.putEvent(event, segment);
    this.#clock.after(500, () => this.putMessage(report.message, report.owner));
  }
}

/** A batch that fails refuses it like a client's mail. */
class ReportsOnce extends SegmentSpool {
  override putReported(
    events: readonly DeliveryEvent[],
    segment: number,
    { message, owner }: OwnedMessage,
  ): void {
    for (const event of events) this.putEvent(event, segment);
    this.putMessage({ ...message, durability: 'sync' }, owner);
  }
}

class ReportsEveryEvent extends SegmentSpool {
  override putReported(events: readonly DeliveryEvent[], segment: number, report: OwnedMessage): void {
    super.putReported(events, segment, report);
    if (events.length > 1) this.putMessage(report.message, report.owner);
  }
}

/** Each report that a restart finds is put a second time, for want of a look at who sent it already. */
const doublingReports: typeof recover = async (...given) => {
  const recovered = await recover(...given);
  if (recovered.kind !== 'recovered') return recovered;
  const reports = [...recovered.owed].filter(({ id }) => reportedBy(id) !== undefined);
  for (const [n, report] of reports.entries()) {
    recovered.owed.put({ ...report, id: { epoch: recovered.epoch, sequence: 2 ** 40 + n } });
  }
  return recovered;
};

class LosesQueueStates extends SegmentSpool {
  override putQueueState(): void {
    // Nothing is remembered.
  }
}

class LooksWhereItWas extends SegmentSpool {
  override ownedBy(mail: OwedMail): void {
    super.ownedBy({
      owedIn: (segment) => mail.owedIn(segment),
      recipientsOf: (messages) => mail.recipientsOf(messages),
      moved: () => undefined,
      damaged: (message) => mail.damaged(message),
    });
  }
}

class CopiesWithoutNextTry extends SegmentSpool {
  override ownedBy(mail: OwedMail): void {
    super.ownedBy({
      owedIn: (segment) => mail.owedIn(segment),
      recipientsOf: (messages) =>
        mail.recipientsOf(messages).map((owed) => owed.map((one) => ({ ...one, attempts: 0, nextTryMs: 0 }))),
      moved: (message, to) => mail.moved(message, to),
      damaged: (message) => mail.damaged(message),
    });
  }
}

class ReadsOneByteOff extends SegmentSpool {
  override async read(location: SpoolLocation): Promise<StoredMessage | SpoolReadFailure> {
    const read = await super.read(location);
    const last = read.kind === 'stored' ? read.content.chunks.at(-1) : undefined;
    // Somewhere before the closing CRLF . CRLF.
    if (last !== undefined && last.length > 20) last[last.length - 12] = 0x2a;
    return read;
  }
}

class RetriesFailures extends Scheduler {
  override settle(batch: Batch, index: number, settlement: Settlement, nowMs: number): Settled {
    return super.settle(batch, index, settlement === 'failed' ? 'deferred' : settlement, nowMs);
  }
}

class ForgetsNextTry extends Scheduler {
  override add(owed: OwedMessage, nowMs: number): number {
    const recipients = owed.recipients.map((recipient) => ({ ...recipient, nextTryInMs: 0 }));
    return super.add({ ...owed, recipients }, nowMs);
  }
}

class ForgetsAge extends Scheduler {
  override add(owed: OwedMessage, nowMs: number): number {
    return super.add({ ...owed, ageMs: 0 }, nowMs);
  }
}

export const logicMistakes: Readonly<Record<string, Mistake>> = {
  'lost deferral': { parts: { Spool: LosesDeferrals } },
  'a report is put behind its outcome': { parts: { Spool: ReportsLater } },
  'a report is not written again with its outcome': { parts: { Spool: ReportsOnce } },
  'a report is doubled at a restart': { parts: { recover: doublingReports } },
  'a report is doubled where it tells of several': { parts: { Spool: ReportsEveryEvent } },
  'lost queue state': { parts: { Spool: LosesQueueStates } },
  'stale index after copy': { parts: { Spool: LooksWhereItWas } },
  'a copy forgets the next try': { parts: { Spool: CopiesWithoutNextTry } },
  'doubled row': { parts: { Spool: DoublesOutcomes } },
  'a stored content is read one byte off': { parts: { Spool: ReadsOneByteOff } },
  'retry after 5xx': { parts: { Scheduler: RetriesFailures } },
  'next try lost at a restart': { parts: { Scheduler: ForgetsNextTry } },
  'age lost at a restart': { parts: { Scheduler: ForgetsAge } },
  'retried too early': settingsOtherwise(({ retryRecipientsAfterMs }) => ({
    retryRecipientsAfterMs: retryRecipientsAfterMs / 2,
  })),
  'expired too early': settingsOtherwise(({ bounceAfterMs }) => ({ bounceAfterMs: bounceAfterMs / 4 })),
  'missed session reset': { engineNet: (net) => overClients(net, heard('RSET\r\n', 'NOOP\r\n')) },
  'a name server that fails is believed': { engineDns: believing },
  'a deferral at the dot is taken for a delivery': {
    engineNet: (net) => overRemotes(net, '452 4.3.1', '250 2.3.1'),
  },
  'a TLS handshake is taken for granted': { engineNet: takingTlsForGranted },
  'a delivery is taken for a deferral': {
    engineNet: (net) => overRemotes(net, '250 2.0.0 taken', '451 2.0.0 taken'),
  },
};

/** What nobody could say is taken for a name that does not exist. */
function believing(dns: Dns): Dns {
  const absent: DnsAnswer<never> = { kind: 'none', exists: false, ttlMs: 0 };
  return {
    query: async (name, type) => {
      const answer = await dns.query(name, type);
      return answer.kind === 'failed' ? absent : answer;
    },
  };
}

type Heard = (bytes: Uint8Array) => Uint8Array;

/** One text for another of the same length, where a piece that arrives holds it. */
function heard(text: string, instead: string): Heard {
  const [from, to] = [text, instead].map((one) => new TextEncoder().encode(one)) as [Uint8Array, Uint8Array];
  return (bytes) => {
    const at = placeOf(from, bytes);
    if (at < 0) return bytes;
    const changed = bytes.slice();
    changed.set(to, at);
    return changed;
  };
}

function placeOf(text: Uint8Array, bytes: Uint8Array): number {
  for (let at = bytes.indexOf(text[0]!); at >= 0; at = bytes.indexOf(text[0]!, at + 1)) {
    if (text.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function overEvents(events: ConnectionEvents, hear: Heard): ConnectionEvents {
  return {
    received: (bytes) => events.received(hear(bytes)),
    ended: () => events.ended(),
    drained: () => events.drained(),
    closed: (error) => events.closed(error),
  };
}

/** What clients say arrives otherwise. */
function overClients(net: Net, hear: Heard): Net {
  return {
    listen: (at, accept) => net.listen(at, (connection: Connection) => overEvents(accept(connection), hear)),
    connect: (options, opened, events) => net.connect(options, opened, events),
  };
}

/** What remotes answer arrives otherwise. */
function overRemotes(net: Net, text: string, instead: string): Net {
  const hear = heard(text, instead);
  return {
    listen: (at, accept) => net.listen(at, accept),
    connect: (options, opened, events) => net.connect(options, opened, overEvents(events, hear)),
  };
}

/** Connections that are secure by their own word. */
function takingTlsForGranted(net: Net): Net {
  return {
    listen: (at, accept) => net.listen(at, accept),
    connect: (options, opened, events) => {
      const secureAtOnce = (connection: Connection): void => {
        connection.startTls = (_options, secured) => secured({ protocol: 'TLSv1.3', cipher: 'none' });
        opened(connection);
      };
      return net.connect(options, secureAtOnce, events);
    },
  };
}
