/** A command (or a content) whose reply the client had not read when it wrote its next one. */
interface Awaited {
  readonly verb: string;
  readonly recipient: string;
  readonly transaction: ClientTransaction | undefined;
  /** undefined: not replied to yet. */
  reply:
    | { readonly code: number; readonly endBytes: number; readonly keywords: readonly string[] }
    | undefined;
}

/** A transaction as the client has to see it. */
interface ClientTransaction {
  /** From the null reverse-path: one after the other may go to the same sender. */
  readonly isReport: boolean;
  isMailRefused: boolean;
  readonly recipients: string[];
  readonly accepted: Set<string>;
}

/** What a client must read the reply to before it says anything else (RFC 2920 section 3.1). */
const lastOfGroup = new Set(['(connect)', 'EHLO', 'HELO', 'STARTTLS', '(tls)', 'DATA', 'QUIT']);
/** MAIL parameters and the extensions they belong to (RFC 1870, 6152, 6531). */
const parameterKeywords: ReadonlyMap<string, string> = new Map([
  ['SIZE', 'SIZE'],
  ['BODY', '8BITMIME'],
  ['SMTPUTF8', 'SMTPUTF8'],
]);

/**
 * Judges one client of one connection by RFC 5321 and 2920. It knows which replies the client had read when
 * it wrote a command, so it can tell a pipelined command from a wrong one.
 */
export class ClientConduct {
  readonly violations: string[] = [];
  readonly #awaited: Awaited[] = [];
  #firstUnanswered = 0;
  #hello: 'none' | 'refused' | 'done' = 'none';
  #keywords: readonly string[] = [];
  #closing: string | undefined;
  #transaction: ClientTransaction | undefined;
  /** Recipients that got a 5xx the client has read. */
  readonly #refused = new Set<string>();

  constructor() {
    this.#await('(connect)');
  }

  /** A command line arrived whole. `hadReadBytes`: of our replies, when the client wrote it. */
  command(line: string, hadReadBytes: number): void {
    this.#read(hadReadBytes);
    const [, word = '', rest = ''] = /^(\S*) ?(.*)$/s.exec(line)!;
    const verb = word.toUpperCase();
    const recipient = verb === 'RCPT' ? (/<(.*?)>/.exec(rest)?.[1] ?? '') : '';
    this.#maySpeak(verb);
    this.#mayFollow(verb, rest, recipient);
    this.#await(verb, recipient);
  }

  /** The client said its part of a TLS handshake; our part is `replied` to it. */
  handshakeBegan(hadReadBytes: number): void {
    this.#read(hadReadBytes);
    if (this.#awaited.length > 0) this.say('begins TLS before it has read the reply to STARTTLS');
    this.#await('(tls)');
  }

  /** The first octets of a content arrived. */
  contentBegan(hadReadBytes: number): void {
    this.#read(hadReadBytes);
    if (this.#awaited.some(({ verb }) => verb === 'DATA')) this.say('sends content before it has read 354');
  }

  contentEnded(): void {
    this.#await('(dot)');
    this.#transaction = undefined;
  }

  /** A reply to the oldest unanswered command was written; `endBytes`: of all our replies so far. */
  replied(code: number, endBytes: number, keywords: readonly string[] = []): void {
    const awaited = this.#awaited[this.#firstUnanswered];
    if (awaited === undefined) return;
    awaited.reply = { code, endBytes, keywords };
    this.#firstUnanswered += 1;
  }

  #await(verb: string, recipient = ''): void {
    this.#awaited.push({ verb, recipient, transaction: this.#transaction, reply: undefined });
  }

  #read(hadReadBytes: number): void {
    for (;;) {
      const first = this.#awaited[0];
      if (first?.reply === undefined || first.reply.endBytes > hadReadBytes) return;
      this.#awaited.shift();
      this.#firstUnanswered -= 1;
      this.#know(first, first.reply.code, first.reply.keywords);
    }
  }

  /** What a reply that was read tells the client. */
  #know({ verb, recipient, transaction }: Awaited, code: number, keywords: readonly string[]): void {
    const isPositive = code < 400;
    if (code === 421) this.#closing = '421';
    else if (verb === '(connect)' && !isPositive) this.#closing = 'a refused connection';
    else if (verb === 'EHLO' || verb === 'HELO') {
      this.#hello = isPositive ? 'done' : 'refused';
      this.#keywords = keywords;
    } else if (verb === '(tls)') {
      // RFC 3207 section 4.2: both sides begin anew.
      this.#hello = 'none';
      this.#keywords = [];
    } else if (verb === 'MAIL' && !isPositive && transaction !== undefined) {
      transaction.isMailRefused = true;
      if (this.#transaction === transaction) this.#transaction = undefined;
    } else if (verb === 'RCPT' && transaction?.isMailRefused === false) {
      if (isPositive) transaction.accepted.add(recipient);
      else if (code >= 500) this.#refused.add(recipient);
    } else if (verb === '(dot)' && code >= 500) {
      for (const one of transaction?.accepted ?? []) this.#refused.add(one);
    }
  }

  #maySpeak(verb: string): void {
    if (this.#closing !== undefined && verb !== 'QUIT') this.say(`${verb} after ${this.#closing}`);
    const isPipelining = this.#keywords.includes('PIPELINING');
    for (const awaited of this.#awaited) {
      if (lastOfGroup.has(awaited.verb) || !isPipelining) {
        this.say(`${verb} before it has read the reply to ${awaited.verb}`);
        return;
      }
    }
  }

  #mayFollow(verb: string, rest: string, recipient: string): void {
    const transaction = this.#transaction;
    if (verb === 'HELO' && this.#hello !== 'refused') this.say('HELO without a refused EHLO');
    else if (verb === 'RSET') this.#transaction = undefined;
    else if (verb === 'STARTTLS') {
      if (!this.#keywords.includes('STARTTLS')) this.say('STARTTLS, which was not offered');
    } else if (verb === 'MAIL') {
      if (this.#hello !== 'done') this.say('MAIL before a hello');
      if (transaction !== undefined) this.say('MAIL inside a transaction');
      this.#parameters(rest);
      const isReport = rest.includes('<>');
      this.#transaction = { isReport, isMailRefused: false, recipients: [], accepted: new Set() };
    } else if (verb === 'RCPT') {
      if (transaction === undefined) this.say('RCPT outside a transaction');
      if (this.#refused.has(recipient) && transaction?.isReport !== true)
        this.say(`RCPT for ${recipient} again after a 5xx`);
      transaction?.recipients.push(recipient);
    } else if (verb === 'DATA') {
      if (transaction === undefined) this.say('DATA outside a transaction');
      else if (transaction.accepted.size === 0 && !this.#awaitsRecipient())
        this.say('DATA without a recipient');
    } else if (!['EHLO', 'HELO', 'NOOP', 'QUIT'].includes(verb)) this.say(`unexpected ${verb}`);
  }

  /** Some RCPT may still be accepted. */
  #awaitsRecipient(): boolean {
    return this.#awaited.some(
      ({ verb, transaction }) => verb === 'RCPT' && transaction === this.#transaction,
    );
  }

  #parameters(rest: string): void {
    for (const parameter of rest.replace(/^[^>]*>/, '').split(' ')) {
      const name = parameter.split('=')[0]!.toUpperCase();
      const keyword = parameterKeywords.get(name);
      if (name !== '' && (keyword === undefined || !this.#keywords.includes(keyword))) {
        this.say(`MAIL with ${name}, which was not offered`);
      }
    }
  }

  /** Notes a violation. */
  say(what: string): void {
    this.violations.push(what);
  }
}
