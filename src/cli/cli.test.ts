import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Sink, type Verdict } from '../../test/ledger/sink.ts';
import { systemNet } from '../base/node/net.ts';
import type { EngineStateReport, StatusReport } from '../control/reports.ts';
import { type ControlHandler, serveControl } from '../control/server.ts';
import { ControlRefusal } from '../control/wire.ts';
import { AccountingTail, valueIn } from './accountingTail.ts';
import { durationText } from './durationText.ts';
import { engineText } from './engineText.ts';
import { type Io, pairLines, wantsColor } from './io.ts';
import { runProgram } from './program.ts';
import { quarantineLines } from './quarantineList.ts';
import { queueLines } from './queueList.ts';
import { settingLines } from './queueShow.ts';
import { submit } from './smtpClient.ts';
import { type DamageReport, verifyLines } from './spoolVerify.ts';
import { statusLines } from './status.ts';
import { testMessage, withCrlf } from './testMessage.ts';
import { whyMessageLines, whyQueueLines } from './why.ts';

let folder: string;
let sink: Sink | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-cli-'));
});
afterEach(async () => {
  await sink?.stop();
  sink = undefined;
  await rm(folder, { recursive: true });
});

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

test('pairs fit 80 columns, values under each other', () => {
  const lines = pairLines([
    ['a', 'short'],
    ['longer', `${'word '.repeat(30)}${'x'.repeat(100)}`],
  ]);
  expect(lines[0]).toBe('a:      short');
  expect(lines.every((line) => line.length <= 80)).toBe(true);
  expect(lines.slice(2).every((line) => line.startsWith('        '))).toBe(true);
});

test('colour is for terminals that did not refuse it', () => {
  expect(wantsColor(true, {})).toBe(true);
  expect(wantsColor(true, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColor(true, { NO_COLOR: '' })).toBe(true);
  expect(wantsColor(false, {})).toBe(false);
});

test.each([
  [0, '0s'],
  [59_999, '59s'],
  [3_600_000, '1h 0m'],
  [90_061_000, '1d 1h'],
])('%d ms read %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

const sampleQueue = {
  name: 'a.test/v',
  engine: 'engine-1',
  recipients: 1,
  ready: 0,
  waiting: 0,
  inDelivery: 0,
  connections: 0,
  connectionsMax: 1,
  mode: 'normal',
  isPaused: false,
  pausedBy: '',
  retryStep: 0,
  nextTryMs: undefined,
  lastError: '',
};

test('queues are a table, each with the reason why it waits', () => {
  const queue = { ...sampleQueue, recipients: 12, inDelivery: 1, connections: 2, connectionsMax: 20 };
  const lines = queueLines(
    {
      queues: [
        { ...queue, name: 'gmail.test/mta1', nextTryMs: 61_000, lastError: '421 4.7.0 slow down' },
        { ...queue, name: 'x.test/mta1', nextTryMs: undefined, lastError: '' },
        { ...queue, name: 'y.test/mta1', isPaused: true },
      ],
      total: 30,
      totalRecipients: 400,
      pauseRules: ['y*/*', '!y.com/*'],
    },
    1000,
  );
  expect(lines).toHaveLength(7);
  expect(lines.slice(-3)).toEqual([
    expect.stringMatching(/paused$/),
    '3 of 30 queues, with 400 recipients',
    'paused: y*/* !y.com/*',
  ]);
  expect(lines[0]).toMatch(/^queue +recipients +delivering +connections +next try$/);
  expect(lines[1]).toMatch(/^gmail\.test\/mta1 +12 +1 +2\/20 +in 1m 0s$/);
  expect(lines[2]).toBe('  421 4.7.0 slow down');
  expect(lines[3]).toMatch(/now$/);
});

test('a message has CRLF line ends throughout, and no field can be smuggled through the subject', () => {
  const message = { from: 'a@b.test', to: 'c@d.test', nowMs: 0, zoneOffsetMinutes: 0, id: 'i' };
  const text = Buffer.from(testMessage({ ...message, subject: 'x\r\nBcc: y', body: 'a\nb' })).toString();
  expect(text).not.toMatch(/(^|[^\r])\n/);
  expect(text).toContain('\r\nSubject: x Bcc: y\r\n');
  expect(text).toContain('\r\nMessage-ID: <i@b.test>\r\n');
  expect(text.endsWith('\r\n\r\na\r\nb\r\n')).toBe(true);
  expect(Buffer.from(testMessage({ ...message, subject: 'ü', body: '' })).toString()).toContain(
    '\r\nSubject: =?utf-8?B?w7w=?=\r\n',
  );
});

test('a file keeps its octets, whatever they are, but for its line ends', () => {
  expect([...withCrlf(Uint8Array.of(0x80, 0x0a, 0xff, 0x0d, 0x0a))]).toEqual([0x80, 13, 10, 0xff, 13, 10]);
});

test('what is submitted arrives octet for octet, dots and all, and the dialogue is shown', async () => {
  const contents = new Map<string, Buffer[]>();
  sink = await Sink.start({ receptions: [], contents });
  const content = bytes('Subject: x\r\n\r\n.\r\n..\r\n\x80\xff\r\n');
  const shown: string[] = [];
  const listener = { address: '127.0.0.1', port: sink.port };
  const result = await submit(systemNet(), { listener, from: 'a@b', to: 'c@d', content }, (side, line) => {
    shown.push(`${side}: ${line}`);
  });
  expect(result).toEqual({ kind: 'accepted', reply: '250 2.0.0 taken' });
  expect(new Uint8Array(contents.get('c@d')![0]!)).toEqual(content);
  expect(shown).toContain('C: MAIL FROM:<a@b> BODY=8BITMIME');
  expect(shown[0]).toBe('S: 220 sink.test ESMTP');
  expect(shown.at(-1)).toBe('S: 221 2.0.0 bye');
});

test('a refusal, a hang-up and a closed port are results, not exceptions', async () => {
  const verdicts = new Map<string, Verdict>([
    ['no@d', { reply: '550 5.1.1 no' }],
    ['bye@d', 'hangUp'],
  ]);
  sink = await Sink.start({ receptions: [], judge: (_, recipient) => verdicts.get(recipient) });
  const listener = { address: '127.0.0.1', port: sink.port };
  const to = (recipient: string): Promise<unknown> =>
    submit(systemNet(), { listener, from: 'a@b', to: recipient, content: bytes('x\r\n') }, () => {});
  expect(await to('no@d')).toEqual({ kind: 'refused', reply: '550 5.1.1 no' });
  expect(await to('bye@d')).toEqual({ kind: 'unreachable', code: 'CLOSED' });
  await sink.stop();
  expect(await to('c@d')).toEqual({ kind: 'unreachable', code: 'ECONNREFUSED' });
});

test('the tail of the accounting is what came since, across half lines and new files', async () => {
  const path = join(folder, 'acct.csv');
  const first = join(folder, 'acct-2026-11-23-0000.csv');
  const second = join(folder, 'acct-2026-11-23-0001.csv');
  await writeFile(first, 'type,rcpt,vmta\r\nd,old@x,\r\n');
  const tail = await AccountingTail.start([path]);
  expect(await tail.read()).toEqual([]);
  await appendFile(first, 'd,new@x,"a ""b"""\r\nt,ha');
  const rows = await tail.read();
  expect(rows).toHaveLength(1);
  expect(valueIn(rows[0]!, 'rcpt')).toBe('new@x');
  expect(valueIn(rows[0]!, 'vmta')).toBe('a "b"');
  await appendFile(first, 'lf@x,\r\n');
  await writeFile(second, 'type,rcpt,vmta\r\nb,next@x,\r\n');
  expect((await tail.read()).map((row) => valueIn(row, 'rcpt'))).toEqual(['half@x', 'next@x']);
});

const configText = (relayTo: string): string => `postmaster a@x.test
host-name x.test
smtp-listener 0.0.0.0:2525
<source ${relayTo}>
  always-allow-relaying yes
</source>
<virtual-mta v>
  smtp-source-host 192.0.2.1 v.x.test
</virtual-mta>
<domain *>
  smtp-hosts [192.0.2.9]:25
</domain>
`;

async function typed(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    dim: (text) => text,
  };
  const code = await runProgram(argv, io, '1.2.3');
  return { code, out: out.join('\n'), err: err.join('\n') };
}

test.each([
  [['--version'], 0],
  [['--help'], 0],
  [['send', '--help'], 0],
  [[], 64],
  [['fly'], 64],
  [['queue'], 64],
  [['status', '--wings'], 64],
  [['check'], 64],
  [['send'], 64],
  [['send', '--to', 'a@b>\r\nRSET'], 64],
  [['send', '--to', 'a@b', '--listener', '99999'], 64],
  [['send', '--to', 'a@b', '--wait', 'long'], 64],
  [['send', '--to', 'a@b', '--wait', ''], 64],
  [['send', '--to', 'a@b', '--wait', '0x10'], 64],
  [['check', ''], 64],
  [['status', '--socket', ''], 64],
  [['status', '--config', ''], 64],
  [['check', 'x', '--config', 'y'], 64],
  [['check', 'x', '--socket', 'y'], 64],
  [['run', '--socket', 'y'], 64],
  [['status', '--config', 'x', '--socket', 'y'], 64],
  [['spool'], 64],
  [['spool', 'export'], 64],
  [['spool', 'export', '/none', '--id', 'x'], 64],
  [['spool', 'verify', '--config', 'x', '--folder', 'y'], 64],
  [['spool', 'verify', '--folder', '/none'], 2],
  [['spool', 'quarantine', 'release'], 64],
  [['spool', 'quarantine', 'release', ''], 64],
  [['spool', 'quarantine', 'release', 'x'], 64],
  [['spool', 'quarantine', 'release', '1.1', '--all'], 64],
  [['spool', 'quarantine', 'release', '--all', '--socket', '/none.sock'], 4],
  [['spool', 'quarantine', 'list', '--socket', '/none.sock'], 4],
])('penstock %j exits %d', async (argv, code) => {
  expect((await typed(...argv)).code).toBe(code);
});

test('check passes a sound configuration and prints the theorem', async () => {
  const file = join(folder, 'config');
  await writeFile(file, configText('10.0.0.0/8'));
  const { code, out } = await typed('check', file);
  expect(code).toBe(0);
  expect(out).toContain('0.0.0.0:2525');
  const report = JSON.parse((await typed('check', file, '--json')).out) as Record<string, unknown>;
  expect(report).toMatchObject({ schema: 'penstock.check/1', errors: 0 });
});

test('an open relay is refused by check and by run', async () => {
  const file = join(folder, 'config');
  await writeFile(file, configText('0/0'));
  const checked = await typed('check', file);
  expect(checked.code).toBe(2);
  expect(checked.out).toContain('E-OPEN-RELAY');
  const run = await typed('run', '--config', file);
  expect(run.code).toBe(2);
  expect(run.err).toContain('E-OPEN-RELAY');
  expect(run.err).toContain('is not started');
});

test('without a daemon the verbs say so, and how to start one', async () => {
  const { code, err } = await typed('status', '--socket', join(folder, 'none.sock'));
  expect(code).toBe(4);
  expect(err).toContain('penstock run');
});

test.each([
  [['status', '--socket', '/none.sock'], { verb: 'status', exit: 4, code: 'ENOENT' }],
  [['queue', 'list', '--socket', '/none.sock'], { verb: 'queue list', exit: 4, code: 'ENOENT' }],
  [['stop', '--config', '/none'], { verb: 'stop', exit: 2, code: 'configuration' }],
  [['send', '--to', 'nobody'], { verb: 'send', exit: 64, code: 'usage' }],
  [['send', '--to', 'a@b', '--file', '/none'], { verb: 'send', exit: 2, code: 'ENOENT' }],
  [['status', '--wings'], { verb: '', exit: 64, code: 'usage', message: "unknown option '--wings'" }],
  [['queue'], { verb: '', exit: 64, code: 'usage', message: "unknown option '--json'" }],
])('the error of penstock %j --json is an object on stdout, and is said on stderr', async (argv, error) => {
  const { code, out, err } = await typed(...argv, '--json');
  const said = JSON.parse(out) as Record<string, unknown>;
  expect(said).toMatchObject({ schema: 'penstock.error/1', message: expect.any(String), ...error });
  expect(said.exit).toBe(code);
  expect(err).not.toBe('');
});

test('a configuration that keeps run from starting is in the error object, finding by finding', async () => {
  const file = join(folder, 'config');
  await writeFile(file, configText('0/0'));
  const { out } = await typed('run', '--config', file, '--json');
  const findings = expect.arrayContaining([expect.objectContaining({ code: 'E-OPEN-RELAY' })]);
  expect(JSON.parse(out)).toMatchObject({ schema: 'penstock.error/1', exit: 2, findings });
});

const engine: EngineStateReport = {
  name: 'engine-1',
  state: 'running',
  pid: 4711,
  sinceMs: 1000,
  waitsFor: undefined,
  restartInMs: undefined,
  deaths: 0,
  diedOf: undefined,
  reportedMs: 31_000,
};

test.each<[Partial<EngineStateReport>, string]>([
  [{}, 'running, pid 4711, up 1m 0s'],
  [
    { deaths: 2, diedOf: 'killed by SIGKILL' },
    'running, pid 4711, up 1m 0s; died 2 times, of: killed by SIGKILL',
  ],
  [{ state: 'starting', waitsFor: 'waits for x' }, 'starting since 1m 0s, pid 4711: waits for x'],
  [
    { state: 'restarting', pid: undefined, restartInMs: 1001, deaths: 1, diedOf: 'no disk' },
    'restarting in 2s; died once, of: no disk',
  ],
  [{ state: 'notAnswering' }, 'not answering since 1m 0s, pid 4711'],
  [{ state: 'draining' }, 'draining, pid 4711: not configured any more, only delivers'],
])('an engine %j reads "%s"', (state, text) => {
  expect(engineText({ ...engine, ...state }, 61_000)).toBe(text);
});

const daemonStatus: StatusReport = {
  schema: 'penstock.status/1',
  version: '1.2.3',
  pid: 4710,
  startedMs: 0,
  uptimeMs: 61_000,
  configFile: `/etc/${'long/'.repeat(20)}config`,
  durability: 'sync',
  engines: [
    engine,
    {
      ...engine,
      name: 'engine-2',
      state: 'restarting',
      deaths: 3,
      diedOf: `EACCES: ${'very '.repeat(20)}denied`,
    },
    { ...engine, name: 'engine-3', state: 'starting', reportedMs: undefined },
  ],
  listeners: [
    {
      address: '2001:db8::1',
      port: 2525,
      connections: 9,
      acceptedTotal: 1e9,
      refusedTotal: 1e9,
      messagesTotal: 1e9,
    },
  ],
  spool: {
    folder: '/var/spool/penstock',
    messages: 1e9,
    recipients: 1e9,
    held: 1e9,
    segments: 1,
    unsyncedOutcomes: 0,
    isFull: false,
  },
  queues: {
    queues: 1e6,
    recipients: 1e9,
    pauseRules: ['*/*'],
    deliveredTotal: 1e9,
    failedTotal: 1e9,
    deferredTotal: 1e9,
  },
  outgoingConnections: 1000,
  acctFiles: [{ path: `/var/${'log/'.repeat(30)}acct.csv` }],
};

test('status fits 80 columns, and says of whom its numbers are old or missing', () => {
  const lines = statusLines(daemonStatus);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.slice(-2)).toEqual([
    'note:          of engine-2 the numbers are 30s old',
    'note:          engine-3 has told nothing yet: what it holds is not counted',
  ]);
});

test('a long queue name and a long reply break no line of the table', () => {
  const queue = {
    ...sampleQueue,
    recipients: 1e7,
    inDelivery: 1000,
    connections: 1000,
    connectionsMax: 1000,
  };
  const names = [`${'a-long-label.'.repeat(6)}test/mta1`, 'the-longest.beside.numbers.test/m'];
  const queues = names.map((name) => ({ ...queue, name, nextTryMs: 86_400_000, lastError: '4'.repeat(300) }));
  const lines = queueLines({ queues, total: 2, totalRecipients: 2e7, pauseRules: [] }, 0);
  expect(lines.filter((line) => line.length > 80 && !names.includes(line))).toEqual([]);
  expect(lines[1]).toBe(names[0]);
  expect(lines[3]).toMatch(/4\.\.\.$/);
});

const noQueues = {
  schema: 'penstock.queueList/1',
  total: 0,
  totalRecipients: 0,
  queues: [],
  pauseRules: [],
};

test('while an engine does not answer, status and queue list say so and exit with 3', async () => {
  const path = join(folder, 'c.sock');
  const down = { ...engine, state: 'restarting', restartInMs: 4000, deaths: 1, diedOf: 'killed by SIGKILL' };
  const server = await serveControl(
    path,
    new Map<string, ControlHandler>([
      ['status', () => ({ ...daemonStatus, engines: [down] })],
      ['queue.list', () => ({ ...noQueues, unanswered: [down] })],
    ]),
  );
  const status = await typed('status', '--socket', path);
  expect(status).toMatchObject({ code: 3, out: expect.stringContaining('restarting in 4s') });
  const list = await typed('queue', 'list', '--socket', path);
  expect(list).toMatchObject({ code: 3, out: '', err: expect.stringContaining('engine-1 did not answer') });
  expect((await typed('queue', 'list', '--json', '--socket', path)).code).toBe(3);
  await server.close();
});

test('a list of what is held fits 80 columns, and says what is not shown', () => {
  const messages = [
    {
      engine: 'engine-1',
      id: '1f.2a9',
      vmta: 'v',
      timeQueuedMs: 0,
      recipients: 1e6,
      heldFor: ['damaged', 'doubtful'],
      domains: Array.from({ length: 10 }, (_, i) => `the-domain-${i}.test`),
    },
    {
      engine: 'engine-2',
      id: '1.1',
      vmta: 'v',
      timeQueuedMs: undefined,
      recipients: 1,
      heldFor: ['deadly'],
      domains: [],
    },
  ];
  const report = {
    schema: 'penstock.quarantineList/1',
    isRunning: true,
    total: 7,
    messages,
    unanswered: [],
  } as const;
  const lines = quarantineLines(report, 61_000);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines[1]).toMatch(
    /^engine-1 +1f\.2a9 +1000000 +damaged doubtful +1m 1s ago +the-domain-0\.test\.\.\.$/,
  );
  expect(lines.at(-1)).toBe('... and 5 more');
  const nothing = { ...report, isRunning: false, total: 0, messages: [] };
  expect(quarantineLines(nothing, 0)).toEqual([
    'No daemon runs: this is what the spool says.',
    'Nothing is held.',
  ]);
});

const at = { segment: 1, at: 67_108_864, sizeBytes: 4_194_304 };
test.each<DamageReport>([
  { kind: 'header', segment: 1, isReadable: false },
  { kind: 'segment', segment: 1 },
  { kind: 'footer', segment: 1 },
  { kind: 'records', ...at, messages: 1000, notes: 1000 },
  { kind: 'content', ...at, id: 'ffffffff.ffffffffffff', isOwed: true },
  { kind: 'message', segment: 1, id: '1.1' },
  { kind: 'cutShort', segment: 1, through: { epoch: 1e9, batch: 1e9 } },
])('damage %j is said within 80 columns, and where it is', (damage) => {
  const engine = {
    engine: 'engine-1',
    folder: '/var/spool/engine-1',
    isRunning: true,
    segments: [
      {
        segment: 1e8,
        version: 2,
        sizeBytes: 1e9,
        isOnChain: true,
        epoch: 1e9,
        batches: 1e9,
        lastBatch: 1e9,
        droppedBatches: 3,
        hasFooter: true,
      },
    ],
    messages: 1e9,
    recipients: 1e9,
    held: { damaged: 1, deadly: 0, doubtful: 2 },
    contentFiles: { owed: 1, orphaned: 1 },
    damages: [damage],
  };
  const lines = verifyLines({ schema: 'penstock.spoolVerify/1', damages: 1, engines: [engine] });
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.join('\n')).toContain('00000001.segment');
  expect(lines.join('\n')).toContain('1 damaged, 2 doubtful');
  expect(lines.at(-1)).toBe('1 damage.');
});

test('a daemon that has no engine yet has an unknown list of queues, not an empty one', async () => {
  const path = join(folder, 'c.sock');
  const starting = new ControlRefusal('STARTING', 'it has no engine yet');
  const server = await serveControl(path, new Map([['queue.list', () => starting]]));
  expect((await typed('queue', 'list', '--socket', path)).code).toBe(3);
  await server.close();
});

test('status, queue list and stop print what the daemon answers, as text or as its JSON', async () => {
  const path = join(folder, 'c.sock');
  const queues = { ...noQueues, unanswered: [] };
  const server = await serveControl(path, new Map([['queue.list', () => queues]]));
  expect(await typed('queue', 'list', '--socket', path)).toMatchObject({
    code: 0,
    out: 'No queue holds mail.',
  });
  expect(JSON.parse((await typed('queue', 'list', '--json', '--socket', path)).out)).toEqual(queues);
  expect(await typed('queue', 'list', '--quiet', '--socket', path)).toMatchObject({ code: 0, out: '' });
  expect((await typed('status', '--socket', path)).err).toContain('UNKNOWN_VERB');
  await server.close();
});

test('what a queue waits for and its settings fit 80 columns, and each still ends in its line', () => {
  const where = `/etc/${'very-long-folder/'.repeat(6)}config:1234`;
  const hold = { limit: 'backoff-max-connect-rate', scope: 'queue', address: undefined, where };
  const holds = [
    { ...hold, value: '10000/365d', untilMs: 86_400_000 * 400 },
    {
      ...hold,
      scope: 'address',
      address: '2001:db8:1234:5678:9abc:def0:1234:5678',
      value: '',
      untilMs: undefined,
    },
  ];
  const why = whyQueueLines({ queues: [{ ...sampleQueue, lastError: '4'.repeat(300), holds }] }, 0);
  const settings = settingLines([{ directive: 'smtp-out-rampup-interval', value: '1h,'.repeat(40), where }]);
  const lines = [...why, ...settings];
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.filter((line) => line.endsWith('config:1234'))).toHaveLength(3);
});

test('a message tells of each recipient what it waits for', () => {
  const recipient = { queue: 'a.test/v', attempts: 2, nextTryMs: undefined, heldFor: '', lastError: '' };
  const lines = whyMessageLines(
    {
      id: '1.2',
      messages: [
        {
          engine: 'engine-1',
          orig: '',
          vmta: 'v',
          timeQueuedMs: 0,
          recipientsTotal: 5,
          recipients: [
            { ...recipient, rcpt: 'a@a.test', nextTryMs: 61_000, lastError: '450 later' },
            { ...recipient, rcpt: 'b@a.test', heldFor: 'deleted' },
          ],
        },
      ],
    },
    0,
  );
  expect(lines.slice(-6)).toEqual([
    'a@a.test',
    '  next try in 1m 1s, 2 attempts, in a.test/v',
    '  450 later',
    'b@a.test',
    '  held: deleted, 2 attempts, in a.test/v',
    '... and 3 more',
  ]);
});

test.each([
  ['90x'],
  ['4'],
  ['h'],
])('queue delete --older-than %s is a command line not understood', async (interval) => {
  const typedCommand = ['queue', 'delete', 'a.test', '--older-than', interval, '--socket', '/none.sock'];
  expect(await typed(...typedCommand)).toMatchObject({ code: 64 });
});
