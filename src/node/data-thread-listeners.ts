// The three kinds of listeners of a data thread: outbound, plaintext inbound, HBONE. The first two accept streams, the
// third paused sockets, since TLS wants those; `src/forward` takes them over. The listening sockets are inherited from
// the launcher, or opened here where nothing is captured.
import { createServer, type ListenOptions, type Server } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { acceptInboundHbone } from '../forward/inbound-hbone.ts';
import { acceptInboundPlain } from '../forward/inbound-plain.ts';
import { acceptOutbound } from '../forward/outbound.ts';
import { createTcpServer } from '../io/listen-tcp.ts';
import { chooseTcpBackend } from '../io/tcp-self-test.ts';
import type { DataPath } from '../proxy/data-path.ts';
import type { ThreadListeners } from '../proxy/data-thread.ts';
import type { DataThreadStart } from '../proxy/messages.ts';

/** Connections that the kernel may keep until they are accepted. */
const backlog = 4096;

const hboneOptions = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true } as const;

/** Listeners of one data thread: `open` once, `close` when draining. */
export class DataThreadListeners implements ThreadListeners {
  readonly #path: DataPath;
  readonly #servers: Server[] = [];

  constructor(path: DataPath) {
    this.#path = path;
  }

  /** Opens all. Rejects with NOT_REACHABLE when one cannot be opened. */
  async open(start: DataThreadStart): Promise<void> {
    await chooseTcpBackend();
    const { context, tunnelServer } = this.#path;
    const { listeners, addresses } = start;
    const kinds = [
      ['outbound', () => createTcpServer((stream) => acceptOutbound(context, stream), { isLocal: true })],
      ['inbound', () => createTcpServer((stream) => acceptInboundPlain(context, stream))],
      ['hbone', () => createServer(hboneOptions, (socket) => acceptInboundHbone(context, tunnelServer, socket))],
    ] as const;
    const opening: Promise<void>[] = [];
    for (const [kind, make] of kinds) {
      for (const fd of listeners[kind]) opening.push(this.#listen(kind, { fd }, make()));
      for (const { host, port } of addresses?.[kind] ?? []) {
        opening.push(this.#listen(kind, { host, port, reusePort: true }, make()));
      }
    }
    await Promise.all(opening);
  }

  /** Accepts no more. Idempotent. */
  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  #listen(kind: string, options: ListenOptions & { fd?: number }, server: Server): Promise<void> {
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        const where = options.fd === undefined ? `${options.host}:${options.port}` : `descriptor ${options.fd}`;
        const what = `the ${kind} listener on ${where}`;
        const hint = 'is another proxy running, or does the launcher hold it no more?';
        reject(new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error }));
      });
      server.listen({ ...options, backlog }, () => {
        server.removeAllListeners('error');
        // A failed accept (descriptors used up) costs that connection only.
        server.on('error', () => {});
        resolve();
      });
    });
  }
}
