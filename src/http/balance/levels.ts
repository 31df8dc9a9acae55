// Endpoints in levels of nearness, and how much of the traffic each level gets: the nearest all of it until too few of
// it are well, then the next one its share (Envoy's priorities, overprovisioning factor 1.4).
import type { LoadBalancingPolicy } from '../../model/route-types.ts';
import type { LoadBalancing, Workload } from '../../model/types.ts';
import type { Endpoint } from './endpoint.ts';
import { type HashTable, hashRing, maglevTable } from './hash-table.ts';

type Scope = LoadBalancingPolicy['localityPreference'][number];

/** A level keeps all traffic while this much more than its well endpoints could carry it: down to 71 % of them. */
const overprovisioning = 1.4;
/** Nearest first, whatever the order in a policy: who shares the narrower shares the wider. */
const byNearness: readonly Scope[] = ['node', 'subzone', 'zone', 'region'];

/** Endpoints that are equally near. */
export class Level {
  /** In rotation. */
  readonly endpoints: readonly Endpoint[];
  /** Weights summed up to and with each endpoint; null where all weigh the same. */
  readonly cumulative: Float64Array | null;
  /** Share of the traffic up to and with this level, 0 to 1. */
  readonly upTo: number;
  /** Position of round robin. */
  turn = 0;
  readonly #ready: readonly Endpoint[];
  #table: HashTable | null = null;

  constructor(ready: readonly Endpoint[], endpoints: readonly Endpoint[], upTo: number) {
    this.#ready = ready;
    this.endpoints = endpoints;
    this.upTo = upTo;
    this.cumulative = cumulativeWeights(endpoints);
  }

  /** The table of consistent hashing over all that are ready, ejected ones too; made at first use. */
  table(kind: 'ring' | 'maglev', size: number): HashTable {
    if (this.#table !== null) return this.#table;
    const members = this.#ready.map((endpoint) => ({ name: endpoint.uid, weight: endpoint.weight }));
    this.#table = kind === 'ring' ? hashRing(members, size) : maglevTable(members, size);
    return this.#table;
  }

  readyAt(index: number): Endpoint {
    return this.#ready[index]!;
  }

  /** Takes over what makes sense to keep from the level in the same place before. */
  inherit(before: Level): void {
    this.turn = before.turn;
    const isSame =
      before.#ready.length === this.#ready.length &&
      before.#ready.every((endpoint, at) => {
        const now = this.#ready[at]!;
        return endpoint.uid === now.uid && endpoint.weight === now.weight;
      });
    if (isSame) this.#table = before.#table;
  }
}

export interface LevelInput {
  readonly endpoints: readonly Endpoint[];
  readonly preference: readonly Scope[];
  /** Where the balancing proxy is; null while that is unknown. */
  readonly self: Workload | null;
  readonly isReady: (endpoint: Endpoint) => boolean;
  /** Ejections do not count: too few would be left. */
  readonly isPanic: boolean;
}

/** The levels, nearest first, those without an endpoint in rotation left out; [] when there is none at all. */
export function levelsOf(input: LevelInput): Level[] {
  const scopes = byNearness.filter((scope) => input.preference.includes(scope));
  const groups: Endpoint[][] = Array.from({ length: scopes.length + 1 }, () => []);
  for (const endpoint of input.endpoints) groups[levelOf(scopes, input.self, endpoint.workload)]!.push(endpoint);
  const parts = groups.map((all) => {
    const ready = all.filter(input.isReady).sort(byUid);
    const usable = input.isPanic ? ready : ready.filter((endpoint) => !endpoint.ejected);
    return { ready, usable, health: Math.min((overprovisioning * usable.length) / Math.max(all.length, 1), 1) };
  });
  const present = parts.filter((part) => part.usable.length > 0);
  const total = Math.min(
    present.reduce((sum, part) => sum + part.health, 0),
    1,
  );
  let upTo = 0;
  return present.map(({ ready, usable, health }, at) => {
    upTo = at === present.length - 1 ? 1 : Math.min(upTo + health / total, 1);
    return new Level(ready, usable, upTo);
  });
}

/** The nearest scope that is shared; past the last scope when none is. */
function levelOf(scopes: readonly Scope[], self: Workload | null, workload: Workload): number {
  if (self === null) return 0;
  const found = scopes.findIndex((scope) => isShared(scope, self, workload));
  return found < 0 ? scopes.length : found;
}

function isShared(scope: Scope, self: Workload, other: Workload): boolean {
  if (scope === 'node') return self.node !== '' && self.node === other.node;
  const here = self.locality;
  const there = other.locality;
  if (here === null || there === null || here.region !== there.region) return false;
  if (scope === 'region') return here.region !== '';
  if (here.zone !== there.zone) return false;
  return scope === 'zone' ? here.zone !== '' : here.subzone !== '' && here.subzone === there.subzone;
}

/**
 * What a destination prefers: what its policy says, else the service's own preference (`trafficDistribution`). A
 * service that keeps its traffic on the node (`internalTrafficPolicy: Local`) only prefers it here: the node of the
 * waypoint is not the client's.
 */
export function preferenceOf(policy: LoadBalancingPolicy, service: LoadBalancing | null): readonly Scope[] {
  if (policy.localityPreference.length > 0) return policy.localityPreference;
  const own = service?.routingPreference ?? [];
  return byNearness.filter((scope) => own.includes(scope));
}

function cumulativeWeights(endpoints: readonly Endpoint[]): Float64Array | null {
  const first = endpoints[0]?.weight ?? 1;
  if (endpoints.every((endpoint) => endpoint.weight === first)) return null;
  const sums = new Float64Array(endpoints.length);
  let sum = 0;
  for (const [at, endpoint] of endpoints.entries()) {
    sum += endpoint.weight;
    sums[at] = sum;
  }
  return sums;
}

function byUid(a: Endpoint, b: Endpoint): number {
  return a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : a.port - b.port;
}
