import type { Endpoint, Net } from '../../base/ports.ts';
import { Conversation, Ended } from '../smtpClient.ts';
import { type DemoMessage, demoContent } from './demoMail.ts';
import { streams } from './scene.ts';

/** Evenly, so that there is something to watch and no limit is met by a burst of ours. */
export const messagesPerSecond = 50;
const connectionsPerListener = 2;
/** A message that is not accepted is offered again, over a new connection. */
const triesMax = 3;

/** Submits messages at a steady pace, over a few connections to each listener. */
export class Injection {
  accepted = 0;
  /** The last thing that went wrong; '' while nothing has. */
  trouble = '';
  /** Resolves when each message has been accepted or given up. */
  readonly done: Promise<void>;
  readonly #net: Net;
  readonly #beganMs = performance.now();

  /** @param listeners of the streams, in their order */
  constructor(net: Net, listeners: readonly Endpoint[], messages: readonly DemoMessage[]) {
    this.#net = net;
    const senders = streams.flatMap((stream, i) => {
      const own = messages.filter((message) => message.stream === stream);
      const next = own[Symbol.iterator]();
      return Array.from({ length: connectionsPerListener }, () => this.#send(listeners[i]!, next));
    });
    this.done = Promise.all(senders).then(() => {});
  }

  /** Takes message after message until there is none. */
  async #send(listener: Endpoint, messages: Iterator<DemoMessage>): Promise<void> {
    let conversation: Conversation | undefined;
    for (let next = messages.next(); !next.done; next = messages.next()) {
      const message = next.value;
      const dueMs = this.#beganMs + ((message.number - 1) * 1000) / messagesPerSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
      for (let tries = 1; tries <= triesMax; tries++) {
        try {
          conversation ??= await this.#open(listener);
          const { to, job } = message;
          await conversation.message({ from: job.returnPath, to, content: demoContent(message, Date.now()) });
          this.accepted += 1;
          break;
        } catch (ended) {
          if (!(ended instanceof Ended)) throw ended;
          const { result } = ended;
          this.trouble = result.kind === 'unreachable' ? result.code : result.reply;
          conversation?.close();
          conversation = undefined;
        }
      }
    }
    conversation?.say('QUIT');
    conversation?.close();
  }

  async #open(listener: Endpoint): Promise<Conversation> {
    const conversation = new Conversation(this.#net, listener, () => {});
    await conversation.greet();
    return conversation;
  }
}
