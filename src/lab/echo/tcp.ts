// The raw TCP ports of an echo process: echo, a server that speaks first, and a sink that answers with what it
// received.
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { EchoIdentity, PortMode } from './options.ts';
import { peerOf } from './peer.ts';

/** The first line that a `tcp-greet` port sends, before the client has said anything. */
export function greeting(identity: EchoIdentity): string {
  return `hello from ${identity.namespace || '-'}/${identity.pod}\n`;
}

/**
 * Serves one raw connection. `tcp` returns each byte and ends when the client has ended; `tcp-greet` speaks first and
 * then does the same;
 * `tcp-sink` swallows everything and, after the client's FIN, answers `BYTES SHA256\n`.
 */
export function serveTcp(socket: Socket, mode: PortMode, identity: EchoIdentity, log: (line: string) => void): void {
  log(`${mode} connection from ${peerOf(socket)}`);
  if (mode === 'tcp-sink') {
    const hash = createHash('sha256');
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    socket.on('end', () => socket.end(`${bytes} ${hash.digest('hex')}\n`));
    return;
  }
  if (mode === 'tcp-greet') socket.write(greeting(identity));
  socket.pipe(socket);
}
