import { expect, test } from 'vitest';
import type { ReplyActions } from '../config/config.ts';
import type { ClientEffect } from './clientEffect.ts';
import { ClientSession } from './clientSession.ts';
import type { DeliveryTransaction } from './deliveryTransaction.ts';
import { compileReplyJudges } from './replyRules.ts';
import { replyDefaults } from './replySettings.testing.ts';
import type { ReplySettings } from './replySettings.ts';

/* What the settings and rules of a queue make of replies; the dialogue itself: clientSession.test.ts. */

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const chunk = bytes('Subject: a\r\n\r\n.\r\n');
const transaction: DeliveryTransaction = {
  reversePath: 's@o.example',
  recipients: ['a', 'b'].map((name, index) => ({ index, forwardPath: `${name}@r.example` })),
  content: { prefix: new Uint8Array(0), chunks: [chunk], sizeBytes: chunk.length },
  wireForm: 'dotStuffed',
  smtpUtf8: false,
  eightBit: false,
};

const rules = (...given: (readonly [string, ReplyActions])[]): Pick<ReplySettings, 'judges'> => ({
  judges: compileReplyJudges({
    rules: given.map(([expression, actions]) => ({
      expression,
      actions,
      origin: { file: 'test', line: 1, column: 1, text: '' },
    })),
  }),
});

/** One transaction to two recipients; the remote answers command by command. */
class Played {
  readonly session: ClientSession;
  readonly effects: ClientEffect[] = [];

  constructor(replies: Partial<ReplySettings>, ...answers: readonly string[]) {
    this.session = new ClientSession(
      {
        ehloName: 'out.example',
        connectTimeoutMs: 1000,
        greetingTimeoutMs: 1000,
        commandTimeoutMs: 1000,
        dataSendTimeoutMs: 1000,
        dataTerminationTimeoutMs: 1000,
        multiLineResponseTimeoutMs: 1000,
        starttls: 'never',
        ignoredKeywords: new Set(),
        maxErrors: 0,
        replies: { ...replyDefaults, ...replies },
      },
      0,
    );
    this.#take(this.session.opened(0));
    for (const answer of answers) this.#take(this.session.received(bytes(`${answer}\r\n`), 0));
  }

  tick(nowMs: number): this {
    this.#take(this.session.tick(nowMs, 0));
    return this;
  }

  #take(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      this.effects.push(effect);
      const isFirst = this.effects.filter(({ kind }) => kind === 'ready').length === 1;
      if (effect.kind === 'ready' && isFirst) this.#take(this.session.deliver(transaction, 0));
    }
  }

  get told(): readonly string[] {
    return this.effects.flatMap((effect) => {
      if (effect.kind === 'judged') {
        return [`judged ${JSON.stringify(effect.judgement.actions)}: ${effect.diagnostic}`];
      }
      if (effect.kind === 'settled') {
        return effect.results.map(({ index, kind, status, diagnostic }) =>
          `${index} ${kind} ${status} ${diagnostic}`.trimEnd(),
        );
      }
      if (effect.kind !== 'failed') return [];
      const { kind, during, status, diagnostic } = effect.failure;
      return [`failed ${kind} during ${during}: ${status} ${diagnostic}`];
    });
  }
}

const toRcpt = ['220 hi', '250 hello', '250 ok'];
const toContent = [...toRcpt, '250 a', '250 b', '354 go'];

test('bounce-rcpt makes a recipient fail whose RCPT was deferred, and nobody else', () => {
  const overQuota = rules(['over quota', { bounceRcpt: true }]);
  expect(new Played(overQuota, ...toRcpt, '450 4.2.2 over quota', '450 4.2.1 busy').told).toEqual([
    'judged {"bounceRcpt":true}: 450 4.2.2 over quota',
    '0 failed 5.2.2 450 4.2.2 over quota',
    '1 deferred 4.2.1 450 4.2.1 busy',
  ]);
  expect(new Played(overQuota, '220 hi', '250 hello', '450 4.2.2 over quota').told).toEqual([
    'judged {"bounceRcpt":true}: 450 4.2.2 over quota',
    '0 deferred 4.2.2 450 4.2.2 over quota',
    '1 deferred 4.2.2 450 4.2.2 over quota',
  ]);
});

test('after skip-mx nobody is worse off, even after a 5yz, but for who was refused before', () => {
  const skip = rules(['elsewhere', { skipMx: true }]);
  expect(new Played(skip, '554 elsewhere').told).toEqual([
    'judged {"skipMx":true}: 554 elsewhere',
    'failed mxSkipped during greeting: 4.0.0 554 elsewhere',
  ]);
  expect(new Played(skip, ...toRcpt, '550 5.1.1 no', '550 5.7.1 elsewhere').told).toEqual([
    'judged {"skipMx":true}: 550 5.7.1 elsewhere',
    '0 failed 5.1.1 550 5.1.1 no',
    '1 notAttempted',
    'failed mxSkipped during rcpt: 4.7.1 550 5.7.1 elsewhere',
  ]);
  expect(new Played(skip, ...toContent, '554 elsewhere').told).toEqual([
    'judged {"skipMx":true}: 554 elsewhere',
    '0 notAttempted',
    '1 notAttempted',
    'failed mxSkipped during content: 4.0.0 554 elsewhere',
  ]);
});

test('421 means that the MX is unavailable only where the queue says so', () => {
  expect(new Played({ smtp421MeansMxUnavailable: true }, ...toRcpt, '421 bye').told).toEqual([
    '0 notAttempted',
    '1 notAttempted',
    'failed mxSkipped during rcpt: 4.0.0 421 bye',
  ]);
  expect(new Played({}, ...toRcpt, '421 bye').told.at(-1)).toBe(
    'failed serviceClosing during rcpt: 4.0.0 421 bye',
  );
  const tired = new Played({ smtp421MeansMxUnavailable: true }, ...toContent, '250 ok', '421 tired');
  expect(tired.told.at(-1)).toBe('failed serviceClosing during idle: 4.0.0 421 tired');
});

test('the reply before a 421 is told instead of it where the queue says so', () => {
  const answers = [...toRcpt, '550 5.7.1 your address is listed', '421 bye'];
  expect(new Played({ replaceSmtp421ServiceResponse: true }, ...answers).told.slice(1)).toEqual([
    '1 deferred 4.7.1 550 5.7.1 your address is listed',
    'failed serviceClosing during rcpt: 4.7.1 550 5.7.1 your address is listed',
  ]);
  expect(new Played({}, ...answers).told[1]).toBe('1 deferred 4.0.0 421 bye');
});

test('a message without a reply in time is delivered only where the queue assumes so', () => {
  expect(
    new Played({ assumeDeliveryUponDataTerminationTimeout: true }, ...toContent).tick(1000).told.slice(0, 2),
  ).toEqual([
    '0 delivered 2.0.0 no reply to the message in time: assumed to be delivered',
    '1 delivered 2.0.0 no reply to the message in time: assumed to be delivered',
  ]);
  expect(new Played({}, ...toContent).tick(1000).told[0]).toMatch(/^0 deferred 4\.4\.2/);
  const early = new Played({ assumeDeliveryUponDataTerminationTimeout: true }, ...toRcpt, '250 a', '250 b');
  expect(early.tick(1000).told[0]).toMatch(/^0 deferred 4\.4\.2/);
});

test('what goes wrong without a reply is judged by its words', () => {
  const refused = new ClientSession(
    {
      ...{ ehloName: 'o', connectTimeoutMs: 1, greetingTimeoutMs: 1, commandTimeoutMs: 1 },
      ...{ dataSendTimeoutMs: 1, dataTerminationTimeoutMs: 1, multiLineResponseTimeoutMs: 1 },
      ...{ starttls: 'never', ignoredKeywords: new Set(), maxErrors: 0 },
      replies: { ...replyDefaults, ...rules(['connection refused', { mode: 'backoff' }]) },
    },
    0,
  ).lost('ECONNREFUSED', 0);
  expect(refused[0]).toMatchObject({
    kind: 'judged',
    diagnostic: 'no connection (connection refused, ECONNREFUSED)',
  });
});

test('a positive reply is judged only when it takes a message', () => {
  const normal = rules(['', { mode: 'normal' }]);
  expect(new Played(normal, ...toContent, '250 taken').told).toEqual([
    'judged {"mode":"normal"}: 250 taken',
    '0 delivered 2.0.0 250 taken',
    '1 delivered 2.0.0 250 taken',
  ]);
});
