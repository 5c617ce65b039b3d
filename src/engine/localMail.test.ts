import { expect, test } from 'vitest';
import type { Content, Envelope } from '../message/envelope.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import type { MessageOwner, NewMessage, Spool } from '../spool/spool.ts';
import { LocalMail } from './localMail.ts';

function scene() {
  const put: { message: NewMessage; owner: MessageOwner }[] = [];
  const owed: { envelope: Envelope; content: Content }[] = [];
  const spool = {
    nextId: () => ({ epoch: 1, sequence: 7 }),
    putMessage: (message: NewMessage, owner: MessageOwner) => void put.push({ message, owner }),
  } as Partial<Spool> as Spool;
  const mail = new LocalMail({
    clock: new VirtualClock(),
    spool,
    hostName: 'mx.a.test',
    owed: (envelope, content) => owed.push({ envelope, content }),
  });
  return { mail, put, owed };
}

test('a notification leaves from nobody, under the virtual MTA it was asked for', () => {
  const { mail, put, owed } = scene();
  expect(mail.notify({ to: 'Ops@B.Test', vmta: 'v1', subject: 'Backoff', text: 'gmail.com/v1' })).toBe(true);
  const [{ message, owner }] = put as [(typeof put)[0]];
  expect(message.envelope).toMatchObject({
    id: { epoch: 1, sequence: 7 },
    reversePath: '',
    recipients: [{ forwardPath: 'Ops@B.Test', domain: 'b.test' }],
    vmta: 'v1',
    dsnReturn: 'none',
    reception: { type: 'local' },
  });
  expect(owed).toEqual([]);
  owner.owed({ segment: 1, recordAt: 0, recordBytes: 1 });
  expect(owed).toHaveLength(1);
  const text = new TextDecoder().decode(message.content.chunks[0]);
  expect(text).toContain('Message-ID: <1.7@mx.a.test>\r\n');
  expect(text).toContain('\r\n\r\ngmail.com/v1\r\n');
});

test('to what is no address nothing is sent', () => {
  const { mail, put } = scene();
  for (const to of ['ops', 'ops@', '', 'a@b.test> X', 'postmaster']) {
    expect(mail.notify({ to, vmta: 'v1', subject: '', text: '' })).toBe(false);
  }
  expect(put).toEqual([]);
});
