import type { CategoryRule } from '../config/config.ts';
import { checkedPattern, remembering } from './replyRules.ts';

/**
 * The bounceCat of a failed or deferred recipient: PowerMTA's words (powermta d.4), and whatever others the
 * configuration uses.
 * @param status RFC 3463 status, `5.1.1`
 * @param diagnostic the full reply on one line, or our words
 */
export type BounceCategories = (status: string, diagnostic: string) => string;

/**
 * The built-in `<bounce-category-patterns>`, in the same language: the first that matches decides. First
 * what names one cause whatever else is said, then words, then statuses that remotes use for much, then
 * bare reply codes.
 */
const builtInRules: readonly (readonly [category: string, ...expressions: string[]])[] = [
  ['message-expired', '^[45]\\.4\\.7;'],
  // RFC 7505.
  ['invalid-sender', '^[45]\\.1\\.[78];', '^[45]\\.7\\.27;'],
  ['policy-related', '^[45]\\.7\\.2[0-9];', 'frequency limited'],
  ['virus-related', '\\bvirus', '\\bmalware\\b', '\\bphishing\\b', '\\btrojan\\b', '\\binfected\\b'],
  [
    'spam-related',
    '\\bspam',
    'spamhaus',
    'unsolicited',
    'junk ?mail',
    '\\bbulk mail',
    '\\bU\\.?[BC]\\.?E\\b',
  ],
  [
    'spam-related',
    'black ?list',
    'block ?list',
    'deny ?list',
    'blocked using',
    '\\b[a-z]*rbl\\b',
    '\\bdnsbl',
  ],
  ['spam-related', 'user complaints', '\\breputation\\b', 'banned sending ip', 'blocked ip\\b'],
  ['bad-mailbox', '(?:user|recipient|mailbox|account|address)(?: name)? (?:is )?(?:unknown|unrecognized)'],
  ['bad-mailbox', 'unknown (?:or \\w+ )?(?:user|recipient|mailbox|account|address|local.part)'],
  ['bad-mailbox', '(?:no|not a) (?:such|valid) (?:user|recipient|mailbox|account|address|person|id)\\b'],
  ['bad-mailbox', '(?:invalid|illegal) (?:user|recipient|mailbox|account|final delivery userid)'],
  ['bad-mailbox', '(?:user|recipient|mailbox|account|address) (?:was )?not (?:found|exist|known|listed)'],
  [
    'bad-mailbox',
    '(?:user|recipient|mailbox|account|address) (?:that you tried to reach )?does(?: not|n.t) exist',
  ],
  ['bad-mailbox', 'no mailbox', 'does(?: not|n.t) have an? \\S+ account', 'not our (?:customer|user)'],
  ['bad-mailbox', 'recip(?:ient)?notfound', 'recipient no longer', '\\bnot in my domain\\b'],
  [
    'quota-issues',
    '\\bquota\\b',
    'mailbox (?:is )?full',
    'over its limit',
    'storage (?:limit|space|exceeded)',
  ],
  ['quota-issues', 'insufficient (?:disk|system|storage)', '^[45]\\.2\\.2;'],
  [
    'inactive-mailbox',
    '(?:account|mailbox|user|recipient)[^;]{0,40}(?:disabled|inactive|suspended|frozen|locked)',
  ],
  ['inactive-mailbox', 'disabled recipient', 'recipient account is blocked', '^[45]\\.7\\.13;'],
  ['relaying-issues', '\\brelay', '^[45]\\.7\\.[34];'],
  ['policy-related', '\\bDMARC\\b', '\\bSPF\\b', '\\bDKIM\\b', 'unauthenticated'],
  ['policy-related', '\\brate.limit', 'at a rate that', 'too many (?:connections|messages)'],
  [
    'policy-related',
    'too many recipients',
    'reverse dns',
    '\\bPTR\\b',
    'mismatches client ip',
    'unverifyable',
  ],
  ['invalid-sender', 'sender (?:address )?(?:rejected|denied|verif)', 'sender domain', 'domain of sender'],
  ['invalid-sender', 'from: domain', 'purported responsible'],
  [
    'bad-domain',
    'host unknown',
    'unknown host',
    'domain (?:not found|does(?: not|n.t) exist|is not reachable)',
  ],
  ['bad-domain', '(?:host|domain)(?:/domain)? name not found', 'no such (?:host|domain)', 'null mx'],
  ['bad-domain', 'does not accept mail', '^[45]\\.1\\.(?:2|10);'],
  ['bad-mailbox', '^[45]\\.1\\.[1346];', '^[45]\\.1\\.351;', 'mailbox unavailable', '\\blocal part'],
  [
    'content-related',
    'too (?:large|big)',
    'exceeds? (?:fixed )?(?:maximum )?(?:message )?size',
    'header error',
  ],
  ['content-related', 'content rejected', 'message content', 'multiple addresses in from', 'its content'],
  ['content-related', '^[45]\\.2\\.3;', '^[45]\\.3\\.4;', '^[45]\\.6\\.\\d+;'],
  ['routing-errors', '\\bloop\\b', 'hop count', 'too many hops', 'unrout(?:e)?able', 'no route to'],
  ['inactive-mailbox', '^[45]\\.2\\.1;'],
  ['bad-configuration', '^[45]\\.3\\.5;'],
  ['no-answer-from-host', '^[45]\\.4\\.1;'],
  ['bad-connection', '^[45]\\.4\\.2;'],
  ['routing-errors', '^[45]\\.4\\.(?:3|4|6);'],
  ['policy-related', '^[45]\\.5\\.3;', '^[45]\\.7\\.\\d+;'],
  ['protocol-errors', '^[45]\\.5\\.\\d+;', '^[45]\\.0\\.0;smtp;50[0-4]\\b', 'bad sequence'],
  ['protocol-errors', 'syntax error', 'protocol violation'],
  [
    'policy-related',
    '\\bpolicy\\b',
    'access denied',
    'not allowed',
    'not permitted',
    'prohibited',
    '\\bbanned\\b',
  ],
  ['policy-related', 'reject(?:ed)?\\b', 'refused\\b', 'denied\\b', 'service refuse', '\\bblocked\\b'],
  ['quota-issues', '^[45]\\.0\\.0;smtp;552\\b'],
];

/** Rules of the configuration go before the built-in ones (powermta b.9). */
export function compileBounceCategories(rules: readonly CategoryRule[]): BounceCategories {
  const configured = firstMatch(rules);
  const builtIn = firstMatch(
    builtInRules.flatMap(([category, ...expressions]) =>
      expressions.map((expression) => ({ expression, category })),
    ),
  );
  return (status, diagnostic) => {
    const reply = diagnostic === '' ? '' : `smtp;${diagnostic}`;
    const text = `${status};${reply}`;
    return configured(text) ?? builtIn(withoutNames(text)) ?? 'other';
  };
}

function firstMatch(
  rules: readonly Pick<CategoryRule, 'expression' | 'category'>[],
): (text: string) => string | undefined {
  if (rules.length === 0) return () => undefined;
  const compiled = rules.map(({ expression, category }) => ({
    pattern: checkedPattern(expression),
    category,
  }));
  return remembering((text) => {
    const lowerCase = text.toLowerCase();
    return compiled.find(({ pattern }) => pattern.matches(text, lowerCase))?.category;
  });
}

/** Addresses and the paths of links say nothing, but may hold any word: `spam@r.example`. */
function withoutNames(text: string): string {
  return text.replace(/[^\s<>"';:,()]+@[^\s<>"';:,()]+/g, '@').replace(/(https?:\/\/[^\s/]+)\/\S*/gi, '$1/');
}
