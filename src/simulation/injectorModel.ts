import type { Endpoint } from '../base/ports.ts';
import type { Agenda } from './agenda.ts';
import type { InjectorBehaviour } from './injectorBehaviour.ts';
import { InjectorClient, type InjectorHouse, type Told } from './injectorClient.ts';
import { draftMessage, type MailDraft } from './mailDraft.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { SimulatedHost, SimulatedNet } from './simulatedNet.ts';

/** One recipient of one submission. */
export interface SubmissionNote {
  readonly recipient: string;
  readonly sender: string;
  /** Number of the submission: recipients of one message share it. */
  readonly message: number;
  /** `contentHash` of mailContent.ts. */
  readonly contentHash: string;
  readonly sizeBytes: number;
  readonly clientAddress: string;
  /**
   * `stored`: 250 to the content was read. `unanswered`: the end of the content was written, no reply was
   * read. `refused`: any other reply, or the end was never written: nobody may deliver it.
   */
  readonly told: Told;
  /** When the end of the content was written; undefined: never. */
  readonly dotMs: number | undefined;
  /** When the outcome was known. */
  readonly toldMs: number;
}

export interface InjectorSetup {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly net: SimulatedNet;
  /** Where the engine listens. */
  readonly to: Endpoint;
  /** Of the injector's machine; connections use them in turn. */
  readonly addresses: readonly string[];
  /** Recipient domains, drawn by the seed. */
  readonly domains: readonly string[];
  /** Makes addresses unlike those of another injector. */
  readonly mark: string;
  /** How many are to be stored; what was not is submitted again, with other recipients. */
  readonly messages: number;
  /** Connections at one time. */
  readonly connections: number;
  readonly maxRecipients: number;
  /** Between two messages of a connection: from 0 to this. */
  readonly pauseMs: number;
  readonly behaviour: InjectorBehaviour;
}

/** Submissions in all, for each message that is to be stored: a server that refuses everything is left. */
const triesMax = 20;
/** After a connection that was no use: from this, doubled each time. */
const firstRetryMs = 500;
const lastRetryMs = 60_000;

/** Clients that submit mail, remember what they were told, and come back when the engine was down. */
export class InjectorModel {
  readonly submissions: SubmissionNote[] = [];
  /** What the server did that no server may do. */
  readonly violations: string[] = [];
  /** Messages of which a client knows that they are stored. */
  stored = 0;
  readonly #setup: InjectorSetup;
  readonly #house: InjectorHouse & { behaviour: InjectorBehaviour };
  readonly #host: SimulatedHost;
  #taken = 0;
  #underWay = 0;
  #open = 0;
  #isStopped = false;

  constructor(setup: InjectorSetup) {
    const { agenda, random, pauseMs, behaviour, net, mark, addresses } = setup;
    this.#setup = setup;
    this.#host = net.host(`injector ${mark}`, addresses);
    this.#house = {
      agenda,
      random,
      behaviour,
      pauseMs,
      faultCount: 0,
      take: () => this.#take(),
      told: (client, draft, recipients, told, dotMs) =>
        this.#note(client.address, draft, recipients, told, dotMs),
      finished: (isStored) => {
        this.#underWay -= 1;
        if (isStored) this.stored += 1;
      },
      violation: (what) => this.violations.push(what),
    };
  }

  get behaviour(): InjectorBehaviour {
    return this.#house.behaviour;
  }

  /** May be replaced at any time; it holds from the next message on. */
  set behaviour(behaviour: InjectorBehaviour) {
    this.#house.behaviour = behaviour;
  }

  /** Deliberate aborts and the like that have come about. */
  get faultCount(): number {
    return this.#house.faultCount;
  }

  start(): void {
    const { connections, random, pauseMs, agenda } = this.#setup;
    for (let i = 0; i < connections; i++) agenda.after(random.below(pauseMs + 1), () => this.#work(i, 0));
  }

  /** No message begins any more; those under way are finished. */
  stop(): void {
    this.#isStopped = true;
  }

  /** All are stored, or no more is tried; no connection is open. */
  get isDone(): boolean {
    return this.#isOver && this.#open === 0;
  }

  get #isOver(): boolean {
    const { messages } = this.#setup;
    return this.#isStopped || this.stored >= messages || this.#taken >= messages * triesMax;
  }

  get #mayTake(): boolean {
    return !this.#isOver && this.stored + this.#underWay < this.#setup.messages;
  }

  /** One connection after the other, while there is something to send. */
  #work(turn: number, failures: number): void {
    if (this.#isOver) return;
    const { agenda, random, addresses, to, pauseMs } = this.#setup;
    if (!this.#mayTake) {
      // Messages under way may yet come back.
      agenda.after(lastRetryMs / 4, () => this.#work(turn, failures));
      return;
    }
    this.#open += 1;
    const client = new InjectorClient(this.#house, addresses[turn % addresses.length]!, () => {
      this.#open -= 1;
      const tries = client.wasUseful ? 0 : failures + 1;
      const retryMs = tries === 0 ? pauseMs : Math.min(firstRetryMs * 2 ** tries, lastRetryMs);
      agenda.after(random.below(retryMs + 1), () => this.#work(turn + 1, tries));
    });
    const options = { remote: to, localAddress: client.address };
    this.#host.connect(options, (connection) => client.opened(connection), client);
  }

  #take(): MailDraft | undefined {
    if (!this.#mayTake) return undefined;
    this.#underWay += 1;
    const { mark, domains, maxRecipients, random } = this.#setup;
    const { largeRate } = this.behaviour;
    return draftMessage(this.#taken++, { mark, domains, maxRecipients, largeRate }, random);
  }

  #note(
    clientAddress: string,
    { sender, number, contentHash, content }: MailDraft,
    recipients: readonly string[],
    told: Told,
    dotMs: number | undefined,
  ): void {
    const common = { sender, message: number, contentHash, sizeBytes: content.length, clientAddress };
    const toldMs = this.#setup.agenda.nowMs;
    for (const recipient of recipients) this.submissions.push({ recipient, ...common, told, dotMs, toldMs });
  }
}
