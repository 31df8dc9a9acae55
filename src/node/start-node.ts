// Assembles a node proxy on the main thread: what every proxy has (`proxy/proxy-core.ts`), and what is a node's alone,
// capture, the client addresses, and the identities of the node's pods.
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { modulePath } from '../base/project-files.ts';
import { version } from '../base/version.ts';
import { type CaptureBackend, NoCapture } from '../capture/backend.ts';
import { HostCapture } from '../capture/host-backend.ts';
import { PodCapture } from '../capture/pod-backend.ts';
import type { NodeConfig } from '../config/node.ts';
import type { Workload } from '../model/types.ts';
import type { NodeDump, NodeFinding } from '../model/views.ts';
import type { AdminPorts } from '../proxy/admin.ts';
import type { DataThreadStart } from '../proxy/messages.ts';
import { ownAddresses } from '../proxy/own-addresses.ts';
import { ProxyCore, type ProxyOptions, type ProxyRole } from '../proxy/proxy-core.ts';
import type { ProxyReading } from '../telemetry/registry.ts';
import { captureFindings } from './capture-findings.ts';
import { CaptureKeeper } from './capture-keeper.ts';
import { CheckKeeper } from './check-keeper.ts';
import { ClientAddressKeeper, clientAddressesInPods } from './client-address-keeper.ts';
import type { Listeners } from './listeners.ts';
import { captureFor, localIdentities, podAddresses } from './local-pods.ts';
import { NetworkKeeper } from './network-keeper.ts';
import { PodListeners } from './pod-listeners.ts';
import { proxyNode } from './proxy-node.ts';

export interface NodeOptions extends ProxyOptions {
  /** The launcher's sockets; or how to listen without them, for tests. */
  readonly listeners: Listeners | { readonly threads: number; readonly addresses: DataThreadStart['addresses'] };
  readonly capture?: CaptureBackend;
}

export interface RunningNode {
  readonly ports: AdminPorts;
  /** What readiness waits for; empty when ready. */
  pending(): readonly string[];
  dump(): Promise<NodeDump>;
  /** Stops accepting, lets connections end until `drainMs`, closes everything. The capture rules stay. Idempotent. */
  drain(): Promise<void>;
  /** Closes everything at once. The capture rules stay. Idempotent. */
  close(): Promise<void>;
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
}

const reader = async () => (await import('../config/node.ts')).readNodeConfig;

/**
 * Starts a node proxy and returns when its admin ports are open; it becomes ready later. Throws what keeps it from
 * starting.
 */
export async function startNode(config: NodeConfig, options: NodeOptions): Promise<RunningNode> {
  const node = new NodeProxy(config, options);
  try {
    await node.start();
    return node;
  } catch (error) {
    await node.close();
    throw error;
  }
}

class NodeProxy implements RunningNode {
  readonly #core: ProxyCore<NodeConfig>;
  readonly #listeners: NodeOptions['listeners'];
  readonly #networks: NetworkKeeper;
  readonly #check: CheckKeeper;
  readonly #capture: CaptureKeeper;
  readonly #clientAddresses: ClientAddressKeeper;
  readonly #pods: PodListeners;
  #reported: readonly NodeFinding[] = [];

  constructor(config: NodeConfig, options: NodeOptions) {
    const { listeners, capture, ...shared } = options;
    const { clock = systemClock, random = Math.random } = options;
    this.#listeners = listeners;
    const core = new ProxyCore({
      ...shared,
      program: 'ambient-node',
      config,
      reader,
      proxy: proxyNode(config),
      stateOwner: config.nodeName,
      threads: {
        threads: listeners.threads,
        entry: modulePath('src/node/data-thread.ts'),
        startOf: (threadId, life) => this.#startOf(threadId, life),
      },
      role: this.#role(),
      dump: () => this.dump(),
    });
    this.#core = core;
    this.#pods = new PodListeners({
      tell: (threadId, make) => core.threads.tell(threadId, make),
      broadcast: (message) => core.threads.broadcast(message),
    });
    this.#clientAddresses = new ClientAddressKeeper({
      log: core.log,
      setting: config.keepClientAddress,
      isPossible: config.capture.backend !== 'none' && capture === undefined,
      broadcast: (message) => core.threads.broadcast(message),
      ...(this.#isInPods ? clientAddressesInPods() : {}),
    });
    const { podCidrs, meshCidrs } = config;
    const { backend: kind } = config.capture;
    this.#networks = new NetworkKeeper({
      ...{ clock, random, log: core.log, podCidrs, meshCidrs },
      isOn: kind !== 'none' && capture === undefined,
      onChange: () => void this.#onNetworks(),
    });
    this.#check = new CheckKeeper({
      ...{ clock, log: core.log, backend: kind },
      isOn: kind !== 'none' && capture === undefined,
      onChange: () => this.#report(),
    });
    const isOn = kind !== 'none' || capture !== undefined;
    const backend = capture ?? this.#backend(clock.now());
    const onChange = () => this.#onCapture();
    this.#capture = new CaptureKeeper({ clock, random, log: core.log, backend, kind, isOn, onChange });
  }

  get #isInPods(): boolean {
    return this.#core.config.capture.backend === 'pod';
  }

  #backend(ownerMs: number): CaptureBackend {
    const { capture } = this.#core.config;
    if (capture.backend === 'none') return new NoCapture();
    if (capture.backend === 'host') return new HostCapture(ownerMs);
    const { threads } = this.#listeners;
    const { namespaces: folder } = capture;
    return new PodCapture({ folder, ownerMs, threads, sink: this.#pods, nodeAddresses: ownAddresses });
  }

  get ports(): AdminPorts {
    return this.#core.ports;
  }

  get ended(): Promise<void> {
    return this.#core.ended;
  }

  async start(): Promise<void> {
    const { config, log, threads: pool, savedAt: stateFrom } = this.#core;
    await this.#networks.start();
    const { nodeName, controllerUrl } = config;
    const threads = pool.views().length;
    const { source, podCidrs } = this.#networks.view;
    log.info({ nodeName, version, threads, controllerUrl, source, podCidrs, stateFrom }, 'node proxy starts');
    this.#check.start();
    void this.#clientAddresses.begin().then(() => this.#core.onProgress());
    await this.#core.start();
  }

  async dump(): Promise<NodeDump> {
    const dump = await this.#core.dump();
    const { view: capture } = this.#capture;
    const { view: clientAddresses } = this.#clientAddresses;
    return {
      node: this.#core.config.nodeName,
      ...dump,
      capture,
      clientAddresses,
      network: this.#networks.view,
      findings: this.#findings(),
    };
  }

  drain(): Promise<void> {
    return this.#core.drain();
  }

  close(): Promise<void> {
    return this.#core.close();
  }

  pending(): string[] {
    return this.#core.pending();
  }

  #role(): ProxyRole {
    return {
      messages: (threadId) => {
        return [this.#networks.message(), ...this.#clientAddresses.messages(), ...this.#pods.messages(threadId)];
      },
      onLocalPods: (pods) => this.#onLocalPods(pods),
      pending: () => this.#waitsFor(),
      reading: () => this.#reading(),
      state: () => {
        const { state, reason } = this.#capture.view;
        return { capture: { state, reason }, findings: this.#findings() };
      },
      beforeDrain: async () => {
        this.#check.close();
        await this.#networks.close();
        await this.#capture.close(); // a proxy that replaces this one decides about the rules from now on
        if ('of' in this.#listeners) this.#listeners.closeSpares();
      },
      close: async () => {
        this.#check.close();
        await this.#networks.close();
        await this.#capture.close();
      },
    };
  }

  #waitsFor(): string[] {
    const { isReady, view } = this.#capture;
    const addresses = this.#clientAddresses.pending();
    const networks = this.#networks.pending();
    return [
      ...(networks === null ? [] : [`pod networks (${networks})`]),
      ...(isReady ? [] : [`capture (${view.reason ?? 'not applied yet'})`]),
      ...(addresses === null ? [] : [`client addresses (${addresses})`]),
    ];
  }

  #reading(): Pick<ProxyReading, 'capture' | 'clientAddresses'> {
    const { view, repairs } = this.#capture;
    const { state, pods } = view;
    return { capture: { state, repairs, pods }, clientAddresses: this.#clientAddresses.view };
  }

  #startOf(threadId: number, life: number): DataThreadStart {
    const { config: inForce, log } = this.#core;
    const { nodeName, trustDomain, clusterId } = inForce;
    const config = { ...inForce, log: { ...inForce.log, level: log.level } };
    const awaitsClientAddresses = this.#clientAddresses.isAwaited;
    const hasPodNetworks = this.#isInPods;
    const start = { threadId, nodeName, trustDomain, clusterId, config, awaitsClientAddresses, hasPodNetworks };
    const listeners = this.#listeners;
    if ('of' in listeners) return { ...start, listeners: listeners.of(threadId, life) };
    const none = { outbound: [], inbound: [], hbone: [] };
    return { ...start, listeners: none, ...(listeners.addresses && { addresses: listeners.addresses }) };
  }

  async #onLocalPods(pods: readonly Workload[]): Promise<void> {
    const core = this.#core;
    core.certificates.setLocal(localIdentities(pods));
    core.readiness.knowsIdentities = true;
    core.onProgress();
    this.#learn(pods);
    await this.#wantCapture(pods);
  }

  /** Data threads know of other networks before the kernel sends them anything from there. */
  #learn(pods: readonly Workload[]): void {
    const { mesh, config, threads } = this.#core;
    const known = { networks: mesh.nodes.of(config.nodeName), addresses: podAddresses(pods) };
    if (this.#networks.know(known, mesh.nodes.all())) threads.broadcast(this.#networks.message());
  }

  async #wantCapture(pods: readonly Workload[]): Promise<void> {
    await this.#capture.want(captureFor(this.#core.config, this.#networks.networks, pods));
    this.#onCapture();
  }

  /** The node's links or routes changed. Before the mesh is known nothing is captured. */
  async #onNetworks(): Promise<void> {
    const { mesh, threads } = this.#core;
    threads.broadcast(this.#networks.message());
    if (mesh.isKnown) await this.#wantCapture(mesh.localPods());
  }

  /** What of the node stands in the way, and what failed because of it. */
  #findings(): readonly NodeFinding[] {
    const { index } = this.#core.mesh;
    const nameOf = (addresses: readonly string[]): string | null => {
      const pod = addresses.map((one) => index.workloadByAddress(one)).find((one) => one !== null);
      return pod == null ? null : `${pod.namespace}/${pod.name}`;
    };
    return [...captureFindings(this.#capture.view, nameOf), ...this.#check.findings];
  }

  /** The controller is told when it is not what it was told before. */
  #report(): void {
    const findings = this.#findings();
    if (isDeepStrictEqual(findings, this.#reported)) return;
    this.#reported = findings;
    this.#core.mesh.report(findings);
  }

  #onCapture(): void {
    this.#report();
    const test = this.#clientAddresses.captured(this.#capture.view.state === 'applied');
    void test.then(() => this.#core.onProgress());
    this.#core.onProgress();
  }
}
