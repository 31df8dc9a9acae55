// From recorded flows to calls: who asked whom for what, each once, however many records and proxies tell of it.
import type { Service, Workload } from '../model/types.ts';
import type { PeerView } from '../model/views.ts';
import type { FlowView, RequestRecord } from '../telemetry/access-record.ts';
import { isToldOnce, verdictOf } from '../telemetry/flow-verdict.ts';
import type { SimulatedMesh } from './simulated-mesh.ts';

/** Flows that are alike in all that is judged. */
export interface Call {
  readonly source: PeerView;
  readonly destination: PeerView;
  /** Host name of the service that was called; null for a pod or an address by itself. */
  readonly service: string | null;
  /** Nobody recorded the service: it is the only one that leads to this port of the pod. */
  readonly isServiceInferred: boolean;
  /** Of the service; without one, of the pod. */
  readonly port: number;
  /** Null for a connection. */
  readonly request: CallRequest | null;
  readonly observed: {
    /** What policy said; null where it is not to be told. */
    readonly verdict: 'allow' | 'deny' | null;
    /** `KIND/NAMESPACE/NAME#RULE`; null where none is known. */
    readonly route: string | null;
    readonly transport: FlowView['transport'];
  };
  /** Flows, those that the records stand for counted too. */
  count: number;
  /** RFC 3339. */
  lastSeen: string;
}

export interface CallRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string | null;
}

export interface Calls {
  readonly calls: readonly Call[];
  /** Records that were looked at, and flows that they stand for. */
  readonly records: number;
  readonly flows: number;
}

/** Sums flows up, as they are read: `take` each, then `calls`. Both sides of a tunnel may be told. */
export class CallCollector {
  readonly #mesh: SimulatedMesh;
  readonly #flows: FlowView[] = [];
  /** `NAMESPACE/POD` of the waypoints that have told anything. */
  readonly #waypoints = new Set<string>();
  /** What a source's proxy alone knows: by the source's address, the service that was called. */
  readonly #serviceBySource = new Map<string, string | null>();

  constructor(mesh: SimulatedMesh) {
    this.#mesh = mesh;
  }

  take(flow: FlowView): void {
    const { kind, direction, source, destination, reporter } = flow;
    if (reporter.kind === 'waypoint') this.#waypoints.add(reporter.pod);
    if (kind === 'connection' && direction === 'outbound') {
      this.#serviceBySource.set(source.address, destination.service);
    }
    if (isToldOnce(flow)) this.#flows.push(flow);
  }

  result(): Calls {
    const calls = new Map<string, Call>();
    let records = 0;
    let flows = 0;
    for (const flow of this.#flows) {
      // The waypoint's own connections belong to the requests that it tells of.
      const source = this.#mesh.workloadOf(flow.source);
      if (flow.reporter.kind === 'node' && this.#isOfWaypoint(flow, source)) continue;
      records++;
      flows += flow.weight;
      const call = this.#callOf(flow, source);
      const key = keyOf(call);
      const known = calls.get(key);
      if (known === undefined) calls.set(key, call);
      else {
        known.count += flow.weight;
        if (flow.time > known.lastSeen) known.lastSeen = flow.time;
      }
    }
    return { calls: [...calls.values()], records, flows };
  }

  #isOfWaypoint(flow: FlowView, source: Workload | null): boolean {
    return source?.nativeTunnel === true || this.#waypoints.has(`${flow.source.namespace}/${flow.source.workload}`);
  }

  #callOf(flow: FlowView, source: Workload | null): Call {
    const { destination } = flow;
    const pod = this.#mesh.workloadOf(destination);
    const dialled = portOf(destination.address);
    const recorded = destination.service ?? this.#serviceBySource.get(flow.source.address);
    const inferred = recorded === undefined ? soleService(this.#mesh, pod, dialled) : null;
    const hostname = recorded ?? inferred?.hostname ?? null;
    const service = hostname === null ? null : this.#mesh.index.serviceByHostname(hostname, source?.namespace ?? null);
    const request = requestOf(flow);
    return {
      source: flow.source,
      destination,
      service: hostname,
      isServiceInferred: inferred !== null,
      port: service === null ? dialled : servicePort(service, pod, dialled, request),
      request,
      observed: observedOf(flow),
      count: flow.weight,
      lastSeen: flow.time,
    };
  }
}

function requestOf(flow: FlowView): CallRequest | null {
  if (flow.kind !== 'request') return null;
  const { method, path, authority } = flow as RequestRecord & FlowView;
  return { method: method ?? 'GET', path: path ?? '/', authority };
}

function observedOf(flow: FlowView): Call['observed'] {
  const verdict = flow.flag === 'DENY' ? 'deny' : verdictOf(flow) === 'refused' ? null : 'allow';
  const route = flow.kind === 'request' ? (flow as RequestRecord & FlowView).route : null;
  return { verdict, route, transport: flow.transport };
}

/** The service that a connection to a port of a pod was for, where there is only one. */
function soleService(mesh: SimulatedMesh, pod: Workload | null, port: number): Service | null {
  if (pod === null) return null;
  const leading = Object.entries(pod.services).filter(([, ports]) => ports.some((one) => one.targetPort === port));
  return leading.length === 1 ? mesh.index.serviceByKey(leading[0]![0]) : null;
}

/** From what was recorded, an endpoint's port as a rule, to the port of the service. */
function servicePort(service: Service, pod: Workload | null, dialled: number, request: CallRequest | null): number {
  const named = Number(/:(\d+)$/.exec(request?.authority ?? '')?.[1] ?? 0);
  if (service.ports.some((one) => one.servicePort === named)) return named;
  const own = pod?.services[`${service.namespace}/${service.hostname}`] ?? [];
  const mapped = [...own, ...service.ports].find((one) => one.targetPort === dialled);
  if (pod !== null && mapped !== undefined) return mapped.servicePort;
  if (service.ports.some((one) => one.servicePort === dialled)) return dialled;
  return mapped?.servicePort ?? service.ports[0]?.servicePort ?? dialled;
}

/** The port in `IP:port`; 0 for none. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1)) || 0;
}

/** The address in `IP:port`, without brackets. */
export function ipOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

function keyOf({ source, destination, service, port, request, observed }: Call): string {
  const from = source.workload === null ? ipOf(source.address) : `${source.namespace}/${source.workload}`;
  const to = destination.workload === null ? ipOf(destination.address) : destination.workload;
  const asked = request === null ? [] : [request.method, request.path, request.authority];
  const seen = [observed.verdict, observed.route, observed.transport];
  return JSON.stringify([from, source.identity, service, destination.namespace, to, port, asked, seen]);
}
