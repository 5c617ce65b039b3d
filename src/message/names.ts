/** The virtual MTA of mail for which nothing chooses one (PowerMTA's name for it). */
export const defaultVirtualMta = '{default}';

/** `domain/vmta`, PowerMTA's name of a queue. */
export type QueueName = `${string}/${string}`;

export function queueName(domain: string, vmta: string): QueueName {
  return `${domain}/${vmta}`;
}

/** The parts of a queue name. A domain holds no slash, so the first one divides. */
export function splitQueueName(name: QueueName): { readonly domain: string; readonly vmta: string } {
  const slash = name.indexOf('/');
  return { domain: name.slice(0, slash), vmta: name.slice(slash + 1) };
}
