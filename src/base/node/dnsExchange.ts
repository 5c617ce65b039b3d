import { createSocket } from 'node:dgram';
import { Socket } from 'node:net';
import type { DnsReply } from '../dnsReply.ts';
import type { Endpoint } from '../ports.ts';
import { type DnsQuestion, encodeQuestion, readAnswer } from './dnsCodec.ts';

/** What one server made of one question. TIMEOUT, GARBAGE, TRUNCATED, or the system's code. */
export type Exchanged =
  | { readonly kind: 'reply'; readonly reply: DnsReply }
  | { readonly kind: 'failed'; readonly code: string };

export interface ExchangeLimits {
  /** By UDP and by TCP each. */
  readonly timeoutMs: number;
  /** 0: no EDNS. */
  readonly ednsUdpBytes: number;
}

/** By UDP, and by TCP when the answer did not fit (RFC 7766 5). */
export async function exchange(
  server: Endpoint,
  question: DnsQuestion,
  limits: ExchangeLimits,
): Promise<Exchanged> {
  const byUdp = await overUdp(server, question, limits);
  return byUdp === 'truncated' ? overTcp(server, question, limits) : byUdp;
}

/**
 * A socket for each question: its port is drawn by the kernel (RFC 5452 9.2), and being connected it hears
 * nobody but the server, and hears of a port that is closed.
 */
function overUdp(
  server: Endpoint,
  question: DnsQuestion,
  { timeoutMs, ednsUdpBytes }: ExchangeLimits,
): Promise<Exchanged | 'truncated'> {
  return new Promise((resolve) => {
    const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
    const end = (result: Exchanged | 'truncated'): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // One that comes while it closes has nobody to tell.
      socket.on('error', () => {});
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => end(failed('TIMEOUT')), timeoutMs);
    socket.on('error', (error) => end(failed(codeOf(error))));
    socket.on('message', (bytes) => {
      const read = readAnswer(bytes, question);
      if (read.kind === 'garbage') end(failed('GARBAGE'));
      else if (read.kind === 'reply') end(read.isTruncated ? 'truncated' : read);
    });
    socket.on('connect', () => socket.send(encodeQuestion(question, ednsUdpBytes)));
    socket.connect(server.port, server.address);
  });
}

function overTcp(
  server: Endpoint,
  question: DnsQuestion,
  { timeoutMs, ednsUdpBytes }: ExchangeLimits,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = new Socket();
    let received = Buffer.alloc(0);
    const end = (result: Exchanged): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(failed('TIMEOUT')), timeoutMs);
    socket.on('error', (error) => end(failed(codeOf(error))));
    socket.on('close', () => end(failed('ECONNRESET')));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      // Two octets of length stand before each message (RFC 1035 4.2.2): at most 64 KiB are kept.
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const read = readAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), question);
      if (read.kind !== 'reply') end(failed('GARBAGE'));
      else end(read.isTruncated ? failed('TRUNCATED') : read);
    });
    socket.on('connect', () => {
      const octets = encodeQuestion(question, ednsUdpBytes);
      socket.write(Buffer.concat([Buffer.from([octets.length >> 8, octets.length & 0xff]), octets]));
    });
    socket.connect({ host: server.address, port: server.port });
  });
}

function failed(code: string): { readonly kind: 'failed'; readonly code: string } {
  return { kind: 'failed', code };
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
