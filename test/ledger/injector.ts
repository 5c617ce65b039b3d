import { contentHash, dotStuffed } from './content.ts';
import type { Submission } from './ledger.ts';
import { SmtpConversation } from './smtpConversation.ts';

export interface InjectorOptions {
  /** Where submissions are noted: a ledger's. */
  readonly submissions: Submission[];
  readonly port: number;
  readonly host?: string;
  readonly connections: number;
  /** How many to send in all; default: until stopped. */
  readonly messages?: number;
  readonly recipientsPerMessage?: number;
  readonly sizeBytes?: number;
  /** Recipient domains in turn. */
  readonly domains?: readonly string[];
  /** Makes addresses unlike those of another injector of the same ledger. */
  readonly mark?: string;
}

/**
 * Load that remembers: pipelined connections whose messages each carry an id, in a header and in their
 * recipients, and that come back when the server dies.
 */
export class Injector {
  readonly done: Promise<void>;
  readonly #options: Required<Omit<InjectorOptions, 'submissions'>>;
  readonly #submissions: Submission[];
  #next = 0;
  #isStopped = false;
  readonly #open = new Set<SmtpConversation>();

  constructor(options: InjectorOptions) {
    const defaults = { host: '127.0.0.1', messages: Number.POSITIVE_INFINITY, recipientsPerMessage: 1 };
    this.#options = { ...defaults, sizeBytes: 2048, domains: ['sink.test'], mark: 'm', ...options };
    this.#submissions = options.submissions;
    this.done = Promise.all(Array.from({ length: options.connections }, () => this.#keepSending())).then(
      () => {},
    );
  }

  /** No message begins any more; those under way get `waitMs` for their replies. */
  async stop(waitMs = 5_000): Promise<void> {
    this.#isStopped = true;
    const impatience = setTimeout(() => this.#cut(), waitMs);
    await this.done;
    clearTimeout(impatience);
  }

  #cut(): void {
    for (const conversation of this.#open) conversation.close();
  }

  #take(): Message | undefined {
    if (this.#isStopped || this.#next >= this.#options.messages) return undefined;
    return makeMessage(this.#next++, this.#options);
  }

  async #keepSending(): Promise<void> {
    for (;;) {
      const first = this.#take();
      if (first === undefined) return;
      const conversation = new SmtpConversation(this.#options.port, this.#options.host);
      this.#open.add(conversation);
      await this.#send(conversation, first);
      conversation.close();
      this.#open.delete(conversation);
      // The server may be down: do not spin.
      if (!this.#isStopped) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Message after message until there is none or the connection ends. */
  async #send(conversation: SmtpConversation, first: Message): Promise<void> {
    if ((await conversation.reply())?.startsWith('220') !== true) return;
    conversation.write('EHLO injector.test\r\n');
    if ((await conversation.reply())?.startsWith('250') !== true) return;
    conversation.write(first.envelope);
    for (let message: Message | undefined = first; message !== undefined; ) {
      const replies = await conversation.replies(message.recipients.length + 2);
      if (replies === undefined) return;
      const next = this.#take();
      if (!replies.at(-1)!.startsWith('354')) {
        message = next;
        conversation.write(message?.envelope ?? 'QUIT\r\n');
        continue;
      }
      const taken = message.recipients.filter((_, i) => replies[i + 1]!.startsWith('250'));
      // RFC 2920: the next envelope travels with this content.
      const isSent = conversation.write(
        Buffer.concat([message.wire, Buffer.from(next?.envelope ?? 'QUIT\r\n')]),
      );
      if (!isSent) return;
      const last = await conversation.reply();
      const told = last === undefined ? 'unanswered' : last.startsWith('250') ? 'stored' : 'refused';
      for (const recipient of taken) {
        this.#submissions.push({ recipient, contentHash: message.contentHash, told });
      }
      message = next;
    }
  }
}

interface Message {
  readonly recipients: readonly string[];
  /** MAIL, RCPTs and DATA. */
  readonly envelope: string;
  /** The content as DATA carries it, closing dot line included. */
  readonly wire: Buffer;
  readonly contentHash: string;
}

function makeMessage(number: number, options: Required<Omit<InjectorOptions, 'submissions'>>): Message {
  const domain = options.domains[number % options.domains.length]!;
  const id = `${options.mark}${number}`;
  const recipients = Array.from({ length: options.recipientsPerMessage }, (_, i) => `${id}-${i}@${domain}`);
  const header =
    `From: <sender@injector.test>\r\nTo: <${recipients[0]}>\r\nMessage-ID: <${id}@injector.test>\r\n` +
    `X-Ledger-Id: ${id}\r\nSubject: ledger ${id}\r\n\r\n`;
  // Lines that begin with dots, so that stuffing is always part of the question.
  const line = `.${'x'.repeat(61)}\r\n`;
  const content = Buffer.from(
    header + line.repeat(Math.max(1, Math.ceil((options.sizeBytes - header.length) / 64))),
  );
  return {
    recipients,
    envelope: `MAIL FROM:<sender@injector.test>\r\n${recipients.map((to) => `RCPT TO:<${to}>\r\n`).join('')}DATA\r\n`,
    wire: Buffer.concat([dotStuffed(content), Buffer.from('.\r\n')]),
    contentHash: contentHash(content),
  };
}
