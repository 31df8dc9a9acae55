// Proves on the running kernel that a connection from an address that this machine does not have gets its replies:
// bind, connect, and a byte each way, through the very rules and the policy route that real connections use. Both ends
// are on this machine; the foreign address is a neighbour's, and not a packet leaves when everything is in place.
import { connect, createServer, isIPv6, type Socket, type TcpNetConnectOpts } from 'node:net';
import { networkInterfaces } from 'node:os';
import { messageOf } from '../base/errors.ts';
import type { TransparentSockets } from '../io/transparent-socket.ts';
import { clientAddressMark } from './ruleset.ts';

export type Family = 'ipv4' | 'ipv6';

/** Where the documentation lives (RFC 5737, RFC 3849): for machines whose network has no room for a neighbour. */
const documentation = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
const proofDeadlineMs = 1_000;
/** Long enough that a stranger who reaches the open port for these milliseconds does not guess it. */
const questionBytes = 16;

export interface Proof {
  readonly works: boolean;
  /** Why not; null also on a machine that has no address of the family, and needs none. */
  readonly reason: string | null;
}

/** Tries it once; takes milliseconds where it works, some seconds where it does not. */
export async function proveClientAddress(family: Family, sockets: TransparentSockets | null): Promise<Proof> {
  const own = ownAddress(family);
  if (own === null) return { works: false, reason: null };
  if (sockets === null) {
    return { works: false, reason: `this Node (${process.version}) has no node:ffi; use Node 26.1 or newer` };
  }
  let reason: string | null = null;
  for (const foreign of [own.neighbour, documentation[family]]) {
    const failure = await prove(own.address, foreign, sockets);
    if (failure === null) return { works: true, reason: null };
    reason ??= failure;
  }
  return { works: false, reason };
}

function ownAddress(family: Family): { address: string; neighbour: string } | null {
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address, family: kind, internal } of entries ?? []) {
      if (internal || kind.toLowerCase() !== family || /^(fe80:|169\.254\.)/.test(address)) continue;
      return { address, neighbour: neighbourOf(address) };
    }
  }
  return null;
}

/** The address that differs in the second lowest bit: on the same link, and neither its first nor its last by luck. */
function neighbourOf(address: string): string {
  const flip = (digits: string, base: 10 | 16): string => (Number.parseInt(digits, base) ^ 2).toString(base);
  if (!isIPv6(address)) return address.replace(/\d+$/, (last) => flip(last, 10));
  if (address.endsWith(':')) return `${address}2`;
  return address.replace(/[0-9a-f]+$/, (last) => flip(last, 16));
}

function prove(host: string, foreign: string, made: TransparentSockets): Promise<string | null> {
  const fd = made.create(isIPv6(host) ? 6 : 4, clientAddressMark);
  if (fd === null) return Promise.resolve('the kernel refuses IP_TRANSPARENT; CAP_NET_ADMIN is needed');
  return new Promise((resolve) => {
    const sockets = new Set<Socket>();
    const end = (reason: string | null): void => {
      clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
      resolve(reason);
    };
    const failed = (error: Error): void => end(messageOf(error));
    const timer = setTimeout(() => end(`no reply to a connection from ${foreign}`), proofDeadlineMs);
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
      if (socket.remoteAddress === foreign) socket.pipe(socket);
      else socket.destroy();
    });
    server.on('error', failed);
    server.listen({ host, port: 0 }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return;
      const options = { host, port: address.port, localAddress: foreign, autoSelectFamily: false };
      const client = connect({ ...options, fd, pauseOnCreate: true } as TcpNetConnectOpts).resume();
      sockets.add(client.on('error', failed));
      client.on('connect', () => client.write(Buffer.alloc(questionBytes, 'ambient')));
      client.on('data', () => end(null));
      client.on('close', () => end(`a connection from ${foreign} was closed`));
    });
  });
}
