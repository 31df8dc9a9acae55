// A connection that capture delivered: its stream, and the addresses that it was made from and to.
import { canonicalIp } from '../base/ip.ts';
import type { TcpStream } from '../io/tcp-stream.ts';

export interface Captured {
  readonly stream: TcpStream;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Where the client wanted to go: the accepted socket's own address, since tproxy leaves it untouched. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/** The addresses of a connection that was just accepted. Null when the client has gone already; it is closed then. */
export function captured(stream: TcpStream): Captured | null {
  const { remoteAddress, remotePort, localAddress, localPort } = stream;
  const sourceAddress = canonicalIp(remoteAddress);
  const destinationAddress = canonicalIp(localAddress);
  if (sourceAddress === null || destinationAddress === null) {
    stream.destroy();
    return null;
  }
  return { stream, sourceAddress, sourcePort: remotePort, destinationAddress, destinationPort: localPort };
}
