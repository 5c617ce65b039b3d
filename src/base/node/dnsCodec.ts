import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type OptAnswer,
  RECURSION_DESIRED,
} from 'dns-packet';
import { type DnsRecord, type DnsReply, spelled } from '../dnsReply.ts';
import type { DnsType } from '../ports.ts';

export interface DnsQuestion {
  readonly id: number;
  readonly name: string;
  readonly type: DnsType;
}

/** What came as an answer to a question, if it is one. */
export type ReadReply =
  | { readonly kind: 'reply'; readonly reply: DnsReply; readonly isTruncated: boolean }
  /** It belongs to another question, or to nobody: the real one may still come. */
  | { readonly kind: 'stray' }
  /** It has our id and cannot be read. */
  | { readonly kind: 'garbage' };

/** `ednsUdpBytes`: the largest answer by UDP we ask for (RFC 6891 6.2.3); 0: without EDNS, 512. */
export function encodeQuestion({ id, name, type }: DnsQuestion, ednsUdpBytes: number): Uint8Array {
  const opt: OptAnswer = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: ednsUdpBytes,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type, class: 'IN' }],
    additionals: ednsUdpBytes === 0 ? [] : [opt],
  });
}

/** Reads what a server sent. The library throws on octets that make no sense, hostile ones included. */
export function readAnswer(bytes: Uint8Array, question: DnsQuestion): ReadReply {
  const octets = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (octets.length < 12 || octets.readUInt16BE(0) !== question.id) return { kind: 'stray' };
  try {
    const packet = decode(octets) as unknown as Decoded;
    if (packet.type !== 'response' || packet.opcode !== 'QUERY') return { kind: 'stray' };
    // Some servers that did not understand a question do not repeat it (RFC 1035 4.1.1).
    const isBare = packet.questions.length === 0 && packet.rcode !== 'NOERROR';
    if (!isBare && !asks(packet, question)) return { kind: 'stray' };
    const opt = packet.additionals.find((answer) => answer.type === 'OPT');
    const isExtended = opt !== undefined && 'extendedRcode' in opt && opt.extendedRcode > 0;
    const reply = {
      rcode: isExtended ? 'BADVERS' : packet.rcode,
      isAuthoritative: (packet.flags & AUTHORITATIVE_ANSWER) !== 0,
      offersRecursion: packet.flag_ra,
      answers: packet.answers.flatMap(recordOf),
      authorities: packet.authorities.flatMap(recordOf),
    };
    return { kind: 'reply', reply, isTruncated: packet.flag_tc };
  } catch {
    return { kind: 'garbage' };
  }
}

/** What the library gives and its types leave out. */
interface Decoded {
  readonly type: string;
  readonly flags: number;
  readonly flag_tc: boolean;
  readonly flag_ra: boolean;
  readonly opcode: string;
  readonly rcode: string;
  readonly questions: readonly { readonly name: string; readonly type: string; readonly class: string }[];
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

function asks({ questions }: Decoded, { name, type }: DnsQuestion): boolean {
  const [asked, ...more] = questions;
  if (asked === undefined || more.length > 0) return false;
  return spelled(asked.name) === spelled(name) && asked.type === type && asked.class === 'IN';
}

function recordOf(answer: Answer): DnsRecord[] {
  if (!('data' in answer) || answer.class !== 'IN') return [];
  return [{ name: answer.name, type: answer.type, ttlS: answer.ttl ?? 0, data: answer.data }];
}
