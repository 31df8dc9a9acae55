// The data thread of a waypoint: the entry that piscina runs in each worker.
import { createServer, type Server } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import type { ConnectTcp } from '../forward/context.ts';
import type { Dialler } from '../forward/dial.ts';
import { chooseTcpBackend } from '../io/tcp-self-test.ts';
import type { Workload } from '../model/types.ts';
import { DataPath } from '../proxy/data-path.ts';
import { type AssembleThread, type DataThreadTask, serveThread, type ThreadListeners } from '../proxy/data-thread.ts';
import type { DataThreadStart } from '../proxy/messages.ts';
import { originOf } from '../telemetry/traces/origin.ts';
import type { SpanOrigin } from '../telemetry/traces/span.ts';
import { type HttpEntrance, WaypointFront } from './front.ts';
import { createHttpSide, threadServiceOf } from './http-side.ts';
import { PodServices } from './pod-services.ts';
import type { WaypointThreadConfig } from './thread-config.ts';

/** Connections that the kernel may keep until they are accepted. */
const backlog = 4096;

/** Assembles the data path of a waypoint's thread; tests bring their own `connect`. */
export const waypointThread =
  (connect?: ConnectTcp): AssembleThread =>
  (start, ask, notice) => {
    const config = start.config as unknown as WaypointThreadConfig;
    const { waypoint, identity, addresses, http: limits } = config;
    const path = new DataPath(start, ask, { connect, reporter: 'waypoint', notice, origin: spanOrigin(config) });
    const { context } = path;
    const self = (): Workload | null => {
      for (const address of addresses) {
        const workload = context.index.workloadByAddress(address);
        if (workload !== null) return workload;
      }
      return null;
    };
    const dialler: Dialler = { context, identity, self };
    const pods = new PodServices(context.index);
    const http = createHttpSide(path, dialler, limits, pods, (stream, client) => front.passThrough(stream, client));
    const entrance: HttpEntrance = {
      serve: (stream, client) => http.serve(stream, client),
      active: () => http.stats().connections,
    };
    const front: WaypointFront = new WaypointFront(path.tunnelServer, dialler, waypoint, entrance, pods);
    path.attach(threadServiceOf(http));
    return { path, listeners: new WaypointListeners(front) };
  };

function spanOrigin({ waypoint, podName: pod, nodeName: node, clusterId: cluster }: WaypointThreadConfig): SpanOrigin {
  const { namespace, name } = waypoint;
  return originOf({ service: name, namespace, pod, node, cluster, workload: { type: 'deployment', name } });
}

/** Serves until the port is closed. Resolves then; rejects when a listener cannot be opened. */
export function serve(task: DataThreadTask): Promise<void> {
  return serveThread(task, waypointThread());
}

/** The tunnel port of one data thread. */
class WaypointListeners implements ThreadListeners {
  readonly #front: WaypointFront;
  readonly #servers: Server[] = [];

  constructor(front: WaypointFront) {
    this.#front = front;
  }

  async open({ addresses }: DataThreadStart): Promise<void> {
    await chooseTcpBackend();
    await Promise.all((addresses?.hbone ?? []).map(({ host, port }) => this.#listen(host, port)));
  }

  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  #listen(host: string, port: number): Promise<void> {
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    const server = createServer(options, (socket) => this.#front.accept(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        const what = `the tunnel port ${host}:${port}`;
        const hint = 'is another waypoint running in this network namespace?';
        reject(new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error }));
      });
      server.listen({ host, port, reusePort: true, backlog }, () => {
        server.removeAllListeners('error');
        // A failed accept (descriptors used up) costs that connection only.
        server.on('error', () => {});
        resolve();
      });
    });
  }
}
