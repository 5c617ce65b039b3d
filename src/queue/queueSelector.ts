import { type QueueName, splitQueueName } from '../message/names.ts';

/**
 * Which queues a command means: `domain[/vmta]`, `*` on either side for any text (powermta e.1). Case does
 * not count.
 */
export interface QueueSelector {
  /** As it was given, with `/*` where no virtual MTA was named; lower case. */
  readonly text: string;
  matches(queue: QueueName): boolean;
  /** Every queue that the other one matches, it matches too. */
  covers(other: QueueSelector): boolean;
}

const selectorMaxChars = 512;

/** undefined: it is none. No text at all means every queue. */
export function parseQueueSelector(given: string): QueueSelector | undefined {
  const text = given.trim().toLowerCase();
  const [domain = '', vmta = '*', ...more] = text === '' ? ['*'] : text.split('/');
  if (domain === '' || vmta === '' || more.length > 0) return undefined;
  if (text.length > selectorMaxChars || /[\s\x00-\x1f]/.test(text)) return undefined;
  const domainGlob = globOf(domain);
  const vmtaGlob = globOf(vmta);
  return {
    text: `${domain}/${vmta}`,
    matches(queue) {
      const name = splitQueueName(queue);
      return domainGlob(name.domain) && vmtaGlob(name.vmta.toLowerCase());
    },
    covers(other) {
      // A star in the other text is a character that only a star can match.
      const [otherDomain, otherVmta] = other.text.split('/');
      return domainGlob(otherDomain!) && vmtaGlob(otherVmta!);
    },
  };
}

/** `*` for any text. Linear in the text for each star: the shortest way to the next piece is always good enough. */
export function globOf(pattern: string): (text: string) => boolean {
  if (pattern === '*') return () => true;
  const [first, ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (text) => text === pattern;
  return (text) => {
    if (!text.startsWith(first!) || text.length < first!.length + last.length) return false;
    let at = first!.length;
    for (const piece of others) {
      const found = text.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return text.endsWith(last) && at <= text.length - last.length;
  };
}
