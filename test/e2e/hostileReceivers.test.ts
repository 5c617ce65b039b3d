import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { Sink } from '../ledger/sink.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

/** What a receiver does to its first client; later ones meet a good one. */
const misdeeds: Readonly<Record<string, (socket: Socket) => void>> = {
  silent: () => {},
  resets: (socket) => socket.resetAndDestroy(),
  'hangs-up': (socket) => socket.end(),
  'endless-banner': (socket) => flood(socket, '220-welcome, and welcome again\r\n'),
  'endless-line': (socket) => flood(socket, '220 welcome and '.repeat(100)),
  noise: (socket) => void socket.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 89) % 256))),
  'busy-421': (socket) => void socket.end('421 4.3.2 too busy\r\n'),
  'refused-554': (socket) => void socket.end('554 5.7.1 go away\r\n'),
  'answers-twice': (socket) => {
    socket.write('220 a\r\n220 b\r\n');
    socket.on('data', () => socket.write('250 ok\r\n250 and ok\r\n'));
  },
  'silent-after-dot': (socket) => dialogue(socket, () => {}),
  'hangs-up-after-dot': (socket) => dialogue(socket, () => socket.destroy()),
  'noise-after-dot': (socket) => dialogue(socket, () => socket.write('\0\0 what was that?\r\n')),
};

test('receivers that misbehave cost one try; mail for others flows, and theirs arrives when they behave', async () => {
  const names = Object.keys(misdeeds);
  const ports = await freePorts(names.length);
  const scene = await Scene.begin({
    domainLines: [
      'smtp-greeting-timeout 1s',
      'smtp-data-termination-timeout 1s',
      'smtp-multiple-line-response-timeout 1s',
    ],
    extra: names
      .map((name, i) => `<domain ${name}.test>\n  smtp-hosts [127.0.0.1]:${ports[i]}\n</domain>`)
      .join('\n'),
  });
  const sinks: Sink[] = [];
  for (const [i, name] of names.entries()) {
    const sink = await Sink.start({
      port: ports[i]!,
      receptions: scene.ledger.receptions,
      takesOver: (socket, nth) => {
        if (nth > 0) return false;
        socket.on('error', () => {});
        misdeeds[name]!(socket);
        return true;
      },
    });
    onTestFinished(() => sink.stop());
    sinks.push(sink);
  }
  const to = names.map((name) => `first@${name}.test`);
  await submit(scene.ledger.submissions, scene.port, { to });
  const honest = scene.inject({ messages: 200 });
  await honest.done;
  const isThrough = (): boolean => scene.ledger.receptions.length >= 200;
  expect(await waitUntil(isThrough, 5_000)).toBe(true);
  expect(await scene.settle()).toEqual([]);
  // Each met its first client and a few more, not a storm.
  for (const [i, sink] of sinks.entries())
    expect([names[i], sink.messages.length < 8]).toEqual([names[i], true]);
});

test('a receiver that stops reading in the middle of a message is given up after data-send-timeout', async () => {
  const [port] = await freePorts(1);
  const scene = await Scene.begin({ sinkPort: port!, domainLines: ['data-send-timeout 1s'] });
  const sink = await Sink.start({
    port: port!,
    receptions: scene.ledger.receptions,
    takesOver: (socket, nth) => {
      if (nth > 0) return false;
      socket.on('error', () => {});
      dialogue(
        socket,
        () => {},
        () => socket.pause(),
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

/** Writes for as long as the other side takes it. */
function flood(socket: Socket, text: string): void {
  const pour = (): void => {
    if (!socket.destroyed && socket.writable) socket.write(text, () => setImmediate(pour));
  };
  pour();
}

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
