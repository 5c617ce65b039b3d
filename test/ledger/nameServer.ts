import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import type { Endpoint } from '../../src/base/ports.ts';

/** What it says to a question; undefined: nothing. Octets are sent as they are. */
export type Say = (
  question: { name: string; type: string },
  query: Packet,
  by: 'udp' | 'tcp',
) => (Partial<Packet> & { readonly rcode?: number }) | Buffer | undefined;

export const recursionAvailable = 1 << 7;
export const truncated = 1 << 9;
export const rcodes = { SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };

export const soa: Answer = {
  type: 'SOA',
  name: 'test',
  ttl: 900,
  data: { mname: 'ns.test', rname: 'root.test', minimum: 60 },
};

/** A name server on one port of 127.0.0.1, by UDP and TCP. */
export class NameServer implements Endpoint {
  readonly address = '127.0.0.1';
  readonly port: number;
  /** `udp r.test MX`, in order. */
  readonly asked: string[] = [];
  readonly #say: Say;
  readonly #sockets: readonly (Socket | Server)[];

  private constructor(say: Say, udp: Socket, tcp: Server) {
    this.port = udp.address().port;
    this.#say = say;
    this.#sockets = [udp, tcp];
    udp.on('message', (octets, peer) => {
      const said = this.#reply(octets, 'udp');
      if (said !== undefined) udp.send(said, peer.port, peer.address);
    });
    tcp.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('data', (octets: Buffer) => {
        const said = this.#reply(octets.subarray(2), 'tcp');
        if (said === undefined) return;
        const framed = Buffer.concat([Buffer.from([said.length >> 8, said.length & 0xff]), said]);
        // In two pieces: what belongs together need not come together.
        socket.write(framed.subarray(0, 3));
        setImmediate(() => socket.write(framed.subarray(3)));
      });
    });
  }

  static async start(say: Say): Promise<NameServer> {
    for (;;) {
      const udp = createSocket('udp4').bind(0, '127.0.0.1');
      await once(udp, 'listening');
      const tcp = createServer();
      tcp.listen(udp.address().port, '127.0.0.1');
      const isFree = await once(tcp, 'listening').then(
        () => true,
        () => false,
      );
      if (isFree) return new NameServer(say, udp, tcp);
      // Somebody has the port for TCP.
      udp.close();
    }
  }

  stop(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #reply(octets: Buffer, by: 'udp' | 'tcp'): Buffer | undefined {
    const query = decode(octets);
    const [question] = query.questions!;
    this.asked.push(`${by} ${question!.name} ${question!.type}`);
    const said = this.#say(question!, query, by);
    if (said === undefined || Buffer.isBuffer(said)) return said;
    const { rcode = 0, flags = recursionAvailable, ...packet } = said;
    const { id, questions } = query;
    return encode({ type: 'response', id, questions, flags: flags | rcode, ...packet } as Packet);
  }
}

/**
 * `{ 'r.test MX': ['10 mx.r.test'], 'mx.r.test A': ['192.0.2.1'], 'bad.test MX': 'SERVFAIL' }`. Other types
 * of a known name are NODATA, other names NXDOMAIN. TTLs are 300.
 */
export type Zone = Readonly<Record<string, readonly string[] | keyof typeof rcodes>>;

export function zoneSays(zone: Zone): Say {
  return ({ name, type }) => {
    const said = zone[`${name} ${type}`];
    if (typeof said === 'string') return { rcode: rcodes[said] };
    if (said !== undefined) return { answers: said.map((text) => recordOf(name, type, text)) };
    const exists = Object.keys(zone).some((key) => key.startsWith(`${name} `));
    return { rcode: exists ? 0 : rcodes.NXDOMAIN, authorities: [soa] };
  };
}

function recordOf(name: string, type: string, text: string): Answer {
  const [preference, exchange] = text.split(' ');
  const data = type === 'MX' ? { preference: Number(preference), exchange } : text;
  return { type, name, ttl: 300, data } as Answer;
}
