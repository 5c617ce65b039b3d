/** The virtual MTA of mail for which nothing chooses one (PowerMTA's name for it). */
export const defaultVirtualMta = '{default}';

/**
 * What stands in place of a virtual MTA for mail that asked for one which does not exist, and was accepted all
 * the same: no configured name looks like it. Of the name asked for it shows what can stand in a name.
 */
export function invalidVirtualMta(name: string): string {
  return `{invalid:${name.slice(0, 64).replace(/[^\w.@+{}-]/g, '?')}}`;
}

export function isInvalidVirtualMta(vmta: string): boolean {
  return vmta.startsWith('{invalid:');
}

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
