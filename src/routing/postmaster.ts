import type { Config } from '../config/config.ts';
import type { EnvelopeRecipient } from '../message/envelope.ts';
import { recipientOf } from './recipient.ts';

/** Gives the recipients mail goes to instead; what is not forwarded stays as it is. */
export type Forwarding = (recipients: readonly EnvelopeRecipient[]) => readonly EnvelopeRecipient[];

/** The mailboxes every mail system answers for (RFC 5321 section 4.5.1, RFC 2142 section 4). */
const operators = new Set(['postmaster', 'abuse']);

/**
 * Mail for postmaster and abuse at our own names goes to the operator (powermta b.1), each of the addresses of
 * `postmaster`. There is nobody else: without them it is queued like any other.
 */
export function compilePostmaster({ postmaster, hostNames }: Config): Forwarding {
  const own = new Set(hostNames.value);
  const addresses = postmaster.value.flatMap((address) => recipientOf(address) ?? []);
  const isForwarded = ({ forwardPath, domain }: EnvelopeRecipient): boolean =>
    own.has(domain) && operators.has(localPartOf(forwardPath));
  return (recipients) => {
    if (addresses.length === 0 || !recipients.some(isForwarded)) return recipients;
    return recipients.flatMap((recipient) => {
      if (!isForwarded(recipient)) return [recipient];
      const orcpt = recipient.orcpt || `rfc822;${localPartOf(recipient.forwardPath)}@${recipient.domain}`;
      return addresses.map((address) => ({ ...address, orcpt }));
    });
  };
}

function localPartOf(forwardPath: string): string {
  return forwardPath.slice(0, forwardPath.lastIndexOf('@')).toLowerCase();
}
