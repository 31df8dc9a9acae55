// Which endpoint of a service a connection goes to, at L4: weighted random among the eligible ones, after the locality
// preferences of the service. Semantics as in ztunnel (ambient-l4 §3.5).
import { MeshError } from '../base/errors.ts';
import { familyOf } from '../base/ip.ts';
import { type MeshIndex, type ServiceEndpoint, serviceKey } from './mesh-index.ts';
import type { AppProtocol, LoadBalancing, Service, Workload } from './types.ts';

export interface EndpointChoice {
  /** Null only for a service in pass-through mode, where the address is the destination as it was asked for. */
  readonly workload: Workload | null;
  /** Canonical. */
  readonly address: string;
  readonly targetPort: number;
}

export interface EndpointQuery {
  readonly service: Service;
  readonly port: number;
  readonly source: Workload | null;
  /** The address that was dialled: the VIP. */
  readonly destinationIp: string;
  /** Uids of endpoints that were tried already. */
  readonly exclude: ReadonlySet<string> | null;
  /** In [0, 1). */
  readonly random: () => number;
}

/** An endpoint that may be chosen for one port. */
export interface Candidate {
  readonly workload: Workload;
  readonly targetPort: number;
}

/**
 * Chooses among the endpoints of a service.
 * @throws MeshError NO_SUCH_PORT when the service has no such port, NO_ENDPOINT when none is eligible.
 */
export function chooseEndpoint(index: MeshIndex, query: EndpointQuery): EndpointChoice {
  const { service, port, destinationIp, exclude } = query;
  if (service.loadBalancing?.mode === 'passthrough') {
    return { workload: null, address: destinationIp, targetPort: port };
  }
  const all = candidatesFor(index, service, port);
  const tried = exclude !== null && exclude.size > 0 ? exclude : null;
  let candidates = preferred(all.candidates, service.loadBalancing, query.source, tried);
  if (tried !== null) candidates = candidates.filter((candidate) => !tried.has(candidate.workload.uid));
  // As a rule every candidate may be chosen: then none but the chosen one is looked at.
  const sums = candidates === all.candidates ? all.sums : sumsOf(candidates);
  const chosen = weighted(candidates, sums, query.random());
  if (chosen === null) throw new MeshError('NO_ENDPOINT', { service: service.hostname, port });
  const address = addressOf(chosen.workload, service, destinationIp);
  return { workload: chosen.workload, address, targetPort: chosen.targetPort };
}

/**
 * The endpoints that a connection may go to, after the preferences of the service; those without an address too, which
 * manifests alone know. For explanations: the data path takes `chooseEndpoint`.
 * @throws MeshError NO_SUCH_PORT when the service has no such port.
 */
export function explainableEndpoints(
  index: MeshIndex,
  service: Service,
  port: number,
  source: Workload | null,
): readonly Candidate[] {
  return preferred(eligible(index, service, port, false), service.loadBalancing, source, null);
}

interface PortCandidates {
  /** Of the index at the last look: as long as it is the same, so are the endpoints. */
  version: number;
  readonly endpoints: readonly ServiceEndpoint[];
  readonly candidates: readonly Candidate[];
  readonly sums: CapacitySums;
}

/** The capacities of the first candidate, of the first two, and so on; null where all are alike. */
type CapacitySums = readonly number[] | null;

/** By service, of one index at a time, then by port. */
const cache = new WeakMap<Service, { readonly index: MeshIndex; readonly byPort: Map<number, PortCandidates> }>();

/** What a port of a pod speaks, by the services that lead to it; `unknown` where there is none, or they disagree. */
export function protocolOfPod(workload: Workload, port: number): AppProtocol {
  const said = new Set<AppProtocol>();
  for (const mapping of Object.values(workload.services).flat()) {
    if (mapping.targetPort === port) said.add(mapping.appProtocol);
  }
  const [only = 'unknown'] = said;
  return said.size === 1 ? only : 'unknown';
}

/**
 * The endpoints that serve a port: healthy (unless the service admits all), with an address, with a target port.
 * Cached until the service or its endpoints change.
 */
function candidatesFor(index: MeshIndex, service: Service, port: number): PortCandidates {
  let ports = cache.get(service);
  if (ports?.index !== index) {
    ports = { index, byPort: new Map() };
    cache.set(service, ports);
  }
  const known = ports.byPort.get(port);
  if (known?.version === index.version) return known;
  const endpoints = index.endpointsOf(serviceKey(service));
  if (known?.endpoints === endpoints) {
    known.version = index.version;
    return known;
  }
  const candidates = eligible(index, service, port, true);
  const found = { version: index.version, endpoints, candidates, sums: sumsOf(candidates) };
  ports.byPort.set(port, found);
  return found;
}

function eligible(index: MeshIndex, service: Service, port: number, needsAddress: boolean): Candidate[] {
  const mapping = service.ports.find((one) => one.servicePort === port);
  if (mapping === undefined) throw new MeshError('NO_SUCH_PORT', { service: service.hostname, port });
  const admitsAll = service.loadBalancing?.healthPolicy === 'allowAll';
  const candidates: Candidate[] = [];
  for (const { workload, ports } of index.endpointsOf(serviceKey(service))) {
    if ((!workload.healthy && !admitsAll) || (needsAddress && workload.addresses.length === 0)) continue;
    const own = ports.find((one) => one.servicePort === port)?.targetPort ?? 0;
    const targetPort = own > 0 ? own : mapping.targetPort;
    if (targetPort > 0) candidates.push({ workload, targetPort });
  }
  return candidates;
}

/**
 * The address to dial: the one that was dialled if it is the workload's own, then by the service's families, then by
 * the caller's.
 */
export function addressOf(workload: Workload, service: Service | null, destinationIp: string): string {
  const { addresses } = workload;
  if (addresses.includes(destinationIp)) return destinationIp;
  const families = service?.ipFamilies;
  const wanted = families === 'ipv4' ? 4 : families === 'ipv6' ? 6 : familyOf(destinationIp);
  return addresses.find((address) => familyOf(address) === wanted) ?? addresses[0]!;
}

/** `exclude` counts here too: when the nearest group is used up, the next one takes over. */
function preferred(
  candidates: readonly Candidate[],
  balancing: LoadBalancing | null,
  source: Workload | null,
  exclude: ReadonlySet<string> | null,
): readonly Candidate[] {
  if (balancing === null || balancing.routingPreference.length === 0) return candidates;
  const scopes = balancing.routingPreference;
  if (balancing.mode === 'strict') {
    return candidates.filter(({ workload }) => scopes.every((scope) => sameScope(scope, source, workload)));
  }
  if (balancing.mode !== 'failover') return candidates;
  let best: Candidate[] = [];
  let bestRank = -1;
  for (const candidate of candidates) {
    if (exclude?.has(candidate.workload.uid)) continue;
    const rank = rankOf(scopes, source, candidate.workload);
    if (rank > bestRank) {
      best = [];
      bestRank = rank;
    }
    if (rank === bestRank) best.push(candidate);
  }
  return best;
}

/** How many leading scopes match. A matching network, when it comes first, outweighs all others together. */
function rankOf(scopes: LoadBalancing['routingPreference'], source: Workload | null, workload: Workload): number {
  let rank = 0;
  for (const [at, scope] of scopes.entries()) {
    const isSame = sameScope(scope, source, workload);
    if (at === 0 && scope === 'network') {
      if (isSame) rank = scopes.length;
    } else if (isSame) rank++;
    else break;
  }
  return rank;
}

function sameScope(
  scope: LoadBalancing['routingPreference'][number],
  source: Workload | null,
  workload: Workload,
): boolean {
  switch (scope) {
    case 'node':
      return (source?.node ?? '') === workload.node;
    case 'cluster':
      return (source?.clusterId ?? '') === workload.clusterId;
    case 'network':
      return (source?.network ?? '') === workload.network;
    default:
      return (source?.locality?.[scope] ?? '') === (workload.locality?.[scope] ?? '');
  }
}

function sumsOf(candidates: readonly Candidate[]): CapacitySums {
  const first = candidates[0]?.workload.capacity;
  if (candidates.every(({ workload }) => workload.capacity === first)) return null;
  let sum = 0;
  return candidates.map(({ workload }) => (sum += workload.capacity));
}

/** The candidate at `point` of all capacities, in [0, 1). */
function weighted(candidates: readonly Candidate[], sums: CapacitySums, point: number): Candidate | null {
  const count = candidates.length;
  if (count === 0) return null;
  if (sums === null) return candidates[Math.min(Math.floor(point * count), count - 1)]!;
  const at = point * sums[count - 1]!;
  return candidates[sums.findIndex((sum) => sum > at)] ?? candidates[count - 1]!;
}
