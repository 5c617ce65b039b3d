import { once } from 'node:events';
import { chmod, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { linesOf } from './lines.ts';
import { type ControlError, ControlRefusal, controlSchema, parseRequest } from './wire.ts';

/** Gives the answer as a JSON value, or item by item as an async iterable. Or a ControlRefusal. */
export type ControlHandler = (options: Readonly<Record<string, unknown>>) => unknown;

export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

/** A request is short; answers may be long. */
const requestMaxBytes = 64 << 10;

/**
 * Serves control on a Unix socket that only this user may open. A socket left by a dead daemon is
 * replaced; a living one rejects with EADDRINUSE.
 */
export async function serveControl(
  path: string,
  handlers: ReadonlyMap<string, ControlHandler>,
): Promise<ControlServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    void converse(socket, handlers);
  });
  await listen(server, path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || (await answers(path))) throw error;
    await unlink(path);
    await listen(server, path);
  });
  server.on('error', () => {});
  await chmod(path, 0o600);
  return {
    path,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The umask closes the moment between bind and chmod; a worker thread has none of its own to set. */
async function listen(server: Server, path: string): Promise<void> {
  const before = isMainThread ? process.umask(0o177) : undefined;
  server.listen(path);
  if (before !== undefined) process.umask(before);
  await once(server, 'listening');
}

async function answers(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, handlers: ReadonlyMap<string, ControlHandler>): Promise<void> {
  const lines = linesOf(socket, requestMaxBytes);
  for (;;) {
    const next = await lines.next();
    if (next.done === true) {
      const error = { code: 'LINE_TOO_LONG', message: `A request has at most ${requestMaxBytes} bytes.` };
      if (!next.value) await say(socket, { error });
      socket.end();
      return;
    }
    await answer(socket, next.value, handlers);
  }
}

async function answer(
  socket: Socket,
  line: string,
  handlers: ReadonlyMap<string, ControlHandler>,
): Promise<void> {
  const request = parseRequest(line);
  if (request === undefined) {
    const message = `A request is one line {"schema":"${controlSchema}","verb":"status"}.`;
    return say(socket, { error: { code: 'BAD_REQUEST', message } });
  }
  const handler = handlers.get(request.verb);
  if (handler === undefined) {
    const message = `Unknown verb ${request.verb}; known: ${[...handlers.keys()].join(', ')}.`;
    return say(socket, { error: { code: 'UNKNOWN_VERB', message } });
  }
  try {
    const result = await handler(request.options);
    if (result instanceof ControlRefusal) return await say(socket, { error: result });
    if (!isIterable(result)) return await say(socket, { result: result ?? null });
    for await (const item of result) {
      if (socket.destroyed) return;
      await say(socket, { item });
    }
    await say(socket, { end: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await say(socket, { error: { code: 'FAILED', message } });
  }
}

type Answer = { result: unknown } | { item: unknown } | { end: true } | { error: ControlError };

/** Waits until a slow client has taken enough of what was said before. */
async function say(socket: Socket, answer: Answer): Promise<void> {
  if (socket.destroyed) return;
  if (socket.write(`${JSON.stringify({ schema: controlSchema, ...answer })}\n`)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
