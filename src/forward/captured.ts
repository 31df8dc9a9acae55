// A connection that capture delivered: its stream, and the addresses that it was made from and to.
import type { Socket } from 'node:net';
import { canonicalIp } from '../base/ip.ts';
import { acceptedTcp } from '../io/accept-tcp.ts';
import type { TcpStream } from '../io/tcp-stream.ts';

export interface Captured {
  readonly stream: TcpStream;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Where the client wanted to go: the accepted socket's own address, since tproxy leaves it untouched. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/** Takes over an accepted, paused socket. Null when the client has gone already; the socket is closed then. */
export function captured(socket: Socket): Captured | null {
  const { remotePort, localPort } = socket;
  const sourceAddress = canonicalIp(socket.remoteAddress ?? '');
  const destinationAddress = canonicalIp(socket.localAddress ?? '');
  if (sourceAddress === null || destinationAddress === null || remotePort === undefined || localPort === undefined) {
    socket.on('error', () => {});
    socket.destroy();
    return null;
  }
  const stream = acceptedTcp(socket);
  return { stream, sourceAddress, sourcePort: remotePort, destinationAddress, destinationPort: localPort };
}
