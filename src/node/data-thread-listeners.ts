// The three kinds of listeners of a data thread: outbound, plaintext inbound, HBONE. The first two accept streams, the
// third paused sockets, since TLS wants those; `src/forward` takes them over. The listening sockets are inherited from
// the launcher, or opened here where nothing is captured.
import { closeSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { acceptInboundHbone } from '../forward/inbound-hbone.ts';
import { acceptInboundPlain } from '../forward/inbound-plain.ts';
import { acceptOutbound } from '../forward/outbound.ts';
import type { PodNetwork } from '../forward/pod-networks.ts';
import { createTcpServer } from '../io/listen-tcp.ts';
import { chooseTcpBackend } from '../io/tcp-self-test.ts';
import type { DataPath } from '../proxy/data-path.ts';
import type { ThreadListeners } from '../proxy/data-thread.ts';
import type { DataThreadStart, PodOpened } from '../proxy/messages.ts';

/** Connections that the kernel may keep until they are accepted. */
const backlog = 4096;

const kinds = ['outbound', 'inbound', 'hbone'] as const;
type Kind = (typeof kinds)[number];

const hboneOptions = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true } as const;

/** Listeners of one data thread: `open` once, `close` when draining. */
export class DataThreadListeners implements ThreadListeners {
  readonly #path: DataPath;
  readonly #servers: Server[] = [];
  /** Those of pods, in their own networks, by id. */
  readonly #ofPods = new Map<number, Server[]>();
  /** Pods that came before this thread may accept. */
  readonly #early = new Map<number, PodOpened>();
  #isOpen = false;
  #isClosed = false;

  constructor(path: DataPath) {
    this.#path = path;
  }

  /** Opens all. Rejects with NOT_REACHABLE when one cannot be opened. */
  async open(start: DataThreadStart): Promise<void> {
    await chooseTcpBackend();
    const { listeners, addresses } = start;
    const opening: Promise<void>[] = [];
    for (const kind of kinds) {
      for (const fd of listeners[kind]) opening.push(this.#listen(kind, { fd }, this.#server(kind, null)));
      for (const { host, port } of addresses?.[kind] ?? []) {
        opening.push(this.#listen(kind, { host, port, reusePort: true }, this.#server(kind, null)));
      }
    }
    await Promise.all(opening);
    this.#isOpen = true;
    const early = [...this.#early.values()];
    this.#early.clear();
    for (const pod of early) this.openPod(pod);
  }

  /** Takes connections of a pod, from when `open` is done; of one that has gone already it lets go. */
  openPod(pod: PodOpened): void {
    if (this.#isClosed) closeDescriptors(pod);
    else if (!this.#isOpen) {
      const before = this.#early.get(pod.id);
      if (before !== undefined) closeDescriptors(before);
      this.#early.set(pod.id, pod);
    } else this.#openPod(pod);
  }

  /** Takes no more of it, and ends what runs. */
  closePod(id: number): void {
    const early = this.#early.get(id);
    if (early !== undefined) closeDescriptors(early);
    this.#early.delete(id);
    this.#closeServers(id);
    this.#path.closePod(id);
  }

  /** Accepts no more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const server of this.#servers.splice(0)) server.close();
    for (const id of [...this.#ofPods.keys()]) this.#closeServers(id);
    for (const pod of this.#early.values()) closeDescriptors(pod);
    this.#early.clear();
  }

  #openPod(pod: PodOpened): void {
    // With other addresses: new descriptors of the same sockets, so that nothing that waits is lost.
    const before = this.#ofPods.get(pod.id) ?? [];
    const network = this.#path.pods.add(pod);
    if (network === null) {
      closeDescriptors(pod);
      return;
    }
    const servers = kinds.map((kind) => ({ kind, server: this.#server(kind, network) }));
    this.#ofPods.set(
      pod.id,
      servers.map(({ server }) => server),
    );
    for (const { kind, server } of servers) {
      server.on('error', () => {}); // a failed accept costs that connection only
      server.listen({ fd: pod.listeners[kind], backlog });
    }
    for (const server of before) server.close();
  }

  #closeServers(id: number): void {
    for (const server of this.#ofPods.get(id) ?? []) server.close();
    this.#ofPods.delete(id);
  }

  #server(kind: Kind, pod: PodNetwork | null): Server {
    const { context, tunnelServer } = this.#path;
    switch (kind) {
      case 'outbound':
        return createTcpServer((stream) => acceptOutbound(context, stream, pod), { isLocal: true });
      case 'inbound':
        return createTcpServer((stream) => acceptInboundPlain(context, stream, pod));
      case 'hbone':
        return createServer(hboneOptions, (socket) => acceptInboundHbone(context, tunnelServer, socket, pod));
    }
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

function closeDescriptors({ listeners }: PodOpened): void {
  for (const kind of kinds) closeSync(listeners[kind]);
}
