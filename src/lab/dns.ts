// The cluster's DNS server: UDP and TCP in the fabric, reached by pods at the address of the Service `kube-dns`.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type DnsAnswer, type DnsQuery, decodeQuery, encodeAnswer } from './dns-codec.ts';

const tcpMessageMax = 65_535;
const tcpIdleMs = 10_000;
const tcpConnectionsMax = 256;

/** Answers with what `answer` says; drops what is no query. Addresses are bound by `start`. */
export class DnsServer {
  readonly #answer: (name: string, type: number) => DnsAnswer;
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(answer: (name: string, type: number) => DnsAnswer) {
    this.#answer = answer;
  }

  /** Listens on each address; resolves with the port, which is `port` unless that is 0. */
  async start(addresses: readonly string[], port: number): Promise<number> {
    let bound = port;
    for (const address of addresses) {
      const tcp = createServer((socket) => this.#serve(socket));
      tcp.maxConnections = tcpConnectionsMax;
      tcp.on('error', () => {});
      tcp.listen(bound, address);
      await once(tcp, 'listening');
      bound = (tcp.address() as { port: number }).port;
      this.#tcp.push(tcp);
      const udp = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
      udp.on('error', () => {});
      udp.on('message', (message, peer) => {
        const reply = this.#reply(message, null);
        if (reply !== null) udp.send(reply, peer.port, peer.address, () => {});
      });
      udp.bind(bound, address);
      await once(udp, 'listening');
      this.#udp.push(udp);
    }
    return bound;
  }

  close(): void {
    for (const udp of this.#udp.splice(0)) udp.close();
    for (const tcp of this.#tcp.splice(0)) tcp.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(tcpIdleMs, () => socket.destroy());
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2) {
        const length = pending.readUInt16BE(0);
        if (pending.length < 2 + length) break;
        const reply = this.#reply(pending.subarray(2, 2 + length), tcpMessageMax);
        pending = pending.subarray(2 + length);
        if (reply === null) return socket.destroy();
        const prefix = Buffer.alloc(2);
        prefix.writeUInt16BE(reply.length, 0);
        socket.write(Buffer.concat([prefix, reply]));
      }
      return undefined;
    });
  }

  #reply(message: Buffer, sizeMax: number | null): Buffer | null {
    const query = decodeQuery(message);
    if (query === null) return null;
    return encodeAnswer(query, this.#answerTo(query), sizeMax ?? query.udpSize);
  }

  #answerTo(query: DnsQuery): DnsAnswer {
    if (query.opcode !== 0) return { code: 'NOTIMP', answers: [], additional: [], zone: '' };
    return this.#answer(query.name, query.type);
  }
}
