import type { ConnectAllowed } from '../access/access.ts';
import type { EffectiveSource } from '../access/sourceOverlay.ts';
import type { Clock } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import type { Content, DsnReturn, Envelope, SpoolLocation } from '../message/envelope.ts';
import { formatMessageId, type MessageId } from '../message/messageId.ts';
import { formatDateTime } from '../protocol/dateTime.ts';
import { withoutRanges } from '../protocol/headerFields.ts';
import { replies } from '../protocol/replies.ts';
import { receivedField } from '../protocol/traceHeader.ts';
import type { HeaderSays } from '../routing/headerControls.ts';
import { compilePostmaster, type Forwarding } from '../routing/postmaster.ts';
import type { RouteGroup, Routing, RoutingRules } from '../routing/routing.ts';
import type { ReceivedMessage, StoredAnswer } from '../session/serverSession.ts';
import type { Durability, NewMessage, OwnedMessage, Spool } from '../spool/spool.ts';
import type { Injector } from './reception.ts';

export interface SubmissionSetup {
  readonly clock: Clock;
  readonly config: Config;
  readonly spool: Pick<Spool, 'nextId' | 'putMessages'>;
  readonly routing: Routing;
  /** By listener. */
  readonly durabilities: readonly Durability[];
  /** The message is durable, and ours from now on. */
  owed(envelope: Envelope, content: Content, location: SpoolLocation): void;
}

const noBytes = new Uint8Array(0);
const encoder = new TextEncoder();

/** Session to routing to spool: what becomes of a message that was received. */
export class Submissions {
  readonly #setup: SubmissionSetup;
  /** Shared by the connections of a client to a listener. */
  readonly #rules = new WeakMap<ConnectAllowed, RoutingRules>();
  readonly #forwarded: Forwarding;
  #dateSecond = Number.NaN;
  #date = '';

  constructor(setup: SubmissionSetup) {
    this.#setup = setup;
    this.#forwarded = compilePostmaster(setup.config);
  }

  /**
   * Answers once: refused by routing at once, otherwise when the spool says so. Recipients that go several
   * ways make several messages of it, which are stored together; the client is told the id of the first.
   */
  store(message: ReceivedMessage, injector: Injector, answer: (stored: StoredAnswer) => void): void {
    const { spool, owed } = this.#setup;
    const { reversePath, wireForm } = message;
    const recipients = this.#forwarded(message.recipients);
    const rules = this.#rulesOf(injector);
    const fields = rules.findFields(message.chunks, wireForm);
    const verdict = rules.route({ reversePath, recipients, fields });
    if (verdict.kind === 'refused') {
      answer({ ok: false, reply: verdict.reply });
      return;
    }
    const messages = this.#messagesOf(message, injector, verdict.groups, verdict.header);
    const id = formatMessageId(messages[0]!.envelope.id);
    spool.putMessages(
      messages.map(
        (one, i): OwnedMessage => ({
          message: one,
          owner: {
            answer: (stored) => {
              if (i === 0) answer(stored ? { ok: true, id } : { ok: false, reply: replies.cannotStore });
            },
            owed: (location) => owed(one.envelope, one.content, location),
          },
        }),
      ),
    );
  }

  #rulesOf({ allowed, listenerIndex }: Injector): RoutingRules {
    let rules = this.#rules.get(allowed);
    if (rules === undefined) {
      rules = this.#setup.routing.rulesFor(listenerIndex, allowed.effective);
      this.#rules.set(allowed, rules);
    }
    return rules;
  }

  #messagesOf(
    message: ReceivedMessage,
    injector: Injector,
    groups: readonly RouteGroup[],
    header: HeaderSays,
  ): readonly NewMessage[] {
    const { clock, spool, durabilities } = this.#setup;
    const timeQueuedMs = clock.wallMs();
    const durability = durabilities[injector.listenerIndex]!;
    const chunks = header.cuts.length === 0 ? message.chunks : withoutRanges(message.chunks, header.cuts);
    const ids = groups.map(() => spool.nextId());
    const { addXVirtualMtaHeader } = injector.allowed.effective;
    let content: Content | undefined;
    return groups.map((group, i): NewMessage => {
      // What is the same is stored once.
      if (content === undefined || addXVirtualMtaHeader.value) {
        const prefix = this.#prefixOf(message, injector, header, ids[0]!, timeQueuedMs, group);
        const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, prefix.length);
        content = { prefix, chunks, sizeBytes };
      }
      const envelope = envelopeOf(message, injector, header, group, ids[i]!, timeQueuedMs);
      return { envelope, content, durability };
    });
  }

  /** Our own fields, above those the message came with. */
  #prefixOf(
    message: ReceivedMessage,
    injector: Injector,
    header: HeaderSays,
    id: MessageId,
    timeQueuedMs: number,
    { route }: RouteGroup,
  ): Uint8Array {
    const { effective } = injector.allowed;
    const received = effective.addReceivedHeader.value
      ? this.#receivedOf(message, injector, id, timeQueuedMs)
      : noBytes;
    const hostName = this.#setup.config.hostNames.value[0]!;
    const more =
      (effective.addXVirtualMtaHeader.value ? `X-Virtual-MTA: ${route.vmta}\r\n` : '') +
      (header.addsMessageId
        ? `Message-ID: <${formatMessageId(id)}.${timeQueuedMs.toString(36)}@${hostName}>\r\n`
        : '') +
      (header.addsDate ? `Date: ${this.#dateOf(timeQueuedMs)}\r\n` : '');
    return more === '' ? received : joined(received, encoder.encode(more));
  }

  #receivedOf(
    { recipients, heloName, protocol }: ReceivedMessage,
    { allowed, connection }: Injector,
    id: MessageId,
    timeQueuedMs: number,
  ): Uint8Array {
    return receivedField({
      heloName,
      clientAddress: connection.remote.address,
      hostName: this.#setup.config.hostNames.value[0]!,
      listenerAddress: connection.local.address,
      protocol,
      id: formatMessageId(id),
      date: this.#dateOf(timeQueuedMs),
      onlyRecipient: recipients.length === 1 ? recipients[0]!.forwardPath : undefined,
      hideMessageSource: allowed.effective.hideMessageSource.value,
    });
  }

  /** Thousands of messages share a second. */
  #dateOf(wallMs: number): string {
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = formatDateTime(wallMs, this.#setup.clock.zoneOffsetMinutes(wallMs));
    }
    return this.#date;
  }
}

function envelopeOf(
  { reversePath, smtpUtf8, eightBit, wireForm, heloName }: ReceivedMessage,
  { connection, allowed }: Injector,
  { jobId, envId }: HeaderSays,
  { route, recipients }: RouteGroup,
  id: MessageId,
  timeQueuedMs: number,
): Envelope {
  return {
    id,
    timeQueuedMs,
    reversePath,
    recipients,
    smtpUtf8,
    eightBit,
    wireForm,
    vmta: route.vmta,
    vmtaPool: route.vmtaPool,
    jobId,
    envId,
    dsnReturn: dsnReturnOf(allowed.effective),
    reception: {
      type: 'smtp',
      heloName,
      clientAddress: connection.remote.address,
      listenerAddress: connection.local.address,
      listenerPort: connection.local.port,
    },
  };
}

function dsnReturnOf({ suppressLocalDsn, dsnReturnDefault }: EffectiveSource): DsnReturn {
  if (suppressLocalDsn.value) return 'none';
  return dsnReturnDefault.value === 'full' ? 'full' : 'headers';
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
