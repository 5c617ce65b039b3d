import { once } from 'node:events';
import { createConnection } from 'node:net';
import { linesOf } from './lines.ts';
import { type ControlError, controlSchema, parseAnswerLine } from './wire.ts';

export type ControlAnswer =
  /** A streamed answer comes as the array of its items. */
  | { readonly kind: 'answered'; readonly result: unknown }
  | { readonly kind: 'refused'; readonly error: ControlError }
  /** `code`: ENOENT and ECONNREFUSED: no daemon; EACCES: someone else's; ETIMEDOUT; ECONNRESET. */
  | { readonly kind: 'unreachable'; readonly code: string };

const silenceMaxMs = 30_000;

/**
 * Asks the daemon behind the socket one thing; `silenceMs` without a word end it. `told` gets the items of a
 * streamed answer as they come. Never rejects.
 */
export async function askControl(
  path: string,
  verb: string,
  options: Readonly<Record<string, unknown>> = {},
  silenceMs = silenceMaxMs,
  told?: (item: unknown) => void,
): Promise<ControlAnswer> {
  const socket = createConnection(path);
  let code = 'ECONNRESET';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? error.name;
  });
  socket.setTimeout(silenceMs, () => {
    code = 'ETIMEDOUT';
    socket.destroy();
  });
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify({ schema: controlSchema, verb, options })}\n`);
    const items: unknown[] = [];
    for await (const text of linesOf(socket)) {
      const line = parseAnswerLine(text);
      if (line === undefined) return refused('BAD_ANSWER', `Not an answer: ${text.slice(0, 80)}`);
      if ('error' in line) return { kind: 'refused', error: line.error };
      if ('result' in line) return { kind: 'answered', result: line.result };
      if ('end' in line) return { kind: 'answered', result: items };
      if (told === undefined) items.push(line.item);
      else told(line.item);
    }
  } catch {
    // The error listener has its code.
  } finally {
    socket.destroy();
  }
  return { kind: 'unreachable', code };
}

function refused(code: string, message: string): ControlAnswer {
  return { kind: 'refused', error: { code, message } };
}
