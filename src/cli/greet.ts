import type { ConnectOptions, Net } from '../base/ports.ts';
import { ReplyParser } from '../protocol/reply.ts';

/** What an endpoint says first. `code`: the system's, CLOSED when it hung up, TIMEOUT. */
export type Greeting =
  | { readonly kind: 'greeted'; readonly reply: string; readonly isReady: boolean }
  | { readonly kind: 'unreachable'; readonly code: string };

/** Connects, hears the greeting, and takes its leave. Never rejects. */
export function greet(net: Net, options: ConnectOptions, timeoutMs: number): Promise<Greeting> {
  return new Promise((resolve) => {
    const parser = new ReplyParser();
    let leave = (): void => {};
    const end = (greeting: Greeting): void => {
      clearTimeout(timer);
      leave();
      resolve(greeting);
    };
    const pending = net.connect(
      options,
      (connection) => {
        leave = () => {
          connection.write([new TextEncoder().encode('QUIT\r\n')]);
          connection.end();
        };
      },
      {
        received(bytes) {
          const [reply] = parser.feed(bytes);
          if (reply === undefined) return;
          const text = `${reply.code} ${reply.lines.join(' ')}`;
          end({ kind: 'greeted', reply: text, isReady: reply.code === 220 });
        },
        ended: () => end({ kind: 'unreachable', code: 'CLOSED' }),
        drained: () => {},
        closed: (code) => end({ kind: 'unreachable', code: code ?? 'CLOSED' }),
      },
    );
    const timer = setTimeout(() => {
      pending.abandon();
      end({ kind: 'unreachable', code: 'TIMEOUT' });
    }, timeoutMs);
  });
}
