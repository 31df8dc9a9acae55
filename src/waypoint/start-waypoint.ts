// Assembles a waypoint on the main thread: what every proxy has (`proxy/proxy-core.ts`), with one identity, its own,
// and nothing to capture.
import { modulePath } from '../base/project-files.ts';
import { version } from '../base/version.ts';
import type { WaypointConfig } from '../config/waypoint.ts';
import type { ProxyNode } from '../discovery/proxy-node.ts';
import { formatSpiffeId } from '../identity/spiffe.ts';
import type { WaypointDump } from '../model/views.ts';
import type { AdminPorts } from '../proxy/admin.ts';
import type { DataThreadStart } from '../proxy/messages.ts';
import { ownAddresses } from '../proxy/own-addresses.ts';
import { ProxyCore, type ProxyOptions, type ProxyRole } from '../proxy/proxy-core.ts';
import type { WaypointThreadConfig } from './thread-config.ts';

export interface RunningWaypoint {
  readonly ports: AdminPorts;
  /** What readiness waits for; empty when ready. */
  pending(): readonly string[];
  dump(): Promise<WaypointDump>;
  /** Stops accepting, lets connections end until `drainMs`, closes everything. Idempotent. */
  drain(): Promise<void>;
  /** Closes everything at once. Idempotent. */
  close(): Promise<void>;
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
}

const reader = async () => (await import('../config/waypoint.ts')).readWaypointConfig;
const anyAddress = '::';

/**
 * Starts a waypoint and returns when its admin ports are open; it becomes ready later. Throws what keeps it from
 * starting.
 */
export async function startWaypoint(config: WaypointConfig, options: ProxyOptions = {}): Promise<RunningWaypoint> {
  const waypoint = new Waypoint(config, options);
  try {
    await waypoint.start();
    return waypoint;
  } catch (error) {
    await waypoint.close();
    throw error;
  }
}

class Waypoint implements RunningWaypoint {
  readonly #core: ProxyCore<WaypointConfig>;
  readonly #identity: string;
  readonly #addresses = ownAddresses();

  constructor(config: WaypointConfig, options: ProxyOptions) {
    const { trustDomain, namespace, name, serviceAccount } = config;
    this.#identity = formatSpiffeId({ trustDomain, namespace, serviceAccount });
    this.#core = new ProxyCore({
      ...options,
      program: 'ambient-waypoint',
      config,
      reader,
      proxy: proxyNode(config, this.#addresses),
      stateOwner: `waypoint/${namespace}/${name}`,
      threads: {
        threads: config.threads,
        entry: modulePath('src/waypoint/data-thread.ts'),
        startOf: (threadId) => this.#startOf(threadId),
      },
      role: this.#role(),
      dump: () => this.dump(),
      ejects: true,
    });
  }

  get ports(): AdminPorts {
    return this.#core.ports;
  }

  get ended(): Promise<void> {
    return this.#core.ended;
  }

  async start(): Promise<void> {
    const { config, log, threads: pool, savedAt: stateFrom, certificates, readiness } = this.#core;
    const { namespace, name, controllerUrl } = config;
    log.info({ namespace, name, version, threads: pool.views().length, controllerUrl, stateFrom }, 'waypoint starts');
    await this.#core.start();
    certificates.setLocal(new Set([this.#identity]));
    readiness.knowsIdentities = true;
  }

  pending(): string[] {
    return this.#core.pending();
  }

  async dump(): Promise<WaypointDump> {
    const { namespace, name, podName } = this.#core.config;
    const routes = [...this.#core.mesh.index.routes()];
    const [dump, strain] = await Promise.all([this.#core.dump(), this.#core.strain()]);
    return { waypoint: `${namespace}/${name}`, pod: podName, ...dump, routes, ...strain };
  }

  drain(): Promise<void> {
    return this.#core.drain();
  }

  close(): Promise<void> {
    return this.#core.close();
  }

  #role(): ProxyRole {
    return {
      messages: () => [],
      onLocalPods: async () => {},
      pending: () => [],
      reading: () => {
        const { destinationReporter: alsoAsDestination } = this.#core.config;
        return { capture: null, clientAddresses: null, alsoAsDestination };
      },
      state: () => ({}),
      beforeDrain: async () => {},
      close: async () => {},
    };
  }

  #startOf(threadId: number): DataThreadStart {
    const { config: inForce, log } = this.#core;
    const { nodeName, trustDomain, clusterId, namespace, name, ports } = inForce;
    const config: WaypointThreadConfig = {
      ...inForce,
      log: { ...inForce.log, level: log.level },
      ports: { ...ports, outbound: 0, inbound: 0 },
      podCidrs: [],
      sameNode: 'tunnel',
      waypoint: { namespace, name },
      identity: this.#identity,
      addresses: this.#addresses,
    };
    const listeners = { outbound: [], inbound: [], hbone: [] };
    const addresses = { hbone: [{ host: anyAddress, port: ports.hbone }] };
    return { threadId, nodeName, trustDomain, clusterId, listeners, addresses, config: { ...config } };
  }
}

/** Who this waypoint says it is. */
function proxyNode(config: WaypointConfig, addresses: readonly string[]): ProxyNode {
  const { podName, name, namespace, nodeName, clusterId } = config;
  const instance = `${process.pid}.${Date.now()}`;
  return { kind: 'waypoint', instance, name: podName || name, namespace, nodeName, addresses, clusterId, version };
}
