import type { EnvelopeRecipient } from '../message/envelope.ts';
import { parsePath } from '../protocol/path.ts';

/** The recipient an address means; undefined: it is none that mail can be sent to. */
export function recipientOf(address: string): EnvelopeRecipient | undefined {
  const parsed = parsePath(`<${address}>`, 'forward');
  if (typeof parsed === 'string' || parsed.rest !== '' || parsed.path.domain === '') return undefined;
  return { forwardPath: parsed.path.text, domain: parsed.path.domain, orcpt: '' };
}
