import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Envelope } from '../message/envelope.ts';
import { compileBounceCategories } from './bounceCategory.ts';
import type { RecipientResult } from './deliveryTransaction.ts';
import { type AttemptFacts, deferredBy, deliveryEvent, expired } from './outcome.ts';

const envelope: Envelope = {
  id: { epoch: 3, sequence: 7 },
  timeQueuedMs: 1000,
  reversePath: 's@o.example',
  recipients: [
    { forwardPath: 'a@r.example', domain: 'r.example', orcpt: '' },
    { forwardPath: 'B@r.example', domain: 'r.example', orcpt: 'rfc822;b@x' },
  ],
  smtpUtf8: false,
  eightBit: false,
  wireForm: 'dotStuffed',
  vmta: 'v1',
  vmtaPool: 'pool',
  jobId: 'job',
  envId: 'env',
  dsnReturn: 'headers',
  reception: {
    type: 'smtp',
    heloName: 'client.example',
    clientAddress: '192.0.2.9',
    listenerAddress: '192.0.2.10',
    listenerPort: 25,
  },
};
const facts: AttemptFacts = {
  envelope,
  queue: 'r.example/v1',
  nowMs: 5000,
  remote: {
    host: 'mx.r.example',
    address: '198.51.100.1',
    dlvSourceIp: '192.0.2.20',
    esmtpAvailable: 'PIPELINING,SIZE',
  },
  sizeBytes: 2048,
  attempts: 2,
  nextTryMs: 9000,
  categoryOf: compileBounceCategories([]),
};
const result = (kind: RecipientResult['kind'], status: string, diagnostic: string): RecipientResult => ({
  index: 1,
  kind,
  status,
  diagnostic,
  bodySent: false,
});

describe('the event of a result', () => {
  test('a delivery has every column', () => {
    expect(deliveryEvent(result('delivered', '2.0.0', '250 2.0.0 ok'), facts)).toEqual({
      kind: 'delivered',
      id: envelope.id,
      recipientIndex: 1,
      timeLoggedMs: 5000,
      timeQueuedMs: 1000,
      orig: 's@o.example',
      rcpt: 'B@r.example',
      orcpt: 'rfc822;b@x',
      status: '2.0.0',
      diagnostic: '250 2.0.0 ok',
      dsnMta: 'mx.r.example (198.51.100.1)',
      bounceCategory: '',
      srcMta: 'client.example (192.0.2.9)',
      dlvSourceIp: '192.0.2.20',
      dlvDestinationIp: '198.51.100.1',
      dlvEsmtpAvailable: 'PIPELINING,SIZE',
      dlvSizeBytes: 2048,
      vmta: 'v1',
      vmtaPool: 'pool',
      jobId: 'job',
      envId: 'env',
      queue: 'r.example/v1',
      attempts: 2,
      nextTryMs: 9000,
    });
  });

  test('a failure has a category and no size', () => {
    const event = deliveryEvent(result('failed', '5.1.1', '550 5.1.1 no'), facts);
    expect(event).toMatchObject({ kind: 'failed', bounceCategory: 'bad-mailbox', dlvSizeBytes: 0 });
  });

  test('what was not attempted is not told', () => {
    expect(deliveryEvent(result('notAttempted', '', ''), facts)).toBeUndefined();
  });

  test('expiry fails with 4.4.7 as message-expired, whatever the last reply said', () => {
    const event = deliveryEvent(expired(0, '450 4.2.2 over quota'), { ...facts, remote: undefined });
    expect(event).toMatchObject({
      kind: 'failed',
      status: '4.4.7',
      diagnostic: '450 4.2.2 over quota',
      bounceCategory: 'message-expired',
      dsnMta: '',
      dlvSourceIp: '0.0.0.0',
      dlvDestinationIp: '0.0.0.0',
      dlvEsmtpAvailable: '',
    });
  });

  test('a connection refused with 5yz defers the recipients', () => {
    expect(deferredBy(0, { status: '5.7.1', diagnostic: '554 5.7.1 go away' })).toEqual({
      index: 0,
      kind: 'deferred',
      status: '4.7.1',
      diagnostic: '554 5.7.1 go away',
      bodySent: false,
    });
  });

  test('a diagnostic is one printable line of at most 1,000 characters, no character cut in two', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '\r\n', '\u0085', '\0', '\u2028', '\u{1f600}'),
      minLength: 900,
      maxLength: 1100,
    });
    fc.assert(
      fc.property(text, (diagnostic) => {
        const told = deliveryEvent(result('failed', '5.0.0', diagnostic), facts)!.diagnostic;
        expect(told).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
        expect(told.length).toBeLessThanOrEqual(1000);
        expect(told.length).toBeGreaterThanOrEqual(Math.min(diagnostic.length, 999));
        expect(told).not.toMatch(/[\ud800-\udbff]$/);
      }),
      { numRuns: 200 },
    );
  });
});
