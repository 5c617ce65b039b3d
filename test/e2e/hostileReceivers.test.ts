import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { misdeeds, shortTimeouts } from '../ledger/misdeeds.ts';
import { Sink } from '../ledger/sink.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

test('receivers that misbehave cost one try; mail for others flows, and theirs arrives when they behave', async () => {
  const names = Object.keys(misdeeds);
  const ports = await freePorts(names.length);
  const scene = await Scene.begin({
    domainLines: shortTimeouts,
    extra: names.map((name, i) => domainBlock(name, ports[i]!, linesOf[name] ?? [])).join('\n'),
  });
  const sinks: Sink[] = [];
  for (const [i, name] of names.entries()) {
    const sink = await Sink.start({
      port: ports[i]!,
      receptions: scene.ledger.receptions,
      takesOver: (socket, nth) => {
        if (nth > 0) return false;
        socket.on('error', () => {});
        misdeeds[name]!.act(socket);
        return true;
      },
    });
    onTestFinished(() => sink.stop());
    sinks.push(sink);
  }
  // More than the kernels of both sides hold for each other.
  const long = Buffer.from(`Subject: long\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(200_000)}`);
  for (const name of names) {
    const to = [`first@${name}.test`];
    await submit(
      scene.ledger.submissions,
      scene.port,
      name === 'stops-reading' ? { to, content: long } : { to },
    );
  }
  const honest = scene.inject({ messages: 200 });
  await honest.done;
  const isThrough = (): boolean => scene.ledger.receptions.length >= 200;
  expect(await waitUntil(isThrough, 5_000)).toBe(true);
  expect(await scene.settle()).toEqual([]);
  const told = await Promise.all(
    names.map(async (name) => [name, (await scene.rowsOf(`first@${name}.test`)).map(({ type }) => type)]),
  );
  expect(told).toEqual(names.map((name) => [name, rowTypes[misdeeds[name]!.outcome]]));
  // Each met its first client and a few more, not a storm.
  for (const [i, sink] of sinks.entries())
    expect([names[i], sink.messages.length < 8]).toEqual([names[i], true]);
});

/** What its domain says beside the time-outs. */
const linesOf: Readonly<Record<string, readonly string[]>> = {
  // The good receiver that comes after it needs its time for a long message.
  'stops-reading': ['smtp-data-termination-timeout 20s'],
  // Otherwise the message bounces.
  'refused-554': ['bounce-upon-5xx-greeting no'],
};

function domainBlock(name: string, port: number, lines: readonly string[]): string {
  return [`<domain ${name}.test>`, `smtp-hosts [127.0.0.1]:${port}`, ...lines, '</domain>'].join('\n');
}

const rowTypes = { queueWaits: ['d'], deferred: ['t', 'd'], delivered: ['d'] };

test('a receiver that reads slowly gets a large message, however long it takes beyond data-send-timeout', async () => {
  const [port] = await freePorts(1);
  const scene = await Scene.begin({ sinkPort: port!, domainLines: ['data-send-timeout 2s'] });
  const sink = await Sink.start({
    port: port!,
    receptions: scene.ledger.receptions,
    // Some 4 MB a second: the whole of it takes twice the time-out.
    takesOver: (socket) => {
      socket.on('data', () => {
        socket.pause();
        setTimeout(() => socket.resume(), 15);
      });
      return false;
    },
  });
  onTestFinished(() => sink.stop());
  const content = Buffer.from(`Subject: long\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(200_000)}`);
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'], content });
  expect(await scene.settle()).toEqual([]);
  expect((await scene.rowsOf('a@sink.test')).map(({ type }) => type)).toEqual(['d']);
});

test('a receiver that says 250 before it has read the message has not got it', async () => {
  const [port] = await freePorts(1);
  const scene = await Scene.begin({ sinkPort: port! });
  let early = 0;
  const sink = await Sink.start({
    port: port!,
    receptions: scene.ledger.receptions,
    takesOver: (socket, nth) => {
      if (nth > 0) return false;
      socket.on('error', () => {});
      dialogue(
        socket,
        () => {},
        () =>
          socket.once('data', () => {
            socket.pause();
            socket.write('250 2.0.0 taken, surely\r\n');
            early++;
          }),
      );
      return true;
    },
  });
  onTestFinished(() => sink.stop());
  const content = Buffer.from(`Subject: long\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(200_000)}`);
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'], content });
  expect(await scene.settle()).toEqual([]);
  const rows = await scene.rowsOf('a@sink.test');
  expect(rows.map(({ type }) => type)).toEqual(['t', 'd']);
  expect(early).toBe(1);
});

/** A receiver like any other up to the final dot. */
function dialogue(socket: Socket, afterDot: () => void, afterData: () => void = () => {}): void {
  socket.write('220 sink.test\r\n');
  let text = '';
  let inContent = false;
  socket.on('data', (data) => {
    text += data.toString('latin1');
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (inContent) {
        if (line === '.') afterDot();
      } else if (line === 'DATA') {
        inContent = true;
        socket.write('354 go on\r\n');
        afterData();
      } else socket.write('250 ok\r\n');
    }
  });
}
