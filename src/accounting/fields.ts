import type { AcctRecordType } from '../config/config.ts';
import type { DeliveryEvent, DeliveryEventKind } from '../message/deliveryEvent.ts';
import type { Envelope, EnvelopeRecipient } from '../message/envelope.ts';
import { splitQueueName } from '../message/names.ts';
import type { QueueEvent } from '../message/queueEvent.ts';
import { enhancedStatusText } from './enhancedStatusText.ts';
import type { Timestamps } from './timestamp.ts';

/** One column of an accounting file and how its value is read. '' is the missing value. */
export interface Column<Item> {
  readonly name: string;
  readonly read: (item: Item, times: Timestamps) => string;
  /**
   * `asIs`: text of our own making that can hold nothing to quote. `quoted`: in quotes even where RFC
   * 4180 asks for none, as parsers of PowerMTA's files expect it.
   */
  readonly style?: 'asIs' | 'quoted';
}

/** A recipient accepted at submission: what an `r` row tells. */
export interface Receipt {
  readonly envelope: Envelope;
  readonly recipient: EnvelopeRecipient;
}

/** What happened to a recipient, or to a queue as a whole. */
export type AcctEvent = DeliveryEvent | QueueEvent;

export const recordTypeOf: Readonly<Record<AcctEvent['kind'], AcctRecordType>> = {
  delivered: 'd',
  failed: 'b',
  deferred: 't',
  queueFailed: 'tq',
};

/** RFC 3464 section 2.3.3: `relayed` into an environment that may make no further report. */
const dsnActions: Readonly<Record<DeliveryEventKind, string>> = {
  delivered: 'relayed',
  failed: 'failed',
  deferred: 'delayed',
};

/** The columns of d, b and t rows, in PowerMTA 4.5-5.0's order (powermta d.2). */
const eventColumns: readonly Column<DeliveryEvent>[] = [
  { name: 'type', read: (event) => recordTypeOf[event.kind], style: 'asIs' },
  { name: 'timeLogged', read: (event, times) => times.text(event.timeLoggedMs), style: 'asIs' },
  { name: 'timeQueued', read: (event, times) => times.text(event.timeQueuedMs), style: 'asIs' },
  { name: 'orig', read: (event) => event.orig },
  { name: 'rcpt', read: (event) => event.rcpt },
  { name: 'orcpt', read: (event) => event.orcpt },
  { name: 'dsnAction', read: (event) => dsnActions[event.kind], style: 'asIs' },
  { name: 'dsnStatus', read: (event) => enhancedStatusText(event.status) },
  { name: 'dsnDiag', read: (event) => (event.diagnostic === '' ? '' : `smtp;${event.diagnostic}`) },
  { name: 'dsnMta', read: (event) => event.dsnMta },
  { name: 'bounceCat', read: (event) => event.bounceCategory },
  // PowerMTA's word for what came without a client (powermta d.4); it leaves srcMta empty then, too.
  { name: 'srcType', read: (event) => (event.srcMta === '' ? 'api' : 'smtp'), style: 'asIs' },
  { name: 'srcMta', read: (event) => event.srcMta },
  { name: 'dlvType', read: () => 'smtp', style: 'asIs' },
  { name: 'dlvSourceIp', read: (event) => event.dlvSourceIp },
  { name: 'dlvDestinationIp', read: (event) => event.dlvDestinationIp },
  { name: 'dlvEsmtpAvailable', read: (event) => event.dlvEsmtpAvailable, style: 'quoted' },
  {
    name: 'dlvSize',
    read: (event) => (event.kind === 'delivered' ? String(event.dlvSizeBytes) : ''),
    style: 'asIs',
  },
  { name: 'vmta', read: (event) => event.vmta },
  { name: 'jobId', read: (event) => event.jobId },
  { name: 'envId', read: (event) => event.envId },
  { name: 'queue', read: (event) => event.queue },
  { name: 'vmtaPool', read: (event) => event.vmtaPool },
];

/** The columns of tq rows (powermta d.2), all of which d, b and t rows have, too. */
const queueColumns: readonly Column<QueueEvent>[] = [
  { name: 'type', read: () => 'tq', style: 'asIs' },
  { name: 'timeLogged', read: (event, times) => times.text(event.timeLoggedMs), style: 'asIs' },
  { name: 'dsnStatus', read: (event) => enhancedStatusText(event.status) },
  { name: 'dsnDiag', read: (event) => (event.diagnostic === '' ? '' : `smtp;${event.diagnostic}`) },
  { name: 'dsnMta', read: (event) => event.dsnMta },
  { name: 'dlvType', read: () => 'smtp', style: 'asIs' },
  { name: 'dlvSourceIp', read: (event) => event.dlvSourceIp },
  { name: 'dlvDestinationIp', read: (event) => event.dlvDestinationIp },
  { name: 'vmta', read: (event) => splitQueueName(event.queue).vmta },
  { name: 'queue', read: (event) => event.queue },
];

/** The columns of r rows (powermta d.2): what d, b and t rows also have, between two of its own. */
const receiptColumns: readonly Column<Receipt>[] = [
  { name: 'type', read: () => 'r', style: 'asIs' },
  { name: 'timeLogged', read: ({ envelope }, times) => times.text(envelope.timeQueuedMs), style: 'asIs' },
  { name: 'orig', read: ({ envelope }) => envelope.reversePath },
  { name: 'rcpt', read: ({ recipient }) => recipient.forwardPath },
  { name: 'orcpt', read: ({ recipient }) => recipient.orcpt },
  { name: 'srcType', read: () => 'smtp', style: 'asIs' },
  {
    name: 'srcMta',
    read: ({ envelope: { reception } }) => `${reception.heloName} (${reception.clientAddress})`,
  },
  { name: 'rcvSourceIp', read: ({ envelope }) => envelope.reception.clientAddress },
  { name: 'rcvDestinationIp', read: ({ envelope }) => envelope.reception.listenerAddress },
  // At submission PowerMTA names what was asked for: the pool, where one chose (powermta d.3).
  { name: 'vmta', read: ({ envelope }) => envelope.vmtaPool || envelope.vmta },
  { name: 'jobId', read: ({ envelope }) => envelope.jobId },
  { name: 'envId', read: ({ envelope }) => envelope.envId },
];

/** One column of a file, with its reader for each kind of row; no reader: always empty there. */
export interface FileColumn {
  readonly name: string;
  readonly event: Column<DeliveryEvent> | undefined;
  readonly queueEvent: Column<QueueEvent> | undefined;
  readonly receipt: Column<Receipt> | undefined;
}

/**
 * The columns of a file that asks for these record types: the delivery columns whole for any of d, b, t,
 * then those only others have. That is the order of real mixed headers; `records r` and `records tq` alone
 * keep their own.
 */
export function columnsFor(records: readonly AcctRecordType[]): readonly FileColumn[] {
  const events = records.some((type) => type !== 'r' && type !== 'tq') ? eventColumns : [];
  const queueEvents = records.includes('tq') ? queueColumns : [];
  const receipts = records.includes('r') ? receiptColumns : [];
  const names = new Set([...events, ...queueEvents, ...receipts].map((column) => column.name));
  return [...names].map((name) => ({
    name,
    event: events.find((column) => column.name === name),
    queueEvent: queueEvents.find((column) => column.name === name),
    receipt: receipts.find((column) => column.name === name),
  }));
}
