// Endpoints in levels of nearness, and how much of the traffic each level gets: the nearest all of it until too few of
// it are well, then the next one its share (Envoy's priorities, overprovisioning factor 1.4).
import type { LoadBalancingPolicy, LocalityRules } from '../../model/route-types.ts';
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
  /** What is written about localities; null for nothing. */
  readonly localities: LocalityRules | null;
  /** Where the balancing proxy is; null while that is unknown. */
  readonly self: Workload | null;
  readonly isReady: (endpoint: Endpoint) => boolean;
  /** Ejections do not count: too few would be left. */
  readonly isPanic: boolean;
}

/** The levels, nearest first, those without an endpoint in rotation left out; [] when there is none at all. */
export function levelsOf(input: LevelInput): Level[] {
  const scopes = byNearness.filter((scope) => input.preference.includes(scope));
  const shares = sharesOf(input);
  if (shares !== null) return distributed(input, shares);
  const failoverTo = failoverRegion(input);
  const groups: Endpoint[][] = Array.from({ length: scopes.length + 2 }, () => []);
  for (const endpoint of input.endpoints) {
    const near = levelOf(scopes, input.self, endpoint.workload);
    const isLast = near === scopes.length && failoverTo !== null && endpoint.workload.locality?.region !== failoverTo;
    groups[isLast ? near + 1 : near]!.push(endpoint);
  }
  const present = groups.map((all) => partOf(all, input)).filter((part) => part.usable.length > 0);
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

interface Part {
  readonly ready: readonly Endpoint[];
  readonly usable: readonly Endpoint[];
  /** How much of its traffic it can carry, 0 to 1. */
  readonly health: number;
}

function partOf(all: readonly Endpoint[], { isReady, isPanic }: LevelInput): Part {
  const ready = all.filter(isReady).sort(byUid);
  const usable = isPanic ? ready : ready.filter((endpoint) => !endpoint.ejected);
  return { ready, usable, health: Math.min((overprovisioning * usable.length) / Math.max(all.length, 1), 1) };
}

/** The shares of the first distribution that is about where the proxy is; null where none is. */
function sharesOf({ localities, self }: LevelInput): LocalityRules['distribute'][number]['to'] | null {
  if (localities === null || self === null) return null;
  return localities.distribute.find(({ from }) => isWithin(from, self))?.to ?? null;
}

/** A level for each share, beside each other; as in Envoy, a share shrinks with the health of what it is for. */
function distributed(input: LevelInput, shares: LocalityRules['distribute'][number]['to']): Level[] {
  const left = new Set(input.endpoints);
  // The narrower locality has the endpoint.
  const byWidth = [...shares].sort(([a], [b]) => widthOf(a) - widthOf(b));
  const parts = byWidth.map(([locality, weight]) => {
    const all = [...left].filter((endpoint) => isWithin(locality, endpoint.workload));
    for (const endpoint of all) left.delete(endpoint);
    return { ...partOf(all, input), weight };
  });
  const present = parts.filter((part) => part.usable.length > 0);
  const total = present.reduce((sum, part) => sum + part.weight * part.health, 0);
  let upTo = 0;
  return present.map(({ ready, usable, health, weight }, at) => {
    upTo = at === present.length - 1 ? 1 : upTo + (weight * health) / total;
    return new Level(ready, usable, upTo);
  });
}

/** The region that stands in for the proxy's own; null for none. */
function failoverRegion({ localities, self }: LevelInput): string | null {
  const region = self?.locality?.region ?? '';
  if (localities === null || region === '') return null;
  return localities.failover.find(({ from }) => from === region)?.to ?? null;
}

/** True for a workload in `REGION/ZONE/SUBZONE`, where `*` stands for all that follows. */
function isWithin(pattern: string, { locality }: Workload): boolean {
  const own = [locality?.region ?? '', locality?.zone ?? '', locality?.subzone ?? ''];
  for (const [at, part] of pattern.split('/').entries()) {
    if (part === '*') return true;
    if (own[at] !== part) return false;
  }
  return true;
}

/** 0 for a subzone, 3 for everywhere. */
function widthOf(pattern: string): number {
  return 3 - pattern.split('/').filter((part) => part !== '*').length;
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
