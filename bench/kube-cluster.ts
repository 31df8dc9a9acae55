// A generated cluster behind an API server of our own: as large objects as a real cluster's, made when they are asked
// for. The same size gives the same cluster.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ClusterSize {
  readonly pods: number;
  readonly services: number;
  readonly nodes: number;
  readonly namespaces: number;
  readonly policies: number;
}

type Json = Readonly<Record<string, unknown>>;
interface Kind {
  readonly count: number;
  readonly at: (index: number, version: string) => Json;
}

export const proxyNamespace = 'ambient-system';
const proxyAccount = 'ambient-node';
const host = '127.0.0.1';
const version = '1000';
const created = '2026-01-31T12:00:00Z';
const security = 'security.istio.io/v1';

/** Lists and watches of a cluster of `size`, with a node proxy on each of the first `proxies` nodes. */
export class GeneratedCluster {
  readonly #size: ClusterSize;
  readonly #kinds: Readonly<Record<string, Kind>>;
  readonly #watches = new Map<string, Set<ServerResponse>>();
  readonly #server = createServer((request, response) => {
    response.on('error', () => undefined);
    const url = new URL(request.url ?? '/', `http://${host}`);
    const kind = this.#kinds[url.pathname];
    if (kind === undefined) send(response, 404, { kind: 'Status', reason: 'NotFound', code: 404 });
    else if (url.searchParams.has('watch')) this.#watch(url.pathname, response);
    else this.#list(kind, url, response);
  });
  #version = Number(version);

  constructor(size: ClusterSize, proxies: number) {
    this.#size = size;
    this.#kinds = {
      '/api/v1/namespaces': { count: size.namespaces, at: namespaceAt },
      '/api/v1/nodes': { count: size.nodes, at: nodeAt },
      '/api/v1/pods': {
        count: size.pods + proxies,
        at: (at, now) => (at < size.pods ? this.#podAt(at, now, 0) : proxyAt(at - size.pods, now)),
      },
      '/api/v1/services': { count: size.services, at: (at, now) => this.#serviceAt(at, now) },
      '/apis/discovery.k8s.io/v1/endpointslices': { count: size.services, at: (at, now) => this.#sliceAt(at, now) },
      '/apis/security.istio.io/v1/authorizationpolicies': {
        count: size.policies,
        at: (at, now) => this.#policyAt(at, now),
      },
    };
  }

  /** Returns the URL. */
  async start(): Promise<string> {
    this.#server.listen(0, host);
    await once(this.#server, 'listening');
    return `http://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Tells all watches that pod number `at` has another address; returns the workload's uid and the address. */
  changePod(at: number, turn: number): { readonly uid: string; readonly address: string } {
    const object = this.#podAt(at, String(++this.#version), turn);
    const line = `${JSON.stringify({ type: 'MODIFIED', object })}\n`;
    for (const response of this.#watches.get('/api/v1/pods') ?? []) response.write(line);
    const { namespace, name } = this.#nameOf(at);
    return { uid: `Kubernetes//Pod/${namespace}/${name}`, address: podAddress(at, turn) };
  }

  /** Tells all watches of pod number `at` what changes nothing that a mesh reads: a heartbeat. */
  touchPod(at: number): void {
    const object = this.#podAt(at, String(++this.#version), 0);
    const line = `${JSON.stringify({ type: 'MODIFIED', object })}\n`;
    for (const response of this.#watches.get('/api/v1/pods') ?? []) response.write(line);
  }

  #list({ count, at }: Kind, url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('continue') ?? 0);
    const to = Math.min(count, from + Number(url.searchParams.get('limit') ?? count));
    const items = Array.from({ length: to - from }, (_, index) => at(from + index, version));
    const next = to < count ? { continue: String(to) } : {};
    send(response, 200, { kind: 'List', metadata: { resourceVersion: version, ...next }, items });
  }

  #watch(path: string, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watches = this.#watches.get(path) ?? new Set();
    this.#watches.set(path, watches.add(response));
    response.on('close', () => watches.delete(response));
  }

  #nameOf(at: number): { readonly service: number; readonly namespace: string; readonly name: string } {
    const service = at % this.#size.services;
    const hash = (service * 2_654_435_761).toString(36).slice(-9);
    return { service, namespace: this.#namespaceOf(service), name: `app-${service}-${hash}-${at.toString(36)}` };
  }

  #namespaceOf(service: number): string {
    return `team-${service % this.#size.namespaces}`;
  }

  #podAt(at: number, resourceVersion: string, turn: number): Json {
    const { service, namespace, name } = this.#nameOf(at);
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `app-${service}-rs`, uid: uid('rs', service) };
    const labels = { app: `app-${service}`, version: 'v1', 'pod-template-hash': `rs${service}`, team: namespace };
    return {
      metadata: {
        name,
        generateName: `app-${service}-rs-`,
        namespace,
        uid: uid('pod', at),
        resourceVersion,
        creationTimestamp: created,
        labels,
        annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090' },
        ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
        managedFields: managed,
      },
      spec: {
        ...podSpec,
        serviceAccountName: `app-${service}`,
        serviceAccount: `app-${service}`,
        nodeName: nodeName(at % this.#size.nodes),
      },
      status: podStatus(podAddress(at, turn), 'Running'),
    };
  }

  #serviceAt(at: number, resourceVersion: string): Json {
    const metadata = this.#metaOf(`app-${at}`, at, resourceVersion, 'svc');
    const clusterIP = `172.${16 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
    const ports = [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }];
    const spec = { clusterIP, clusterIPs: [clusterIP], type: 'ClusterIP', selector: { app: `app-${at}` }, ports };
    return { metadata, spec: { ...spec, ipFamilies: ['IPv4'], sessionAffinity: 'None' }, status: { loadBalancer: {} } };
  }

  #sliceAt(at: number, resourceVersion: string): Json {
    const metadata = this.#metaOf(`app-${at}-slice`, at, resourceVersion, 'slice');
    const { pods, services, nodes } = this.#size;
    const endpoints: Json[] = [];
    for (let pod = at; pod < pods; pod += services) {
      const { namespace, name } = this.#nameOf(pod);
      endpoints.push({
        addresses: [podAddress(pod, 0)],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: nodeName(pod % nodes),
        zone: 'zone-a',
        targetRef: { kind: 'Pod', namespace, name, uid: uid('pod', pod) },
      });
    }
    return {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': `app-${at}` } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
    };
  }

  #policyAt(at: number, resourceVersion: string): Json {
    const principal = `cluster.local/ns/${this.#namespaceOf(at + 1)}/sa/app-${at + 1}`;
    const rules = [{ from: [{ source: { principals: [principal] } }] }];
    const spec = { selector: { matchLabels: { app: `app-${at}` } }, action: 'ALLOW', rules };
    const metadata = this.#metaOf(`policy-${at}`, at, resourceVersion, 'policy');
    return { apiVersion: security, metadata: { ...metadata, generation: 1 }, spec };
  }

  #metaOf(name: string, service: number, resourceVersion: string, kind: string): Json {
    const namespace = this.#namespaceOf(service);
    const identity = { name, namespace, uid: uid(kind, service), resourceVersion, creationTimestamp: created };
    return { ...identity, labels: { app: `app-${service}` }, managedFields: managed.slice(0, 1) };
  }
}

/** The pod of the node proxy on node number `at`. */
export function proxyName(at: number): string {
  return `ambient-node-${at}`;
}

/** Node number `at`. */
export function nodeName(at: number): string {
  return `node-${at}`;
}

/** What stands in tokens for object number `at` of a kind. */
export function uid(kind: string, at: number): string {
  const digits = `${Buffer.from(kind).toString('hex')}${at.toString(16).padStart(12, '0')}`
    .padStart(32, '0')
    .slice(-32);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function podAddress(at: number, turn: number): string {
  const number = at + turn * 1_000_003;
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

function namespaceAt(at: number, resourceVersion: string): Json {
  const labels = { 'kubernetes.io/metadata.name': `team-${at}`, 'ambient.mesh/dataplane-mode': 'ambient' };
  return { metadata: { name: `team-${at}`, uid: uid('ns', at), resourceVersion, labels } };
}

function nodeAt(at: number, resourceVersion: string): Json {
  const labels = { 'topology.kubernetes.io/region': 'region', 'topology.kubernetes.io/zone': `zone-${at % 3}` };
  const images = Array.from({ length: 40 }, (_, image) => ({ names: [`registry/i-${image}`], sizeBytes: 1e8 }));
  const addresses = [{ type: 'InternalIP', address: `192.168.${at >> 8}.${at & 255}` }];
  const metadata = { name: nodeName(at), uid: uid('node', at), resourceVersion, labels, managedFields: managed };
  return { metadata, spec: { podCIDR: `10.0.0.0/24` }, status: { addresses, images, conditions: conditions() } };
}

function proxyAt(at: number, resourceVersion: string): Json {
  const metadata = { name: proxyName(at), namespace: proxyNamespace, uid: uid('proxy', at), resourceVersion };
  const spec = { ...podSpec, serviceAccountName: proxyAccount, nodeName: nodeName(at), hostNetwork: true };
  return { metadata, spec, status: podStatus(`192.168.${at >> 8}.${at & 255}`, 'Running') };
}

function podStatus(ip: string, phase: string): Json {
  const container = { name: 'app', ready: true, restartCount: 0, started: true, image: 'registry/app:v1' };
  const imageID = `registry/app@sha256:${'a'.repeat(64)}`;
  const containerStatuses = [{ ...container, imageID, containerID: `containerd://${'b'.repeat(64)}` }];
  return { phase, podIP: ip, podIPs: [{ ip }], hostIP: '192.168.0.1', conditions: conditions(), containerStatuses };
}

function conditions(): Json[] {
  const types = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];
  return types.map((type) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: created }));
}

const environment = Array.from({ length: 20 }, (_, at) => ({ name: `SETTING_${at}`, value: `value-${at}` }));
const probe = { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, periodSeconds: 10, failureThreshold: 3 };
const podSpec: Json = {
  containers: [
    {
      name: 'app',
      image: 'registry/app:v1',
      env: environment,
      ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
      resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
      livenessProbe: probe,
      readinessProbe: probe,
      volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }],
    },
  ],
  volumes: [{ name: 'token', projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607 } }] } }],
  tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }],
  dnsPolicy: 'ClusterFirst',
  schedulerName: 'default-scheduler',
};
/** Two managers with some sixty fields each, as a Deployment's pods have them. */
const managed: readonly Json[] = ['kube-controller-manager', 'kubelet'].map((manager) => ({
  manager,
  operation: 'Update',
  apiVersion: 'v1',
  time: created,
  fieldsType: 'FieldsV1',
  fieldsV1: Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`f:field-${at}`, { '.': {}, 'f:name': {} }])),
}));

function send(response: ServerResponse, status: number, body: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
