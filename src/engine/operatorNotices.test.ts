import { beforeEach, expect, test } from 'vitest';
import type { Clock, Log } from '../base/ports.ts';
import type { EffectiveDomainSettings } from '../config/domainSettings.ts';
import { OperatorNotices } from './operatorNotices.ts';

const queue = 'r.test/v';
let nowMs: number;
let mails: string[];
let logged: string[];
let notices: OperatorNotices;

beforeEach(() => {
  nowMs = 0;
  mails = [];
  logged = [];
  notices = new OperatorNotices({
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs, zoneOffsetMinutes: () => 0 } as unknown as Clock,
    log: { write: (_level, event) => void logged.push(event) } as Log,
    settingsFor: () =>
      ({
        backoffNotify: { value: ['a@op.test', 'b@op.test'] },
        disabledSourceIpNotify: { value: ['c@op.test'] },
      }) as unknown as EffectiveDomainSettings,
    localMail: {
      notify: ({ to, vmta, subject, text }) => {
        mails.push(`${to} by ${vmta}: ${subject}\n${text}`);
        return true;
      },
    },
    lastError: () => '451 4.7.1 slow',
  });
});

const backoff = { queue, mode: 'backoff', cause: 'asked' } as const;
const tell = (...modes: (typeof backoff)[]): void => notices.tellModes({ modes, withoutSource: [] });

test('whoever is to be told of backoff mode is told what the queue met', () => {
  tell(backoff);
  expect(logged).toEqual(['queue.mode']);
  expect(mails.map((mail) => mail.split(':')[0])).toEqual(['a@op.test by v', 'b@op.test by v']);
  expect(mails[0]).toContain('r.test/v is in backoff mode\n');
  expect(mails[0]).toContain('What it met last: 451 4.7.1 slow');
});

test('a disabled address is told with the reply and when it is used again', () => {
  const cause = { status: '4.7.1', diagnostic: '451 4.7.1 blocked' };
  notices.sourceDisabled(queue, '192.0.2.1', cause, 60_000);
  notices.sourceDisabled(queue, '192.0.2.2', cause, undefined);
  expect(mails[0]).toMatch(
    /^c@op\.test by v: 192\.0\.2\.1 is disabled for r\.test\/v\n.* 00:01:00 .*\n\n.*blocked/,
  );
  expect(mails[1]).toContain('before it is enabled');
});

test('the same thing is told once an hour, and all things together 60 times', () => {
  tell(backoff, backoff);
  expect(mails).toHaveLength(2);
  nowMs = 3_600_000;
  tell(backoff);
  expect(mails).toHaveLength(4);
  for (let i = 0; i < 100; i++) tell({ ...backoff, queue: `d${i}.test/v` as typeof queue });
  expect(mails).toHaveLength(62);
  expect(logged.filter((event) => event === 'notices.tooMany')).toHaveLength(1);
  nowMs = 7_200_000;
  tell({ ...backoff, queue: 'later.test/v' as typeof queue });
  expect(mails).toHaveLength(64);
});
