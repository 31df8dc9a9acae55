// How an echo process writes addresses: `IP:port`, IPv6 in brackets, IPv4 never in its IPv6-mapped form.
import type { Socket } from 'node:net';

/** The peer of a socket as `IP:port`; `-` when it is already gone. */
export function peerOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return addressText(socket.remoteAddress, socket.remotePort);
}

/** The local end of a socket as `IP:port`. */
export function localOf(socket: Pick<Socket, 'localAddress' | 'localPort'>): string {
  return addressText(socket.localAddress, socket.localPort);
}

function addressText(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return '-';
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}
