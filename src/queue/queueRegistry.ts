import { assert } from '../base/assert.ts';
import { type QueueName, queueName } from '../message/names.ts';
import { Queue, type QueueSettings } from './queue.ts';
import { QueueMemory } from './queueMemory.ts';
import { plainVmta, SendingVmta, type VmtaSettings } from './sendingVmta.ts';

export interface RegistryOptions {
  /** Asked once when a queue comes into being; holds until the queue is empty and dropped. */
  settingsFor(domain: string, vmta: string): QueueSettings;
  /** Asked once a virtual MTA; without it none has limits or addresses of its own. */
  vmtaFor?(vmta: string): VmtaSettings;
  /** Whether one that comes into being is paused; without it none is. */
  isPaused?(queue: QueueName): boolean;
}

/** The queues there are, those that are remembered, and the virtual MTAs they belong to. */
export class QueueRegistry {
  readonly #options: RegistryOptions;
  readonly #queues = new Map<QueueName, Queue>();
  readonly #byId: (Queue | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #memory = new QueueMemory();
  /** By `Queue.vmta`; grows. */
  readonly vmtas: SendingVmta[] = [];
  readonly #vmtaByName = new Map<string, number>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#queues.size;
  }

  all(): Iterable<Queue> {
    return this.#queues.values();
  }

  get(name: QueueName): Queue | undefined {
    return this.#queues.get(name);
  }

  /** One that has mail, connections or a wait, or is remembered. */
  anyOf(name: QueueName): Queue | undefined {
    return this.#queues.get(name) ?? this.#memory.get(name);
  }

  known(name: QueueName): Queue {
    const queue = this.#queues.get(name);
    assert(queue !== undefined, 'a queue with a connection is known');
    return queue;
  }

  has(queue: Queue): boolean {
    return this.#byId[queue.id] === queue;
  }

  byId(id: number): Queue {
    return this.#byId[id]!;
  }

  vmtaOf(queue: Queue): SendingVmta {
    return this.vmtas[queue.vmta]!;
  }

  /** The queue of that domain and virtual MTA, a new one if need be. */
  queueFor(domain: string, vmta: string): Queue {
    const name = queueName(domain, vmta);
    return this.#queues.get(name) ?? this.#create(name, domain, vmta);
  }

  drop(queue: Queue, nowMs: number): void {
    this.#queues.delete(queue.name);
    this.#byId[queue.id] = undefined;
    this.#freeIds.push(queue.id);
    this.#memory.remember(queue, nowMs);
  }

  #create(name: QueueName, domain: string, vmta: string): Queue {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const settings = this.#options.settingsFor(domain, vmta);
    const queue = new Queue(name, id, this.#vmtaId(vmta), settings, this.#memory.recall(name));
    queue.isPaused = this.#options.isPaused?.(name) ?? false;
    this.#queues.set(name, queue);
    this.#byId[id] = queue;
    return queue;
  }

  #vmtaId(vmta: string): number {
    const known = this.#vmtaByName.get(vmta);
    if (known !== undefined) return known;
    const id = this.vmtas.push(new SendingVmta(this.#options.vmtaFor?.(vmta) ?? plainVmta)) - 1;
    this.#vmtaByName.set(vmta, id);
    return id;
  }
}
