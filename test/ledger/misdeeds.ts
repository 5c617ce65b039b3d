/**
 * What hostile or broken receivers do to a client, for tests and benches alike. Each takes over a socket on
 * which nothing has been said; it does no more harm when the client is gone.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export interface Misdeed {
  /** Takes over the connection of a client. */
  readonly act: (socket: Socket) => void;
  /**
   * What comes of it when the client tries once, with the time-outs of `shortTimeouts`: nobody there, so the
   * queue waits; the recipient is deferred; or it is delivered all the same, by another connection.
   */
  readonly outcome: 'queueWaits' | 'deferred' | 'delivered';
}

/** For `<domain>` blocks: what a client needs so that no misdeed lasts longer than some seconds. */
export const shortTimeouts: readonly string[] = [
  'connect-timeout 1s',
  'smtp-greeting-timeout 1s',
  'data-send-timeout 1s',
  'smtp-data-termination-timeout 1s',
  'smtp-multiple-line-response-timeout 1s',
];

export const tlsFiles = { certificate: 'test/tls/certificate.pem', key: 'test/tls/key.pem' };

/** The greeting is where it is. */
const atOnce = (act: Misdeed['act']): Misdeed => ({ act, outcome: 'queueWaits' });
/** The message, or at least the beginning of its envelope, was on its way. */
const later = (act: Misdeed['act']): Misdeed => ({ act, outcome: 'deferred' });
/** In the clear the same receiver is a good one, for the next connection at any rate. */
const inTls = (act: Misdeed['act']): Misdeed => ({ act, outcome: 'delivered' });

export const misdeeds: Readonly<Record<string, Misdeed>> = {
  silent: atOnce(() => {}),
  resets: atOnce((socket) => socket.resetAndDestroy()),
  'hangs-up': atOnce((socket) => socket.end()),
  'endless-banner': atOnce((socket) => flood(socket, '220-welcome, and welcome again\r\n')),
  'endless-line': atOnce((socket) => flood(socket, '220 welcome and '.repeat(100))),
  'endless-dribble': atOnce((socket) => dribble(socket, '220-welcome\r\n')),
  noise: atOnce(
    (socket) => void socket.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 89) % 256))),
  ),
  http: atOnce((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')),
  'busy-421': atOnce((socket) => void socket.end('421 4.3.2 too busy\r\n')),
  'refused-554': atOnce((socket) => void socket.end('554 5.7.1 go away\r\n')),
  'answers-twice': atOnce((socket) => {
    socket.write('220 a\r\n220 b\r\n');
    socket.on('data', () => socket.write('250 ok\r\n250 and ok\r\n'));
  }),
  'endless-ehlo': atOnce((socket) =>
    dialogue(socket, { EHLO: () => flood(socket, '250-PIPELINING and more\r\n') }),
  ),
  'mixed-codes': later((socket) => dialogue(socket, { RCPT: () => socket.write('250-yes\r\n550 no\r\n') })),
  '421-to-mail': later((socket) => dialogue(socket, { MAIL: () => socket.end('421 4.3.2 going\r\n') })),
  'resets-in-envelope': later((socket) => dialogue(socket, { RCPT: () => socket.resetAndDestroy() })),
  '250-to-data': later((socket) => dialogue(socket, { DATA: () => socket.write('250 ok\r\n') })),
  'silent-after-354': later((socket) => dialogue(socket, { '.': () => {} })),
  'hangs-up-after-dot': later((socket) => dialogue(socket, { '.': () => socket.destroy() })),
  'resets-after-dot': later((socket) => dialogue(socket, { '.': () => socket.resetAndDestroy() })),
  'noise-after-dot': later((socket) =>
    dialogue(socket, { '.': () => socket.write('\0\0 what was that?\r\n') }),
  ),
  'dribbles-after-dot': later((socket) => dialogue(socket, { '.': () => dribble(socket, '250-and\r\n') })),
  'stops-reading': later((socket) => dialogue(socket, { '354': () => socket.pause() })),
  'handshake-never': inTls((socket) => beforeTls(socket, () => {})),
  'handshake-noise': inTls((socket) =>
    beforeTls(socket, () => socket.once('data', () => flood(socket, 'no TLS here\r\n'))),
  ),
  'handshake-hangs-up': inTls((socket) => beforeTls(socket, () => socket.end())),
  'huge-certificate-chain': inTls((socket) => beforeTls(socket, () => secureWithHugeChain(socket))),
  // RFC 3207: these are no replies to what is said inside TLS; a host where that happens is not trusted.
  'injects-behind-starttls': atOnce((socket) =>
    dialogue(socket, { EHLO: offersTls(socket), STARTTLS: () => socket.write('220 go\r\n250 injected\r\n') }),
  ),
};

const offersTls = (socket: Socket) => (): void => void socket.write('250-hostile.test\r\n250 STARTTLS\r\n');

/** A receiver that offers STARTTLS, says 220 to it and lets `act` do what follows. */
function beforeTls(socket: Socket, act: () => void): void {
  const go = (): void => {
    socket.write('220 go\r\n');
    socket.removeAllListeners('data');
    act();
  };
  dialogue(socket, { EHLO: offersTls(socket), STARTTLS: go });
}

/** More than OpenSSL takes of a certificate message (100 KB). */
function secureWithHugeChain(socket: Socket): void {
  const cert = Buffer.from(readFileSync(tlsFiles.certificate, 'utf8').repeat(500));
  const secured = new TLSSocket(socket, { isServer: true, cert, key: readFileSync(tlsFiles.key) });
  secured.on('error', () => {});
}

/** Writes for as long as the other side takes it. */
function flood(socket: Socket, text: string): void {
  const pour = (): void => {
    if (!socket.destroyed && socket.writable) socket.write(text, () => setImmediate(pour));
  };
  pour();
}

/** One octet at a time, for ever. */
function dribble(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write(text[at++ % text.length]!);
  }, 50);
  socket.on('close', () => clearInterval(timer));
}

type Answers = Readonly<Record<string, () => void>>;

/** A receiver like any other, but for its answers to some verbs, to `.`, and right after its `354`. */
function dialogue(socket: Socket, answers: Answers): void {
  socket.write('220 hostile.test\r\n');
  let text = '';
  let inContent = false;
  socket.on('data', (data) => {
    text += data.toString('latin1');
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      const verb = inContent ? line : line.slice(0, line.startsWith('STARTTLS') ? 8 : 4);
      if (inContent && verb !== '.') continue;
      const answer = answers[verb];
      if (answer !== undefined) answer();
      else if (verb === 'DATA') {
        inContent = true;
        socket.write('354 go on\r\n');
        answers['354']?.();
      } else socket.write('250 ok\r\n');
    }
  });
}
