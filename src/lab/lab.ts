// The whole lab, put together: network, objects, control loops, kubelets, DNS, and the mesh's own programs.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import { placedError } from '../config/yaml.ts';
import { issueOf } from '../kube/findings.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { ResourceIssue, SourcePlace } from '../model/types.ts';
import type { SourceView } from '../model/views.ts';
import {
  dnsServiceAddresses,
  fabricAddresses,
  type NodePlan,
  type PodNetworkKind,
  planNode,
  podNetworkOf,
} from './addresses.ts';
import { NodeAgent } from './agent.ts';
import type { ApiServer } from './api-server/api-server.ts';
import { Applier, refusals, refuseDuplicates } from './apply.ts';
import { Cluster } from './cluster.ts';
import { containerAccess } from './container-access.ts';
import type { ApplyResult, LabDocument, LabPod, LabStatus } from './control-types.ts';
import { dialPod } from './dial-pod.ts';
import { DnsServer } from './dns.ts';
import { DnsZone } from './dns-zone.ts';
import { TokenIssuer } from './issuer.ts';
import { isUnmanaged, Kubelet } from './kubelet.ts';
import { labApiServer, startLabApi } from './lab-api.ts';
import type { LabOptions } from './launch.ts';
import { LiveSources, objectOf, type ResourceName } from './live-sources.ts';
import { LogKeeper, lastLines } from './log-files.ts';
import { type PlacedObject, readLabManifests } from './manifests.ts';
import { createTopology, hasIpv6 } from './network.ts';
import { isReady, type KubeObject, type NodeObject, type Pod, podIps } from './objects.ts';
import { podLogDir } from './pod-runner.ts';
import { controllerOf, isTerminating } from './pods.ts';
import { paths } from './private-files.ts';
import { ServiceAllocator } from './services.ts';
import { ObjectStore } from './store.ts';
import { MeshSystem } from './system.ts';
import { clusterDomain, systemFiles } from './system-config.ts';
import { WaypointDeployer } from './waypoints.ts';
import { tellWorkloads } from './workload-status.ts';

const dnsNamespace = 'kube-system';
/** Kinds that the mesh has no use for and pods do. */
const usedByLab = new Set(['ConfigMap', 'Secret']);

export interface LabContext {
  readonly name: string;
  readonly options: LabOptions;
  readonly log: (line: string) => void;
}

/** One running lab. `start` builds it, `close` ends its loops; its processes end with the first process of the lab. */
export class Lab {
  readonly name: string;
  readonly options: LabOptions;
  readonly startedAt = new Date();
  readonly store: ObjectStore;
  readonly kubelet: Kubelet;
  readonly issuer: TokenIssuer;
  readonly system: MeshSystem;
  readonly waypoints: WaypointDeployer;
  /** Null where nobody asked for it. */
  readonly api: ApiServer | null;
  readonly agents = new Map<string, NodeAgent>();
  readonly #log: (line: string) => void;
  readonly #applier: Applier;
  readonly #cluster: Cluster;
  readonly #dns: DnsServer;
  readonly #logKeeper: LogKeeper;
  readonly #sources: LiveSources;
  readonly #places = new Map<string, SourcePlace>();
  /** Objects that came by `apply` and that the mesh does not use, by key, with their kind. */
  readonly #unused = new Map<string, string>();
  #nodes: NodePlan[] = [];

  constructor({ name, options, log }: LabContext) {
    this.name = name;
    this.options = options;
    this.#log = log;
    const now = () => systemClock.now();
    this.store = new ObjectStore({ dir: paths.objects, now });
    this.issuer = new TokenIssuer(this.store, now);
    const services = new ServiceAllocator();
    this.#applier = new Applier({ store: this.store, services, now });
    this.waypoints = new WaypointDeployer({
      store: this.store,
      apply: (objects) => void this.#applier.apply(objects.map((object) => ({ object, place: null }))),
      delete: (objects) => void this.deleteObjects(objects),
      kubelet: () => this.kubelet,
      overrides: options.waypointConfig,
    });
    const first = () => {
      if (options.mesh) this.waypoints.reconcile();
      if (options.apiServer) tellWorkloads(this.store);
    };
    this.#cluster = new Cluster(this.store, systemClock, Math.random, log, first);
    const zone = new DnsZone(this.store, clusterDomain);
    this.#dns = new DnsServer((question, type) => zone.answer(question, type));
    this.#logKeeper = new LogKeeper(paths.logs, systemClock);
    this.system = new MeshSystem(this, log);
    this.#sources = new LiveSources({
      paths: options.paths.filter((path) => path !== '-'),
      apply: (upserts, deletes) => this.#applyChange(upserts, deletes),
      log,
    });
    this.kubelet = new Kubelet({
      store: this.store,
      clock: systemClock,
      random: Math.random,
      images: options.images,
      rootfs: options.rootfs,
      logsDir: paths.logs,
      podsDir: paths.pods,
      admitted: (nodeName) => this.system.captured(nodeName),
      servicesSettled: () => this.#cluster.settled(),
      volumes: (pod) => this.#volumesOf(pod),
    });
    this.api = options.apiServer ? this.#makeApi(services) : null;
  }

  get nodes(): readonly NodePlan[] {
    return this.#nodes;
  }

  /**
   * Builds everything and starts the pods; resolves when they are on their way. Throws `CONFIG_INVALID` for bad
   * manifests.
   */
  async start(documents: readonly LabDocument[]): Promise<void> {
    const { objects, resources } = readLabManifests(documents);
    refuseDuplicates(objects);
    const wrong = this.system.check(resources).find((issue) => issue.severity === 'error');
    if (wrong !== undefined) {
      const reason = `${wrong.kind} ${wrong.namespace}/${wrong.name}: ${wrong.message}`;
      throw placedError('CONFIG_INVALID', wrong.place ?? { file: '-', line: 1, column: 1 }, reason);
    }
    this.#nodes = planNodes(objects, this.options.nodes, this.options.podNetwork);
    await createTopology(this.#nodes);
    for (const node of this.#nodes) {
      const agent = new NodeAgent(node.name);
      this.agents.set(node.name, agent);
      agent.start();
      this.kubelet.addNode(node, agent);
      this.#cluster.addNode(node, this.#log);
      this.#putNode(node);
    }
    const dnsAddresses = fabricAddresses.slice(0, hasIpv6() ? 2 : 1);
    await this.#dns.start(dnsAddresses, 53);
    this.#putClusterDns();
    this.#logKeeper.start();
    this.system.prepare((namespace) => this.#applier.ensureNamespace(namespace));
    this.#notePlaces(objects);
    this.#applier.apply(objects);
    this.system.start();
    await this.#sources.start();
    if (this.api !== null) await startLabApi(this.api, this.name);
  }

  /**
   * Applies manifests as a whole. Nothing is applied when anything is refused. `isText`: they are files that a person
   * wrote, whose places findings name from now on.
   */
  async apply(documents: readonly LabDocument[], isText = true): Promise<ApplyResult> {
    try {
      const { objects, resources } = readLabManifests(documents);
      refuseDuplicates(objects);
      const found = this.system.check(resources);
      const refused = [...refusals(objects, this.store), ...found.filter((issue) => issue.severity === 'error')];
      const warnings = found.filter((issue) => issue.severity !== 'error');
      if (refused.length > 0) return { applied: [], refused, warnings };
      if (isText) this.#notePlaces(objects);
      const unused = this.#noteUnused(objects, resources);
      return { applied: this.#applier.apply(objects), refused: [], warnings: [...warnings, ...unused] };
    } catch (error) {
      return { applied: [], refused: [issueOf(error)], warnings: [] };
    }
  }

  /** What a folder of the start says now; answers what forbids it, and then nothing has happened. */
  #applyChange(upserts: readonly Resource[], deletes: readonly ResourceName[]): readonly ResourceIssue[] {
    const objects = upserts.map((resource) => ({ object: objectOf(resource), place: resource.places.object }));
    const found = this.system.check(upserts).filter((issue) => issue.severity === 'error');
    const refused = [...refusals(objects, this.store), ...found];
    if (refused.length > 0) return refused;
    this.#applier.apply(objects);
    this.#notePlaces(objects);
    const gone = deletes.map(({ kind, namespace, name }) => this.store.get(kind, namespace, name));
    this.deleteObjects(gone.filter((object) => object !== undefined));
    return [];
  }

  /** Deletes what manifests name. */
  async delete(documents: readonly LabDocument[]): Promise<ApplyResult> {
    try {
      const { objects } = readLabManifests(documents);
      return { applied: this.deleteObjects(objects.map(({ object }) => object)), refused: [], warnings: [] };
    } catch (error) {
      return { applied: [], refused: [issueOf(error)], warnings: [] };
    }
  }

  deleteObjects(objects: readonly KubeObject[]): ApplyResult['applied'] {
    const gone = this.#applier.delete(objects.filter((object) => object.kind !== 'Node'));
    for (const { kind, namespace, name } of gone) this.#unused.delete(`${kind}/${namespace}/${name}`);
    return gone;
  }

  pods(): Pod[] {
    return this.store.list<Pod>('Pod');
  }

  status(): LabStatus {
    const pending = this.pending();
    return {
      name: this.name,
      startedAt: this.startedAt.toISOString(),
      ready: pending.length === 0,
      pending,
      hostPid: 0, // Only who asks from outside can know it.
      nodes: this.#nodes.map((node) => ({
        name: node.name,
        addresses: node.addresses,
        podCidrs: node.podCidrs,
        proxyReady: this.system.isReady(node.name),
      })),
      pods: this.pods().map((pod) => this.#podView(pod)),
      faults: [], // Known to whoever asks for them; see operations.
    };
  }

  /** What is not ready, in words a person can act on. */
  pending(): string[] {
    const pods = this.pods().filter((pod) => {
      // The mesh's own programs speak for themselves.
      if (isUnmanaged(pod)) return false;
      return pod.status.phase !== 'Succeeded' && (!isReady(pod) || isTerminating(pod));
    });
    return [...this.#cluster.problems(), ...this.system.pending(), ...pods.map((pod) => this.describe(pod))];
  }

  /** `pending` as lines, with the last words of the pods that are not ready. */
  explained(pending: readonly string[]): string {
    const linesShown = 3;
    const words = this.pods()
      .filter((pod) => !isReady(pod) && !isUnmanaged(pod))
      .flatMap((pod) => pod.spec.containers.map((container) => ({ pod, container })))
      .flatMap(({ pod, container }) => {
        const lines = lastLines(path.join(podLogDir(paths.logs, pod), `${container.name}.log`), linesShown);
        return lines.map((line) => `${pod.metadata.namespace}/${pod.metadata.name} said: ${line}`);
      });
    return [...pending, ...words].join('\n  ');
  }

  /** Why a pod is not ready: which pod, and the container's or the probe's own words. */
  describe(pod: Pod): string {
    const name = `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
    if (isTerminating(pod)) return `${name} is ending`;
    const unscheduled = pod.status.conditions.find((each) => each.type === 'PodScheduled' && each.status === 'False');
    if (unscheduled !== undefined) return `${name} has no node: ${unscheduled.message ?? ''}`;
    const problem = this.kubelet.runnerOf(pod)?.problem ?? '';
    return `${name} is not ready${problem === '' ? '' : `: ${problem}`}`;
  }

  /**
   * Folders that are watched, with what is wrong in them; and what came by `apply`, where the mesh ignores some of it.
   */
  sources(): readonly SourceView[] {
    const counts = new Map<string, number>();
    for (const kind of this.#unused.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const ignored = [...counts].map(([kind, count]) => ({ kind, count }));
    const applied: SourceView = { path: 'lab apply', ok: true, error: null, ignored };
    return [...this.#sources.views(), ...(ignored.length === 0 ? [] : [applied])];
  }

  /** Where an object stands in the manifest it came from; null for one that the lab made. */
  placeOf(kind: string, namespace: string, name: string): SourcePlace | null {
    return this.#places.get(`${kind}/${namespace}/${name}`) ?? null;
  }

  /** A finding for each object of a kind that the mesh does not read. The lab itself uses some of these. */
  #noteUnused(objects: readonly PlacedObject[], resources: readonly Resource[]): ResourceIssue[] {
    const known = new Set(resources.map(resourceKey));
    return objects.flatMap(({ object, place }) => {
      const { kind } = object;
      const { namespace = '', name } = object.metadata;
      if (known.has(resourceKey({ kind: kind as Resource['kind'], namespace, name }))) return [];
      this.#unused.set(`${kind}/${namespace}/${name}`, kind);
      if (usedByLab.has(kind)) return [];
      return [
        {
          code: 'AMB0002',
          severity: 'info',
          kind,
          namespace,
          name,
          message: 'this kind is kept and ignored',
          fix: '',
          place,
          field: '',
        },
      ];
    });
  }

  #notePlaces(objects: readonly PlacedObject[]): void {
    for (const { object, place } of objects) {
      const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
      if (place !== null) this.#places.set(key, place);
    }
  }

  /** Resolves when the cluster's loops have caught up with the objects. */
  settled(): Promise<void> {
    return this.#cluster.settled();
  }

  close(): void {
    this.#cluster.close();
    this.#dns.close();
    this.#logKeeper.close();
    this.#sources.close();
    this.kubelet.close();
    this.system.close();
    for (const agent of this.agents.values()) agent.close();
  }

  #podView(pod: Pod): LabPod {
    const owner = this.#topOwner(pod);
    const statuses = pod.status.containerStatuses ?? [];
    const waiting = statuses.find((each) => each.state.waiting !== undefined)?.state.waiting;
    const problem = pod.status.message ?? waiting?.message ?? null;
    return {
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name,
      node: pod.spec.nodeName ?? '',
      addresses: podIps(pod),
      serviceAccount: pod.spec.serviceAccountName ?? 'default',
      owner,
      phase: pod.status.phase,
      ready: isReady(pod),
      restarts: statuses.reduce((sum, each) => sum + each.restartCount, 0),
      reason: isTerminating(pod) ? 'Terminating' : isReady(pod) ? null : problem,
      enrolled: this.system.isEnrolled(pod),
    };
  }

  /** The workload that a person wrote: the Deployment, not its ReplicaSet. */
  #topOwner(pod: Pod): LabPod['owner'] {
    let at: KubeObject = pod;
    let owner = controllerOf(pod);
    for (let depth = 0; owner !== null && depth < 4; depth++) {
      const next = this.store.get(owner.kind, pod.metadata.namespace ?? '', owner.name);
      const above = next === undefined ? null : controllerOf(next);
      if (next === undefined || above === null) return { kind: owner.kind, name: owner.name };
      at = next;
      owner = above;
    }
    return at === pod ? null : { kind: at.kind, name: at.metadata.name };
  }

  #makeApi(services: ServiceAllocator): ApiServer {
    const { store, issuer, system, kubelet } = this;
    const statusOf = (kind: string, namespace: string, name: string) => system.statusOf(kind, namespace, name);
    const isRun = (pod: Pod) => kubelet.runnerOf(pod) !== null;
    const check = (resources: readonly Resource[]) => system.check(resources);
    const containers = containerAccess({ store, kubelet: () => kubelet, logsDir: paths.logs });
    return labApiServer({ store, issuer, containers, services, check, isRun, statusOf, dial: dialPod });
  }

  #putNode(node: NodePlan): void {
    const present = this.store.get<NodeObject>('Node', '', node.name, '');
    const [v4, v6] = node.addresses;
    this.store.put({
      ...present,
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        ...present?.metadata,
        name: node.name,
        labels: { ...present?.metadata.labels, 'kubernetes.io/hostname': node.name, 'kubernetes.io/os': 'linux' },
      },
      spec: { ...present?.spec, podCIDR: node.podCidrs[0], podCIDRs: node.podCidrs },
      status: {
        addresses: [
          { type: 'InternalIP', address: v4 },
          { type: 'InternalIP', address: v6 },
          { type: 'Hostname', address: node.name },
        ],
        conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
      },
    } as KubeObject);
  }

  #putClusterDns(): void {
    this.#applier.ensureNamespace(dnsNamespace);
    const ports = [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    ];
    const labels = { 'kubernetes.io/service-name': 'kube-dns', 'k8s-app': 'kube-dns' };
    const meta = { namespace: dnsNamespace, labels };
    this.store.put({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: dnsNamespace, labels: { 'k8s-app': 'kube-dns' } },
      spec: {
        type: 'ClusterIP',
        clusterIP: dnsServiceAddresses[0],
        clusterIPs: [...dnsServiceAddresses],
        ipFamilies: ['IPv4', 'IPv6'],
        ports,
      },
    });
    for (const [index, addressType] of (['IPv4', 'IPv6'] as const).entries()) {
      const endpoints = [
        { addresses: [fabricAddresses[index]], conditions: { ready: true, serving: true, terminating: false } },
      ];
      const metadata = { ...meta, name: `kube-dns-${addressType.toLowerCase()}` };
      this.store.put({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata,
        addressType,
        endpoints,
        ports,
      } as KubeObject);
    }
  }

  #volumesOf(pod: Pod) {
    const { namespace = '' } = pod.metadata;
    const serviceAccount = pod.spec.serviceAccountName ?? 'default';
    return {
      token: (request: { audience: string | undefined; lifetimeS: number }) =>
        this.issuer.token({ namespace, serviceAccount, pod, ...request }),
      clusterRoots: () => (existsSync(systemFiles.roots) ? readFileSync(systemFiles.roots, 'utf8') : ''),
      dns: { servers: [dnsServiceAddresses[0]], domain: clusterDomain },
    };
  }
}

/**
 * The nodes that manifests name, or as many as were asked for. Throws `CONFIG_INVALID` for a pod that names a node
 * which is not there.
 */
function planNodes(objects: readonly PlacedObject[], count: number, podNetwork: PodNetworkKind): NodePlan[] {
  const manifests = objects
    .map(({ object }) => object)
    .filter((object): object is NodeObject => object.kind === 'Node');
  const nodesMax = 200;
  if (manifests.length > nodesMax) {
    throw new MeshError('CONFIG_INVALID', {
      place: 'Node',
      reason: `a lab has at most ${nodesMax} nodes, not ${manifests.length}`,
    });
  }
  if (manifests.length === 0)
    return Array.from({ length: count }, (_, index) => planNode(index + 1, `node-${index + 1}`, [], podNetwork));
  return manifests.map((manifest, index) => {
    const { podCIDRs, podCIDR } = manifest.spec ?? {};
    const kind = podNetworkOf(manifest) ?? podNetwork;
    return planNode(index + 1, manifest.metadata.name, podCIDRs ?? (podCIDR === undefined ? [] : [podCIDR]), kind);
  });
}
