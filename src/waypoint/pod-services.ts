// Pods that are called by their own address (`waypoint-for: workload` or `all`), as the HTTP service sees them: each
// port of an address is a service of its own with one endpoint, without routes, guarded by what is put before the
// waypoint as a whole. Services of the mesh pass through untouched.
import { protocolOfPod } from '../model/balance.ts';
import { type MeshIndex, type ServiceEndpoint, serviceKey } from '../model/mesh-index.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import { defaultServiceRoutes } from '../model/routes/route-defaults.ts';
import type { AppProtocol, NamespacedKey, Service, Workload } from '../model/types.ts';

/** Ports of pods that are remembered, the ones that were called last. */
const podPortsMax = 10_000;

const noEndpoints: readonly ServiceEndpoint[] = Object.freeze([]);

interface PodPort {
  readonly uid: string;
  readonly address: string;
  /** What the policies of its waypoint go by. */
  readonly guard: NamespacedKey;
  service: Service;
  workload: Workload;
  endpoints: readonly ServiceEndpoint[];
  routes: ServiceRoutes | null;
  /** What `routes` was made of. */
  basis: ServiceRoutes | null;
}

/** Answers for services and for ports of pods alike; one per thread. */
export class PodServices {
  readonly #index: MeshIndex;
  /** The one that was called last is last. */
  readonly #byKey = new Map<NamespacedKey, PodPort>();

  constructor(index: MeshIndex) {
    this.#index = index;
  }

  /** The service that a port of a pod is, at the address that was dialled; the same object while nothing changes. */
  serviceOf(workload: Workload, address: string, port: number): Service {
    const made = podService(workload, address, port, protocolOfPod(workload, port));
    const key = serviceKey(made);
    const known = this.#byKey.get(key);
    this.#byKey.delete(key);
    const isSame = known !== undefined && known.service.ports[0]!.appProtocol === made.ports[0]!.appProtocol;
    const service = isSame ? known.service : made;
    const endpoints = [{ workload, ports: service.ports }];
    const guard = guardOf(workload);
    const fresh = { uid: workload.uid, address, guard, service, workload, endpoints, routes: null, basis: null };
    this.#byKey.set(key, isSame && known.guard === guard ? known : fresh);
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= podPortsMax) break;
      this.#byKey.delete(oldest);
    }
    return service;
  }

  /** What stands for a pod where policy is asked about a connection to it that is no HTTP. */
  guardianOf(workload: Workload): Service {
    const [namespace = '', hostname = ''] = guardOf(workload).split('/');
    return { ...podService(workload, '', 0, 'unknown'), namespace, hostname };
  }

  serviceByKey(key: NamespacedKey): Service | null {
    const entry = this.#byKey.size === 0 ? undefined : this.#byKey.get(key);
    if (entry === undefined) return this.#index.serviceByKey(key);
    const workload = this.#index.workloadByUid(entry.uid);
    if (workload?.addresses.includes(entry.address) === true) return entry.service;
    this.#byKey.delete(key);
    return null;
  }

  endpointsOf(key: NamespacedKey): readonly ServiceEndpoint[] {
    const entry = this.#byKey.size === 0 ? undefined : this.#byKey.get(key);
    if (entry === undefined) return this.#index.endpointsOf(key);
    const workload = this.#index.workloadByUid(entry.uid);
    if (workload === null) return noEndpoints;
    if (workload !== entry.workload) {
      entry.workload = workload;
      entry.endpoints = [{ workload, ports: entry.service.ports }];
    }
    return entry.endpoints;
  }

  /** As `MeshIndex.routesOf`; of a pod, what is before its waypoint. A port that is forgotten lets nobody in. */
  routesOf(key: NamespacedKey): ServiceRoutes | null {
    const entry = this.#byKey.size === 0 ? undefined : this.#byKey.get(key);
    if (entry === undefined) return this.#index.routesOf(key) ?? (isPodKey(key) ? nobody : null);
    const basis = this.#index.routesOf(entry.guard);
    if (entry.routes !== null && entry.basis === basis) return entry.routes;
    entry.basis = basis;
    const { policies, jwtRules } = basis ?? {};
    entry.routes = {
      ...defaultServiceRoutes(entry.service),
      ...(policies === undefined ? {} : { policies }),
      ...(jwtRules === undefined ? {} : { jwtRules }),
    };
    return entry.routes;
  }
}

/** No host name has a blank in it, so that nothing of the mesh is called so. */
function podService(workload: Workload, address: string, port: number, appProtocol: AppProtocol): Service {
  return {
    name: workload.name,
    namespace: workload.namespace,
    hostname: `${address} ${port} ${workload.uid}`,
    addresses: [address],
    ports: [{ servicePort: port, targetPort: port, appProtocol }],
    subjectAltNames: [],
    waypoint: null,
    // Who dials a pod means that pod, ready or not.
    loadBalancing: { mode: 'unspecified', routingPreference: [], healthPolicy: 'allowAll' },
    ipFamilies: 'automatic',
    canonical: false,
    visibility: 'public',
  };
}

function isPodKey(key: NamespacedKey): boolean {
  return key.includes(' ');
}

/** The key of the waypoint's own service, which the policies for pods come under. */
function guardOf({ waypoint }: Workload): NamespacedKey {
  return waypoint?.hostname === undefined ? '' : serviceKey(waypoint.hostname);
}

const nobody: ServiceRoutes = {
  ...defaultServiceRoutes(podService({ name: '', namespace: '', uid: '' } as Workload, '', 0, 'unknown')),
  policies: [
    { name: 'forgotten', namespace: '', scope: 'workload', action: 'deny', rules: [{ clauses: [] }], dryRun: false },
  ],
};
