import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askControl } from './client.ts';
import { controlSocketPath } from './controlSocket.ts';
import { linesOf } from './lines.ts';
import { type ControlHandler, type ControlServer, serveControl } from './server.ts';
import { ControlRefusal } from './wire.ts';

let folder: string;
let path: string;
const running: (ControlServer | Socket)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-control-'));
  path = join(folder, 'penstock.sock');
});
afterEach(async () => {
  for (const one of running.splice(0)) await ('close' in one ? one.close() : one.destroy());
  await rm(folder, { recursive: true });
});

const handlers = new Map<string, ControlHandler>([
  ['status', () => ({ pid: 7 })],
  ['echo', async (options) => options],
  ['refuse', () => new ControlRefusal('BUSY', 'later')],
  ['break', () => Promise.reject(new Error('broken'))],
  [
    'count',
    async function* ({ to }) {
      for (let i = 1; i <= Number(to); i++) yield i;
    },
  ],
]);

async function serve(): Promise<ControlServer> {
  const server = await serveControl(path, handlers);
  running.push(server);
  return server;
}

async function say(...lines: string[]): Promise<AsyncGenerator<string, boolean>> {
  const socket = createConnection(path);
  running.push(socket);
  socket.write(lines.join(''));
  return linesOf(socket);
}

const request = (verb: string): string => `{"schema":"penstock.control/1","verb":"${verb}"}\n`;

test('a verb is answered with what its handler gives, whole or item by item', async () => {
  await serve();
  expect(await askControl(path, 'status')).toEqual({ kind: 'answered', result: { pid: 7 } });
  expect(await askControl(path, 'echo', { a: 'ü\n' })).toEqual({ kind: 'answered', result: { a: 'ü\n' } });
  expect(await askControl(path, 'count', { to: 3 })).toEqual({ kind: 'answered', result: [1, 2, 3] });
});

test('an unknown verb, a refusal and a broken handler are values with codes', async () => {
  await serve();
  expect(await askControl(path, 'fly')).toMatchObject({ kind: 'refused', error: { code: 'UNKNOWN_VERB' } });
  expect(await askControl(path, 'refuse')).toEqual({
    kind: 'refused',
    error: { code: 'BUSY', message: 'later' },
  });
  expect(await askControl(path, 'break')).toEqual({
    kind: 'refused',
    error: { code: 'FAILED', message: 'broken' },
  });
});

test('one connection asks many things and gets the answers in order, nonsense included', async () => {
  await serve();
  const lines = await say(request('status'), 'nonsense\n', '[]\n', request('refuse'), request('status'));
  const answers: unknown[] = [];
  for (let i = 0; i < 5; i++) answers.push(JSON.parse((await lines.next()).value as string));
  expect(answers).toMatchObject([
    { result: { pid: 7 } },
    { error: { code: 'BAD_REQUEST' } },
    { error: { code: 'BAD_REQUEST' } },
    { error: { code: 'BUSY' } },
    { result: { pid: 7 } },
  ]);
});

test('a request without end is refused before it fills the memory', async () => {
  await serve();
  const lines = await say('x'.repeat(70_000));
  expect(JSON.parse((await lines.next()).value as string)).toMatchObject({
    error: { code: 'LINE_TOO_LONG' },
  });
  expect(await lines.next()).toMatchObject({ done: true });
});

test('a client that ends its side after asking still gets its answer', async () => {
  await serve();
  const socket = createConnection(path);
  running.push(socket);
  socket.end(request('status'));
  expect(JSON.parse((await linesOf(socket).next()).value as string)).toMatchObject({ result: { pid: 7 } });
});

test('only the owner may open the socket', async () => {
  await serve();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('no daemon, a closed one and a file in its place are told apart from a daemon', async () => {
  expect(await askControl(path, 'status')).toEqual({ kind: 'unreachable', code: 'ENOENT' });
  const server = await serve();
  await server.close();
  running.length = 0;
  expect(await askControl(path, 'status')).toMatchObject({ kind: 'unreachable' });
  await writeFile(path, '');
  expect(await askControl(path, 'status')).toEqual({ kind: 'unreachable', code: 'ECONNREFUSED' });
  expect(await askControl(path.repeat(9), 'status')).toMatchObject({ kind: 'unreachable' });
});

test('what a dead daemon left is replaced, a living one is not', async () => {
  await writeFile(path, '');
  await serve();
  await expect(serveControl(path, handlers)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(await askControl(path, 'status')).toMatchObject({ kind: 'answered' });
});

const spoolAt = (spool: string): Parameters<typeof controlSocketPath>[0] => ({
  spools: [{ value: spool, origin: undefined }],
});

test('the socket lies beside the spool', () => {
  expect(controlSocketPath(spoolAt('/var/spool/penstock/'))).toEqual({
    path: '/var/spool/penstock.sock',
    notice: undefined,
  });
});

test('a path too long for a socket gets a short one of its own, announced, that works', async () => {
  const deep = join(folder, 'd'.repeat(100));
  await mkdir(deep);
  const { path: short, notice } = controlSocketPath(spoolAt(join(deep, 'spool')));
  expect(Buffer.byteLength(short)).toBeLessThanOrEqual(107);
  expect(notice).toContain(short);
  expect(short).not.toBe(controlSocketPath(spoolAt(join(deep, 'other'))).path);
  running.push(await serveControl(short, handlers));
  expect(await askControl(short, 'status')).toMatchObject({ kind: 'answered' });
});
