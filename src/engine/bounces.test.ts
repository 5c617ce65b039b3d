import { beforeEach, expect, test } from 'vitest';
import type { DeliveryEvent } from '../message/deliveryEvent.ts';
import type { Content, Envelope } from '../message/envelope.ts';
import { formatMessageId } from '../message/messageId.ts';
import { invalidVirtualMta } from '../message/names.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { envelopeOf, eventOf } from '../spool/samples.testing.ts';
import type { OwnedMessage, Spool } from '../spool/spool.ts';
import { Bounces } from './bounces.ts';
import { LocalMail } from './localMail.ts';

let plain: { readonly event: DeliveryEvent; readonly segment: number }[];
let reported: {
  readonly events: readonly DeliveryEvent[];
  readonly segment: number;
  readonly report: OwnedMessage;
}[];
let bounces: Bounces;

beforeEach(() => {
  plain = [];
  reported = [];
  const spool = {
    nextId: () => ({ epoch: 9, sequence: 1 }),
    putEvent: (event, segment) => void plain.push({ event, segment }),
    putReported: (events, segment, report) => void reported.push({ events, segment, report }),
  } as Partial<Spool> as Spool;
  const clock = new VirtualClock();
  const hostName = 'mx.a.test';
  const localMail = new LocalMail({ clock, spool, hostName, owed: () => undefined });
  bounces = new Bounces({ clock, spool, localMail, hostName, fromHeader: '' });
});

const id = { epoch: 0x1f, sequence: 0x2a9 };

interface Failing {
  readonly recipients?: number;
  readonly envelope?: Partial<Envelope>;
  readonly text?: string;
}

function fail({ recipients = 1, envelope: over = {}, text = 'Subject: x\r\n\r\nbody\r\n' }: Failing): void {
  const envelope: Envelope = {
    ...envelopeOf(id, recipients),
    reversePath: 'news@sender.test',
    smtpUtf8: false,
    ...over,
  };
  const failed = envelope.recipients.map((_, index) => ({
    ...eventOf(envelope, index, 'failed', 1),
    status: '5.1.1',
    diagnostic: '550 no',
    dsnMta: 'mx.b.test (192.0.2.1)',
  }));
  bounces.put(failed, 7, { envelope, content: contentOf(text) });
}

/** In pieces, as it comes off the wire. */
function contentOf(text: string): Content {
  const bytes = new TextEncoder().encode(text);
  const prefix = new TextEncoder().encode('Received: by mx.a.test\r\n');
  const chunks = [bytes.subarray(0, 5), bytes.subarray(5)];
  return { prefix, chunks, sizeBytes: prefix.length + bytes.length };
}

function textOf({ message: { content } }: OwnedMessage): string {
  return new TextDecoder().decode(content.chunks[0]);
}

test('the sender is told of all that fails at one moment, by one message that goes with its outcomes', () => {
  fail({ recipients: 3 });
  expect(plain).toEqual([]);
  const [{ events, segment, report }] = reported as [(typeof reported)[0]];
  expect([events.length, segment]).toEqual([3, 7]);
  expect(report.message.envelope).toMatchObject({
    reversePath: '',
    recipients: [{ forwardPath: 'news@sender.test', domain: 'sender.test' }],
    vmta: 'v1',
    vmtaPool: 'p',
    dsnReturn: 'none',
    reception: { type: 'local' },
  });
  expect(formatMessageId(report.message.envelope.id)).toBe('1f.100000000002a9');
  const text = textOf(report);
  expect(text).toContain('Message-ID: <1f.100000000002a9@mx.a.test>\r\n');
  for (const index of [0, 1, 2])
    expect(text).toContain(`Final-Recipient: rfc822; r${index}@example.test\r\n`);
  expect(text).toContain('Remote-MTA: dns; mx.b.test\r\nDiagnostic-Code: smtp; 550 no\r\n');
  expect(text).toContain('\r\n\r\nReceived: by mx.a.test\r\nSubject: x\r\n\r\n--');
});

test.each<[string, Partial<Envelope>]>([
  ['the null reverse-path', { reversePath: '' }],
  ['a sender who wants none', { dsnReturn: 'none' }],
  ['a sender no mail can reach', { reversePath: 'nobody@' }],
])('%s gets no report, and its outcomes are put all the same', (_, envelope) => {
  fail({ recipients: 2, envelope });
  expect(reported).toEqual([]);
  expect(plain.map(({ event, segment }) => [event.recipientIndex, segment])).toEqual([
    [0, 7],
    [1, 7],
  ]);
});

test('what failed for want of a virtual MTA is reported under {default}', () => {
  fail({ envelope: { vmta: invalidVirtualMta('gone'), vmtaPool: '' } });
  expect(reported[0]!.report.message.envelope.vmta).toBe('{default}');
});

test('a report is bounded: of many recipients there are several', () => {
  fail({ recipients: 230 });
  expect(reported.map(({ events }) => events.length)).toEqual([100, 100, 30]);
  const ids = reported.map(({ report }) => formatMessageId(report.message.envelope.id));
  expect(ids).toEqual(['1f.100000000002a9', '1f.100640000002a9', '1f.100c80000002a9']);
});

test('all of a message comes back where that was asked for, as it was before it was dot-stuffed', () => {
  const text = 'Subject: x\r\n\r\n..body\r\n.\r\n';
  fail({ envelope: { dsnReturn: 'full', wireForm: 'dotStuffed' }, text });
  expect(textOf(reported[0]!.report)).toContain(
    'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nReceived: by mx.a.test\r\nSubject: x\r\n\r\n.body\r\n\r\n--',
  );
});

test('of what is too large, or cannot travel as it is, the header comes back', () => {
  const large = `Subject: x\r\n\r\n${'body\r\n'.repeat(20_000)}`;
  for (const text of [large, `Subject: x\r\n\r\n${'y'.repeat(1000)}\r\n`]) {
    fail({ envelope: { dsnReturn: 'full' }, text });
    const said = textOf(reported.pop()!.report);
    expect(said).toContain('Content-Type: text/rfc822-headers\r\n');
    expect(said).toContain('Received: by mx.a.test\r\nSubject: x\r\n\r\n--');
    expect(said.length).toBeLessThan(3000);
  }
});

test('of a header without end as many fields come back as there is room for', () => {
  fail({ text: 'A: b\r\n'.repeat(100_000) });
  const said = textOf(reported[0]!.report);
  expect(said.length).toBeGreaterThan(60 * 1024);
  expect(said.length).toBeLessThan(70 * 1024);
  fail({ text: `${'A: b\r\n'.repeat(2000)}\r\nbody` });
  expect(textOf(reported[1]!.report).match(/^A: b/gm)).toHaveLength(2000);
});
