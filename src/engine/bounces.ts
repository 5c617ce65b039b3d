import type { Clock } from '../base/ports.ts';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Content } from '../message/envelope.ts';
import { formatMessageId, reportId } from '../message/messageId.ts';
import { defaultVirtualMta, isInvalidVirtualMta } from '../message/names.ts';
import { formatDateTime } from '../protocol/dateTime.ts';
import { dotUnstuffed } from '../protocol/dotStuffing.ts';
import { type FailedRecipient, failureDsn, type ReturnedContent } from '../protocol/dsn.ts';
import { headerSection } from '../protocol/headerSection.ts';
import { transferNeed } from '../protocol/quotedPrintable.ts';
import { recipientOf } from '../routing/recipient.ts';
import type { Spool } from '../spool/spool.ts';
import type { HeldMessage } from './heldContent.ts';
import type { LocalMail } from './localMail.ts';

export interface BouncesSetup {
  readonly clock: Clock;
  readonly spool: Spool;
  readonly localMail: LocalMail;
  /** The main host-name. */
  readonly hostName: string;
  /** custom-dsn-from-header, or ''. */
  readonly fromHeader: string;
}

/** Of one report; more recipients that fail at once get further ones. */
const recipientsMax = 100;
/** Of the message that is given back. A larger one gives its header; that is looked for in a first part first. */
const returnedBytesMax = 64 * 1024;
const headerBytesUsual = 8 * 1024;

/** Tells senders of what is given up: RFC 3461 section 5, with NOTIFY=FAILURE for all. */
export class Bounces {
  readonly #setup: BouncesSetup;

  constructor(setup: BouncesSetup) {
    this.#setup = setup;
  }

  /** Puts failures of one message into the spool, each together with the report of it where one is due. */
  put(failed: readonly DeliveryEvent[], messageSegment: number, message: HeldMessage): void {
    const { spool } = this.#setup;
    const { reversePath, dsnReturn } = message.envelope;
    // RFC 5321 section 4.5.5: never about a report, so never in circles.
    const sender = reversePath === '' || dsnReturn === 'none' ? undefined : recipientOf(reversePath);
    if (sender === undefined) {
      for (const event of failed) spool.putEvent(event, messageSegment);
      return;
    }
    for (let at = 0; at < failed.length; at += recipientsMax) {
      const events = failed.slice(at, at + recipientsMax);
      const { id, recipientIndex } = events[0]!;
      const ownId = reportId(id, recipientIndex) ?? spool.nextId();
      const { content, smtpUtf8, eightBit } = failureDsn(
        this.#factsOf(events, formatMessageId(ownId), message),
      );
      // It leaves as the message would have: its sender knows that address of ours, and the network may, too.
      const { vmta, vmtaPool } = message.envelope;
      const local = {
        to: sender,
        vmta: isInvalidVirtualMta(vmta) ? defaultVirtualMta : vmta,
        vmtaPool,
        content,
        smtpUtf8,
        eightBit,
      };
      spool.putReported(events, messageSegment, this.#setup.localMail.stored(ownId, local));
    }
  }

  #factsOf(events: readonly DeliveryEvent[], ownId: string, message: HeldMessage) {
    const { hostName, fromHeader, clock } = this.#setup;
    const { reversePath, envId, timeQueuedMs } = message.envelope;
    return {
      messageId: `${ownId}@${hostName}`,
      from: fromHeader,
      to: reversePath,
      date: this.#date(clock.wallMs()),
      hostName,
      envId,
      arrivalDate: this.#date(timeQueuedMs),
      recipients: events.map((event) => this.#recipientOf(event)),
      returned: returnedOf(message),
    };
  }

  #recipientOf(event: DeliveryEvent): FailedRecipient {
    const { rcpt, orcpt, status, diagnostic, dsnMta, timeLoggedMs } = event;
    // `mx.host (192.0.2.1)`
    const [remoteMta] = dsnMta.split(' ') as [string];
    return { address: rcpt, orcpt, status, diagnostic, remoteMta, lastAttemptDate: this.#date(timeLoggedMs) };
  }

  #date(wallMs: number): string {
    return formatDateTime(wallMs, this.#setup.clock.zoneOffsetMinutes(wallMs));
  }
}

/** The header, or all of it where that was asked for, is not too large, and can travel as it is. */
function returnedOf({ envelope, content }: HeldMessage): ReturnedContent {
  const { dsnReturn, wireForm, smtpUtf8 } = envelope;
  const first = (sizeBytes: number): Uint8Array => {
    const bytes = firstBytes(content, sizeBytes);
    return wireForm === 'raw' ? bytes : joined(dotUnstuffed(bytes), bytes.length);
  };
  if (dsnReturn === 'full' && content.sizeBytes <= returnedBytesMax) {
    const bytes = first(content.sizeBytes);
    if (transferNeed(bytes) !== 'binary') return { is: 'message', bytes, smtpUtf8 };
  }
  for (let sizeBytes = headerBytesUsual; ; sizeBytes = returnedBytesMax) {
    const bytes = first(sizeBytes);
    const isAll = content.sizeBytes <= sizeBytes;
    const header = headerSection(bytes, isAll);
    const isWhole = isAll || (bytes[header.length] === cr && bytes[header.length + 1] === lf);
    if (isWhole || sizeBytes === returnedBytesMax) return { is: 'headers', bytes: header, smtpUtf8 };
  }
}

const cr = 0x0d;
const lf = 0x0a;

function firstBytes({ prefix, chunks, sizeBytes }: Content, most: number): Uint8Array {
  return joined([prefix, ...chunks], Math.min(sizeBytes, most));
}

/** The pieces one behind the other, at most so many bytes of them. */
function joined(pieces: readonly Uint8Array[], most: number): Uint8Array {
  const bytes = new Uint8Array(most);
  let at = 0;
  for (const piece of pieces) {
    const taken = piece.subarray(0, most - at);
    bytes.set(taken, at);
    at += taken.length;
    if (at === most) break;
  }
  return bytes.subarray(0, at);
}
