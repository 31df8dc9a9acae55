// The mesh as data threads and the CLI look things up in it: every look-up is a map access. Workloads, services and
// policies may arrive in any order; endpoints wait under their service's key until the service is there.
import { isDeepStrictEqual } from 'node:util';
import { CidrTable } from '../base/cidr-table.ts';
import { parseCidr } from '../base/ip.ts';
import { MultiMap } from '../base/multi-map.ts';
import { PolicyTable } from './policy-table.ts';
import type { ServiceRoutes } from './route-types.ts';
import type { MeshUpdate, NamespacedKey, Policy, PortMapping, Service, SpiffeId, Workload } from './types.ts';

export interface ApplyChange {
  readonly changedWorkloads: readonly Workload[];
  readonly removedWorkloads: readonly Workload[];
  readonly policiesChanged: boolean;
  readonly routesChanged: boolean;
}

/** The policies that judge connections to a workload, and the keys that it names and nobody knows. */
export interface EffectivePolicies {
  readonly policies: readonly Policy[];
  readonly missing: readonly NamespacedKey[];
}

export interface ServiceEndpoint {
  readonly workload: Workload;
  readonly ports: readonly PortMapping[];
}

interface EndpointSet {
  readonly byUid: Map<string, ServiceEndpoint>;
  /** Null after a change, until asked for again. */
  list: readonly ServiceEndpoint[] | null;
}

const noEndpoints: readonly ServiceEndpoint[] = Object.freeze([]);

/** Holds a mesh; `apply` changes it, everything else reads. */
export class MeshIndex {
  readonly #workloads = new Map<string, Workload>();
  readonly #services = new Map<NamespacedKey, Service>();
  readonly #policies = new PolicyTable();
  /** Best first, see `rankOf`. */
  readonly #byAddress = new Map<string, readonly Workload[]>();
  readonly #byNode = new MultiMap<string, Workload>();
  /** In the order of their keys, so that every thread answers alike. */
  readonly #byVip = new Map<string, readonly Service[]>();
  readonly #byVipNetwork = new CidrTable<readonly Service[]>();
  readonly #byHostname = new Map<string, readonly Service[]>();
  readonly #endpoints = new Map<NamespacedKey, EndpointSet>();
  readonly #routes = new Map<NamespacedKey, ServiceRoutes>();
  #version = 0;

  /** Another number after each change: who has looked something up since need not look again. */
  get version(): number {
    return this.#version;
  }

  /**
   * Takes a change in. Of a complete update, objects equal to those held are kept and not reported as changed.
   * Policies come in first: at no time is a workload seen without a policy that came with it.
   */
  apply(update: MeshUpdate): ApplyChange {
    this.#version++;
    const policiesChanged = this.#policies.apply(update);
    const routesChanged = this.#applyRoutes(update);
    const removedWorkloads: Workload[] = [];
    for (const name of update.complete ? this.#absentFrom(update) : update.removedAddresses) {
      const workload = this.#workloads.get(name);
      if (workload !== undefined) {
        this.#removeWorkload(workload);
        removedWorkloads.push(workload);
      } else this.#removeService(name);
    }
    for (const service of update.services) {
      if (update.complete && isDeepStrictEqual(this.#services.get(serviceKey(service)), service)) continue;
      this.#addService(service);
    }
    const changedWorkloads = update.workloads.filter(
      (workload) => !(update.complete && isDeepStrictEqual(this.#workloads.get(workload.uid), workload)),
    );
    for (const workload of changedWorkloads) this.#addWorkload(workload);
    return { changedWorkloads, removedWorkloads, policiesChanged, routesChanged };
  }

  workloadByUid(uid: string): Workload | null {
    return this.#workloads.get(uid) ?? null;
  }

  /**
   * By canonical address; pods before others, enrolled before others. Host-network workloads are not found by address.
   */
  workloadByAddress(ip: string): Workload | null {
    return this.#byAddress.get(ip)?.[0] ?? null;
  }

  /** `clientNamespace` null: the client is unknown, and every service is visible. */
  serviceByVip(ip: string, clientNamespace: string | null): Service | null {
    const exact = this.#byVip.get(ip);
    if (exact !== undefined) {
      const best = bestFor(exact, clientNamespace);
      if (best !== null) return best;
    }
    if (this.#byVipNetwork.size === 0) return null;
    // A service of the client's own namespace wins over a narrower network; then the narrower, then the canonical one.
    const byNetwork = this.#byVipNetwork.matches(ip).map((match) => bestFor(match.value, clientNamespace));
    const found = byNetwork.filter((service) => service !== null);
    return found.find((service) => service.namespace === clientNamespace) ?? found[0] ?? null;
  }

  /** By `NAMESPACE/HOSTNAME`. */
  serviceByKey(key: NamespacedKey): Service | null {
    return this.#services.get(key) ?? null;
  }

  /**
   * What this waypoint does for a service, by its key; the same object until it changes. Null for one with the
   * defaults.
   */
  routesOf(service: NamespacedKey): ServiceRoutes | null {
    return this.#routes.get(service) ?? null;
  }

  routes(): IterableIterator<ServiceRoutes> {
    return this.#routes.values();
  }

  /** Visibility and ranking as in `serviceByVip`. */
  serviceByHostname(hostname: string, clientNamespace: string | null): Service | null {
    return bestFor(this.#byHostname.get(hostname) ?? [], clientNamespace);
  }

  /** Every endpoint, healthy or not. The array is the same until something about it changes. */
  endpointsOf(key: NamespacedKey): readonly ServiceEndpoint[] {
    const set = this.#endpoints.get(key);
    if (set === undefined) return noEndpoints;
    set.list ??= [...set.byUid.values()];
    return set.list;
  }

  /** Cached: the same object until a policy or the workload changes. */
  policiesFor(workload: Workload): EffectivePolicies {
    return this.#policies.effectiveFor(workload);
  }

  workloadsOnNode(node: string): readonly Workload[] {
    return [...this.#byNode.get(node)];
  }

  workloads(): IterableIterator<Workload> {
    return this.#workloads.values();
  }

  services(): IterableIterator<Service> {
    return this.#services.values();
  }

  policies(): IterableIterator<Policy> {
    return this.#policies.values();
  }

  #absentFrom(update: MeshUpdate): string[] {
    const uids = new Set(update.workloads.map((workload) => workload.uid));
    const keys = new Set(update.services.map(serviceKey));
    return [
      ...[...this.#workloads.keys()].filter((uid) => !uids.has(uid)),
      ...[...this.#services.keys()].filter((key) => !keys.has(key)),
    ];
  }

  #addWorkload(workload: Workload): void {
    const before = this.#workloads.get(workload.uid);
    if (before !== undefined) this.#removeWorkload(before);
    this.#workloads.set(workload.uid, workload);
    if (workload.node !== '') this.#byNode.add(workload.node, workload);
    if (!workload.hostNetwork) {
      for (const ip of workload.addresses) addSorted(this.#byAddress, ip, workload, compareForAddress);
    }
    for (const [key, ports] of Object.entries(workload.services)) {
      const set = this.#endpoints.get(key) ?? { byUid: new Map(), list: null };
      set.byUid.set(workload.uid, { workload, ports });
      set.list = null;
      this.#endpoints.set(key, set);
    }
  }

  #removeWorkload(workload: Workload): void {
    this.#workloads.delete(workload.uid);
    this.#byNode.delete(workload.node, workload);
    if (!workload.hostNetwork) for (const ip of workload.addresses) removeFrom(this.#byAddress, ip, workload);
    for (const key of Object.keys(workload.services)) {
      const set = this.#endpoints.get(key);
      if (set === undefined) continue;
      set.byUid.delete(workload.uid);
      set.list = null;
      if (set.byUid.size === 0) this.#endpoints.delete(key);
    }
  }

  #applyRoutes({ routes = [], removedRoutes = [], complete }: MeshUpdate): boolean {
    let isChanged = false;
    const named = new Set(routes.map(({ service }) => service));
    for (const key of complete ? [...this.#routes.keys()].filter((each) => !named.has(each)) : removedRoutes) {
      isChanged = this.#routes.delete(key) || isChanged;
    }
    for (const each of routes) {
      if (complete && isDeepStrictEqual(this.#routes.get(each.service), each)) continue;
      this.#routes.set(each.service, each);
      isChanged = true;
    }
    return isChanged;
  }

  #addService(service: Service): void {
    this.#removeService(serviceKey(service));
    this.#services.set(serviceKey(service), service);
    addSorted(this.#byHostname, service.hostname, service, compareByKey);
    for (const address of service.addresses) {
      const network = address.includes('/') ? parseCidr(address) : null;
      if (network === null) addSorted(this.#byVip, address, service, compareByKey);
      else {
        const others = this.#byVipNetwork.get(network) ?? [];
        this.#byVipNetwork.set(network, [...others, service].sort(compareByKey));
      }
    }
  }

  #removeService(key: NamespacedKey): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#services.delete(key);
    removeFrom(this.#byHostname, service.hostname, service);
    for (const address of service.addresses) {
      const network = address.includes('/') ? parseCidr(address) : null;
      if (network === null) removeFrom(this.#byVip, address, service);
      else {
        const rest = (this.#byVipNetwork.get(network) ?? []).filter((other) => other !== service);
        if (rest.length === 0) this.#byVipNetwork.delete(network);
        else this.#byVipNetwork.set(network, rest);
      }
    }
  }
}

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` of a workload. */
export function identityOf(workload: Workload): SpiffeId {
  const { trustDomain, namespace, serviceAccount } = workload;
  return `spiffe://${trustDomain || 'cluster.local'}/ns/${namespace}/sa/${serviceAccount || 'default'}`;
}

/** `NAMESPACE/HOSTNAME`, the resource name of a service. */
export function serviceKey(service: { readonly namespace: string; readonly hostname: string }): NamespacedKey {
  return `${service.namespace}/${service.hostname}`;
}

/** Same namespace as the client before canonical before first; null when none is visible to the client. */
function bestFor(candidates: readonly Service[], clientNamespace: string | null): Service | null {
  let best: Service | null = null;
  let bestRank = -1;
  for (const service of candidates) {
    const isOwn = service.namespace === clientNamespace;
    if (service.visibility === 'namespace' && clientNamespace !== null && !isOwn) continue;
    const rank = isOwn ? 2 : service.canonical ? 1 : 0;
    if (rank > bestRank) {
      best = service;
      bestRank = rank;
    }
  }
  return best;
}

/** Pod and HBONE 3, pod 2, HBONE 1, rest 0. */
function rankOf(workload: Workload): number {
  const isPod = workload.uid.split('/', 3)[2] === 'Pod';
  return (isPod ? 2 : 0) + (workload.tunnelProtocol === 'HBONE' ? 1 : 0);
}

/** An address is shared for a moment when it passes from a pod that ends to one that starts: the healthy one has it. */
function compareForAddress(a: Workload, b: Workload): number {
  return rankOf(b) - rankOf(a) || Number(b.healthy) - Number(a.healthy) || compareText(a.uid, b.uid);
}

function compareByKey(a: Service, b: Service): number {
  return compareText(serviceKey(a), serviceKey(b));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function addSorted<T>(map: Map<string, readonly T[]>, key: string, item: T, compare: (a: T, b: T) => number): void {
  const there = map.get(key);
  map.set(key, there === undefined ? [item] : [...there, item].sort(compare));
}

function removeFrom<T>(map: Map<string, readonly T[]>, key: string, item: T): void {
  const rest = (map.get(key) ?? []).filter((other) => other !== item);
  if (rest.length === 0) map.delete(key);
  else map.set(key, rest);
}
