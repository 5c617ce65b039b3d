import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileBounceCategories } from './bounceCategory.ts';

/** Bounces as they came, with the reasons another decoder gave them; they live outside the project. */
const corpus = '../shared/corpus/bounces/labelled.jsonl';
const present = existsSync(corpus);
if (!present) console.warn(`SKIPPED: ${corpus} is absent, categories are not compared with labelled bounces`);

interface Labelled {
  readonly reason: string;
  readonly replycode: string;
  readonly deliverystatus: string;
  readonly diagnosticcode: string;
}

/** Our words for its reasons. What it calls by how it found out (`filtered`, `onhold`) is not compared. */
const sameAs: Readonly<Record<string, readonly string[]>> = {
  userunknown: ['bad-mailbox'],
  hasmoved: ['bad-mailbox'],
  hostunknown: ['bad-domain', 'routing-errors'],
  notaccept: ['bad-domain', 'invalid-sender'],
  mailboxfull: ['quota-issues'],
  systemfull: ['quota-issues'],
  suspend: ['inactive-mailbox'],
  rejected: ['invalid-sender', 'policy-related'],
  blocked: ['policy-related', 'spam-related'],
  badreputation: ['spam-related', 'policy-related'],
  authfailure: ['policy-related', 'spam-related'],
  requireptr: ['policy-related', 'invalid-sender'],
  policyviolation: ['policy-related', 'content-related', 'protocol-errors'],
  securityerror: ['policy-related', 'spam-related'],
  notcompliantrfc: ['content-related'],
  spamdetected: ['spam-related', 'content-related', 'policy-related'],
  virusdetected: ['virus-related'],
  contenterror: ['content-related'],
  mesgtoobig: ['content-related'],
  exceedlimit: ['content-related'],
  norelaying: ['relaying-issues', 'invalid-sender'],
  toomanyconn: ['policy-related'],
  speeding: ['policy-related'],
  syntaxerror: ['protocol-errors'],
};

/** From the reply code on; its own statuses (`5.0.911`) stand for none. */
function replyOf({ replycode, deliverystatus, diagnosticcode }: Labelled): readonly [string, string] {
  const status = /^[45]\.0\.\d{3}$/.test(deliverystatus) ? `${deliverystatus[0]}.0.0` : deliverystatus;
  const at = diagnosticcode.search(new RegExp(`\\b${replycode}[ -]`));
  return [status, diagnosticcode.slice(Math.max(0, at))];
}

test.skipIf(!present)('the built-in table says of real replies what another decoder says', () => {
  const categoryOf = compileBounceCategories([]);
  const compared = readFileSync(corpus, 'utf8')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Labelled]))
    .filter(({ reason, replycode }) => replycode && sameAs[reason] !== undefined);
  const differ = compared.flatMap((one) => {
    const category = categoryOf(...replyOf(one));
    return sameAs[one.reason]!.includes(category)
      ? []
      : [`${one.reason} ${category} ${replyOf(one).join(';')}`];
  });
  expect(compared.length).toBeGreaterThan(100);
  expect(differ.length / compared.length, differ.join('\n')).toBeLessThan(0.08);
});
