import type { Reply } from '../protocol/reply.ts';
import { drawFate, type ReceiverPolicy, type RecipientFate } from './receiverPolicy.ts';
import { filledReply, type ReceiverReplies } from './receiverReplies.ts';
import { SeededRandom } from './seededRandom.ts';

interface Escalation {
  readonly untilMs: number;
  readonly blockMs: number;
}

const escalationsMax = 64;

/**
 * One receiver's verdicts, by client address: plain counters, with time as an argument. What it has drawn
 * depends on the seed and, for clients it does not trust, on how many of their messages it has judged.
 * It remembers what it has refused as long as it lives, which is a demo or a simulated seed.
 */
export class ReceiverJudge {
  /** May be replaced at any time; recipients that have met their fate keep it. */
  policy: ReceiverPolicy;
  readonly #replies: ReceiverReplies;
  readonly #seed: number;
  /** Open connections by client address. */
  readonly #open = new Map<string, number>();
  /** When contents were taken, by client address; only what is inside the window. */
  readonly #recent = new Map<string, number[]>();
  readonly #escalations = new Map<string, Escalation>();
  readonly #moods = new Map<string, SeededRandom>();
  readonly #fates = new Map<string, RecipientFate>();
  readonly #deferrals = new Map<string, number>();
  readonly #greylist = new Map<string, number>();
  #tickets = 0;

  constructor(policy: ReceiverPolicy, replies: ReceiverReplies, seed: number) {
    this.policy = policy;
    this.#replies = replies;
    this.#seed = seed;
  }

  /** A connection was accepted; it counts until `closed`, whatever is said to it. */
  connection(client: string, nowMs: number): Reply | 'reset' | undefined {
    const open = (this.#open.get(client) ?? 0) + 1;
    this.#open.set(client, open);
    const { maxConnections, overConnections } = this.policy;
    const escalation = this.#escalations.get(client);
    if (escalation !== undefined && nowMs < escalation.untilMs) {
      return this.#turnAway(client, 'turnedAway', nowMs);
    }
    if (maxConnections === 0 || open <= maxConnections) return undefined;
    return overConnections === 'close' ? this.#turnAway(client, 'tooManyConnections', nowMs) : 'reset';
  }

  closed(client: string): void {
    const open = this.#open.get(client)! - 1;
    if (open > 0) this.#open.set(client, open);
    else this.#open.delete(client);
  }

  /** @param messages taken on this connection so far */
  mail(client: string, messages: number, nowMs: number): Reply | undefined {
    const { maxMessagesPerConnection, rateMessages, rateWindowMs } = this.policy;
    if (maxMessagesPerConnection > 0 && messages >= maxMessagesPerConnection) {
      return this.#turnAway(client, 'enoughMessages', nowMs);
    }
    if (rateMessages > 0) {
      const recent = (this.#recent.get(client) ?? []).filter((atMs) => atMs > nowMs - rateWindowMs);
      this.#recent.set(client, recent);
      if (recent.length >= rateMessages) return this.#say('tooFast', { client });
    }
    return this.#distrust('mail', client);
  }

  rcpt(client: string, sender: string, recipient: string, nowMs: number): Reply | undefined {
    const { greylistMs, greylistBy } = this.policy;
    if (greylistMs > 0) {
      const key = greylistBy === 'client' ? client : `${client} ${sender} ${recipient}`;
      const firstMs = this.#greylist.get(key) ?? nowMs;
      this.#greylist.set(key, firstMs);
      if (nowMs < firstMs + greylistMs) return this.#say('greylisted', { client, recipient });
    }
    const distrust = this.#distrust('rcpt', client);
    if (distrust !== undefined) return distrust;
    const fate = this.fateOf(recipient);
    if (fate.kind === 'accept' || fate.at === 'dot') return undefined;
    if (fate.kind === 'refuse') return this.#say('unknown', { client, recipient });
    if (fate.kind === 'full') return this.#say('full', { client, recipient });
    return this.#isDeferred(recipient, fate.times) ? this.#say('later', { client, recipient }) : undefined;
  }

  /**
   * One verdict for all recipients of the content (RFC 5321 section 4.2.5): the worst.
   * @param signers the domains (d=) of its signatures
   */
  content(client: string, recipients: readonly string[], signers: readonly string[]): Reply | undefined {
    const domain = signers.find((signer) => this.policy.unauthenticated.includes(signer));
    if (domain !== undefined) return this.#say('unauthenticated', { client, domain });
    const distrust = this.#distrust('dot', client);
    if (distrust !== undefined) return distrust;
    let verdict: keyof ReceiverReplies | undefined;
    for (const recipient of recipients) {
      const fate = this.fateOf(recipient);
      if (fate.kind === 'accept' || fate.at === 'rcpt') continue;
      if (fate.kind === 'refuse') verdict = 'refusedAtDot';
      else if (this.#isDeferred(recipient, fate.times)) verdict ??= 'laterAtDot';
    }
    return verdict && this.#say(verdict, { client });
  }

  /** A content was taken. */
  taken(client: string, nowMs: number): void {
    if (this.policy.rateMessages === 0) return;
    const recent = this.#recent.get(client);
    if (recent === undefined) this.#recent.set(client, [nowMs]);
    else recent.push(nowMs);
  }

  /** The same each time, whatever else happens. */
  fateOf(recipient: string): RecipientFate {
    const known = this.#fates.get(recipient);
    if (known !== undefined) return known;
    const { refuseRate, fullRate, deferRate } = this.policy;
    if (refuseRate + fullRate + deferRate === 0) return { kind: 'accept' };
    const fate = drawFate(new SeededRandom(this.#seed ^ hashOf(recipient)), this.policy);
    this.#fates.set(recipient, fate);
    return fate;
  }

  #distrust(at: ReceiverPolicy['distrustAt'], client: string): Reply | undefined {
    if (at !== this.policy.distrustAt) return undefined;
    const distrust = this.policy.distrusted.find(({ clientAddress }) => clientAddress === client);
    if (distrust === undefined) return undefined;
    const mood = this.#moods.get(client) ?? new SeededRandom(this.#seed ^ hashOf(client));
    this.#moods.set(client, mood);
    if (mood.chance(distrust.blockRate)) return this.#say('blocked', { client });
    return mood.chance(distrust.deferRate) ? this.#say('distrusted', { client }) : undefined;
  }

  /** A 421: the next connections of that address get one, too, for a while. */
  #turnAway(client: string, cause: keyof ReceiverReplies, nowMs: number): Reply {
    const { escalationMs } = this.policy;
    if (escalationMs > 0) {
      const before = this.#escalations.get(client);
      const isAgain = before !== undefined && nowMs < before.untilMs;
      const blockMs = isAgain ? Math.min(2 * before.blockMs, escalationsMax * escalationMs) : escalationMs;
      this.#escalations.set(client, { untilMs: nowMs + blockMs, blockMs });
    }
    return this.#say(cause, { client });
  }

  #isDeferred(recipient: string, times: number): boolean {
    const before = this.#deferrals.get(recipient) ?? 0;
    if (before < times) this.#deferrals.set(recipient, before + 1);
    return before < times;
  }

  #say(cause: keyof ReceiverReplies, blanks: Readonly<Record<string, string>>): Reply {
    const ticket = (hashOf(`${this.#seed} ${this.#tickets++}`) >>> 0).toString(16).padStart(8, '0');
    return filledReply(this.#replies[cause], { ...blanks, ticket });
  }
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
