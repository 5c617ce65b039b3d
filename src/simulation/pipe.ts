import type { Agenda } from './agenda.ts';
import type { SeededRandom } from './seededRandom.ts';

const latencyMs = 2;

/** One direction of the pipe between supervisor and engine: in order, each message some time under way. */
export class Pipe<Message> {
  readonly #agenda: Agenda;
  readonly #random: SeededRandom;
  readonly #receive: (message: Message) => void;
  readonly #underWay: Message[] = [];
  #lastMs = 0;
  #isCut = false;

  constructor(agenda: Agenda, random: SeededRandom, receive: (message: Message) => void) {
    this.#agenda = agenda;
    this.#random = random;
    this.#receive = receive;
  }

  send(message: Message): void {
    if (this.#isCut) return;
    const { nowMs } = this.#agenda;
    this.#lastMs = Math.max(this.#lastMs, nowMs + (this.#random.below(1000) / 1000) * latencyMs);
    this.#underWay.push(message);
    this.#agenda.after(this.#lastMs - nowMs, () => {
      if (!this.#isCut) this.#receive(this.#underWay.shift()!);
    });
  }

  /** Whoever reads is gone, or hears nothing more. */
  cut(): void {
    this.#isCut = true;
  }
}
