import { expect, test } from 'vitest';
import { Agenda } from './agenda.ts';
import { type InjectorBehaviour, politeInjector } from './injectorBehaviour.ts';
import { InjectorModel, type InjectorSetup } from './injectorModel.ts';
import { perfectNet } from './netFaults.ts';
import { Receiver } from './receiver.ts';
import { friendlyReceiver, type ReceiverBehaviour } from './receiverBehaviour.ts';
import { SeededRandom } from './seededRandom.ts';
import { SimulatedNet } from './simulatedNet.ts';

/** Injectors against a modelled receiver: each judges the other. */
function world(
  behaviour: Partial<InjectorBehaviour> = {},
  server: Partial<ReceiverBehaviour> = {},
  setup: Partial<InjectorSetup> = {},
) {
  const random = new SeededRandom(5);
  const agenda = new Agenda(random);
  const net = new SimulatedNet(agenda, random);
  net.faults = { ...perfectNet, latencyMs: 20, splitRate: 0.2, slowRate: 0.05, slowMs: 500 };
  const common = { agenda, random, net };
  const receiver = new Receiver({
    ...common,
    name: 'server',
    addresses: ['192.0.2.25'],
    port: 25,
    behaviour: { ...friendlyReceiver, ...server },
  });
  const injector = new InjectorModel({
    ...common,
    to: receiver.at[0]!,
    addresses: ['192.0.2.1', '192.0.2.2'],
    domains: ['a.test', 'b.test'],
    mark: 'm',
    messages: 60,
    connections: 3,
    maxRecipients: 4,
    pauseMs: 1_000,
    behaviour: { ...politeInjector, ...behaviour },
    ...setup,
  });
  void receiver.start();
  injector.start();
  const run = (): void => {
    while (!injector.isDone && agenda.step());
  };
  return { agenda, net, receiver, injector, run };
}

/** Both sides' notes of what was delivered, comparable. */
function delivered({ injector, receiver }: ReturnType<typeof world>) {
  const told = injector.submissions.filter((note) => note.told === 'stored');
  const text = ({ recipient, contentHash }: { recipient: string; contentHash: string }): string =>
    `${recipient} ${contentHash}`;
  return {
    told: told.map(text).sort(),
    taken: receiver.receptions
      .filter((note) => note.isAccepted)
      .map(text)
      .sort(),
  };
}

test('what a polite client was told is what the server has, and neither broke the protocol', () => {
  const there = world({ largeRate: 0.03 });
  there.run();
  const { told, taken } = delivered(there);
  const { injector, receiver } = there;
  expect([injector.stored, injector.isDone]).toEqual([60, true]);
  expect(told).toEqual(taken);
  expect([...injector.violations, ...receiver.violations]).toEqual([]);
  expect(new Set(injector.submissions.map(({ recipient }) => recipient)).size).toBe(
    injector.submissions.length,
  );
  expect(new Set(injector.submissions.map(({ clientAddress }) => clientAddress)).size).toBe(2);
});

test('sizes reach from nothing to more than a mebibyte', () => {
  const { injector, run } = world({ largeRate: 0.05 }, {}, { messages: 150 });
  run();
  const sizes = injector.submissions.map(({ sizeBytes }) => sizeBytes);
  expect(sizes).toContain(0);
  expect(Math.max(...sizes)).toBeGreaterThan(1024 * 1024);
});

test('a message that was refused is submitted again under other addresses', () => {
  const there = world(
    {},
    { refuseRate: 0.4, atDotRate: 0.5, troubles: [{ at: 'mail', how: 'defer', rate: 0.2 }] },
  );
  there.run();
  const { injector, receiver } = there;
  expect(injector.stored).toBe(60);
  const refused = injector.submissions.filter(({ told }) => told === 'refused');
  expect(refused.length).toBeGreaterThan(20);
  expect(refused.some(({ dotMs }) => dotMs === undefined)).toBe(true);
  expect(refused.some(({ dotMs }) => dotMs !== undefined)).toBe(true);
  expect(delivered(there).told).toEqual(delivered(there).taken);
  expect(receiver.violations).toEqual([]);
});

test('a content whose end was not written never comes whole', () => {
  const there = world({ abortRate: 0.5 });
  there.run();
  const { injector, receiver } = there;
  const aborted = injector.submissions.filter(({ dotMs }) => dotMs === undefined);
  expect(aborted.length).toBeGreaterThan(20);
  expect(aborted.every(({ told }) => told === 'refused')).toBe(true);
  const known = new Set(receiver.receptions.map(({ recipient }) => recipient));
  expect(aborted.filter(({ recipient }) => known.has(recipient))).toEqual([]);
});

test('a client that vanished does not know, and the server may have the message', () => {
  const { injector, receiver, run } = world({ vanishRate: 0.7 });
  run();
  const unanswered = injector.submissions.filter(({ told }) => told === 'unanswered');
  expect(unanswered.every(({ dotMs }) => dotMs !== undefined)).toBe(true);
  const known = new Set(receiver.receptions.map(({ recipient }) => recipient));
  const kept = unanswered.filter(({ recipient }) => known.has(recipient)).length;
  expect(kept).toBeGreaterThan(0);
  expect(kept).toBeLessThan(unanswered.length);
});

test('resets and half closed connections leave nothing in doubt', () => {
  const there = world({ resetRate: 0.4, halfCloseRate: 0.4 });
  there.run();
  const { told, taken } = delivered(there);
  // The server hangs up on FIN, maybe before the reply.
  expect(taken).toEqual(expect.arrayContaining(told));
  expect(there.injector.stored).toBe(60);
  expect(there.injector.faultCount).toBeGreaterThan(40);
  expect(there.receiver.violations).toEqual([]);
});

test('clients come back when the server was down', () => {
  const { agenda, net, injector, receiver, run } = world();
  net.partition('192.0.2.1', '192.0.2.25');
  net.faults = { ...net.faults, refuseRate: 1 };
  agenda.after(600_000, () => {
    net.heal();
    net.faults = perfectNet;
  });
  run();
  expect(injector.stored).toBe(60);
  expect(receiver.receptions.every(({ atMs }) => atMs >= 600_000)).toBe(true);
});

test('a server that hangs up, falls silent and says 421 at every stage is survived', () => {
  const stages = ['greeting', 'ehlo', 'mail', 'rcpt', 'data', 'content', 'dot', 'taken', 'quit'] as const;
  const ways = ['close', 'silence', 'hangUp', 'reset'] as const;
  const troubles = stages.flatMap((at) => ways.map((how) => ({ at, how, rate: 0.015 })));
  const there = world({}, { troubles, oddReplyRate: 0.3, tarpitMs: 200 });
  there.run();
  const { injector, receiver } = there;
  expect(injector.stored).toBe(60);
  const accepted = new Set(delivered(there).taken);
  for (const note of delivered(there).told) expect(accepted).toContain(note);
  expect([...injector.violations, ...receiver.violations]).toEqual([]);
});

test('a server that refuses everything is left in the end', () => {
  const { injector, run, agenda } = world({}, { refuseRate: 1 }, { messages: 5 });
  run();
  expect([injector.isDone, injector.stored]).toEqual([true, 0]);
  expect(agenda.steps).toBeLessThan(100_000);
});

test('after stop nothing begins and what is under way is finished', () => {
  const { agenda, injector, receiver, run } = world();
  while (receiver.receptions.length < 10) agenda.step();
  injector.stop();
  run();
  expect(injector.isDone).toBe(true);
  expect(injector.stored).toBeLessThan(20);
});
