// Which endpoint a request goes to. Holds the endpoints of one destination (a service's port, or a subset of it) with
// their state, which outlives every change of the mesh that does not concern them. A pick allocates nothing.
//
//   MeshIndex.endpointsOf ──update──▶ endpoints ──▶ levels of nearness ──▶ algorithm ──▶ the endpoint
import { addressOf } from '../../model/balance.ts';
import type { ServiceEndpoint } from '../../model/mesh-index.ts';
import type { DestinationPolicy, LoadBalancingPolicy } from '../../model/route-types.ts';
import type { Service, Workload } from '../../model/types.ts';
import { Endpoint } from './endpoint.ts';
import { type Level, levelsOf, preferenceOf } from './levels.ts';
import { noHash } from './request-hash.ts';

/** Draws of the algorithm for a request before the endpoints are gone through one by one. */
const drawsMax = 4;
/** Slots of a hash table that are looked at before any endpoint will do. */
const hashStepsMax = 256;
/** Among endpoints that are equally busy, latency decides from this ratio on. */
const muchDearer = 1.5;
/** Successive positions of weighted round robin are this far apart, which spreads them evenly (golden ratio). */
const turnStep = 0.618_033_988_749_894_9;

export interface BalancerOptions {
  /** In [0, 1). */
  readonly random: () => number;
  /** An endpoint has gone; connections to it can be let go of. */
  readonly onGone: ((endpoint: Endpoint) => void) | null;
}

export interface BalancerInput {
  readonly service: Service;
  readonly port: number;
  readonly policy: DestinationPolicy;
  /** Those of the service. */
  readonly endpoints: readonly ServiceEndpoint[];
  /** Whether a workload belongs to the subset; null for all of them. */
  readonly isMember: ((workload: Workload) => boolean) | null;
  /** The balancing proxy's own workload, for localities. */
  readonly self: Workload | null;
}

/** Balances one destination. */
export class Balancer {
  readonly #random: () => number;
  readonly #onGone: BalancerOptions['onGone'];
  readonly #byUid = new Map<string, Endpoint>();
  #policy: LoadBalancingPolicy | null = null;
  #minHealthPercent = 0;
  #preference: LoadBalancingPolicy['localityPreference'] = [];
  #self: Workload | null = null;
  #admitsUnready = false;
  #endpoints: readonly Endpoint[] = [];
  #levels: readonly Level[] = [];
  #isPanic = false;

  constructor(options: BalancerOptions) {
    this.#random = options.random;
    this.#onGone = options.onGone;
  }

  /** All endpoints that serve the port, ready or not. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** True while so few are in rotation that ejections are ignored. */
  get isPanic(): boolean {
    return this.#isPanic;
  }

  /** How many take traffic now. */
  get inRotation(): number {
    return this.#levels.reduce((sum, level) => sum + level.endpoints.length, 0);
  }

  /** Takes the mesh as it is now; what has not changed keeps its state. */
  update(input: BalancerInput, nowMs: number): void {
    const { service, port, policy, self } = input;
    this.#policy = policy.loadBalancing;
    this.#minHealthPercent = policy.outlier?.minHealthPercent ?? 0;
    this.#preference = preferenceOf(policy.loadBalancing, service.loadBalancing);
    this.#self = self;
    this.#admitsUnready = service.loadBalancing?.healthPolicy === 'allowAll';
    const mapped = service.ports.find((one) => one.servicePort === port)?.targetPort ?? 0;
    const sinceMs = this.#byUid.size === 0 ? Number.NEGATIVE_INFINITY : nowMs;
    const kept = new Set<string>();
    for (const { workload, ports } of input.endpoints) {
      if (workload.addresses.length === 0 || input.isMember?.(workload) === false) continue;
      const own = ports.find((one) => one.servicePort === port)?.targetPort ?? 0;
      const targetPort = own > 0 ? own : mapped;
      if (targetPort === 0) continue;
      const address = addressOf(workload, service, service.addresses[0] ?? workload.addresses[0]!);
      kept.add(workload.uid);
      this.#take(workload, address, targetPort, sinceMs);
    }
    for (const [uid, endpoint] of this.#byUid) if (!kept.has(uid)) this.#remove(endpoint);
    this.#endpoints = [...this.#byUid.values()];
    this.#levels = this.#buildLevels(this.#levels);
  }

  /** The destination is no more. */
  clear(): void {
    for (const endpoint of [...this.#byUid.values()]) this.#remove(endpoint);
    this.#endpoints = [];
    this.#levels = [];
  }

  /** An endpoint was ejected, or has come back. */
  availabilityChanged(): void {
    this.#levels = this.#buildLevels(this.#levels);
  }

  /**
   * The endpoint for a request, or null when there is none.
   * `hash` is the request's for consistent hashing, else `noHash`. `tried` are the endpoints of its tries before: they
   * come last, and a request that was tried before goes to no saturated endpoint at all.
   */
  pick(hash: number, tried: readonly Endpoint[] | null, nowMs: number): Endpoint | null {
    const levels = this.#levels;
    if (levels.length === 0) return null;
    const isHashed = hash !== noHash && this.#policy?.algorithm === 'hash';
    const level = this.#levelFor(levels, isHashed ? hash / 2 ** 32 : -1);
    const found = isHashed ? this.#byHash(level, hash, tried, nowMs) : this.#byDraw(level, tried, nowMs);
    return found ?? this.#anyOther(levels, tried, nowMs);
  }

  #byDraw(level: Level, tried: readonly Endpoint[] | null, nowMs: number): Endpoint | null {
    for (let draw = 0; draw < drawsMax; draw++) {
      const endpoint = this.#draw(level, nowMs);
      if (!isUsable(endpoint, tried, nowMs)) continue;
      if (this.#isWarm(endpoint, nowMs) || draw === drawsMax - 1) return endpoint;
    }
    return null;
  }

  #draw(level: Level, nowMs: number): Endpoint {
    const { endpoints } = level;
    if (endpoints.length === 1) return endpoints[0]!;
    switch (this.#policy?.algorithm) {
      case 'round-robin':
        return nextInTurn(level);
      case 'least-request':
        return this.#cheaperOfTwo(endpoints, nowMs);
      default:
        return atPoint(level, this.#random());
    }
  }

  /** Two at random, the cheaper one of them (power of two choices). */
  #cheaperOfTwo(endpoints: readonly Endpoint[], nowMs: number): Endpoint {
    const first = Math.floor(this.#random() * endpoints.length);
    let second = Math.floor(this.#random() * (endpoints.length - 1));
    if (second >= first) second++;
    const one = endpoints[first]!;
    const other = endpoints[second]!;
    const cost = one.cost(nowMs);
    const otherCost = other.cost(nowMs);
    // As busy and about as fast: the first, or the slightly slower one would starve while there is little to do.
    if (one.active === other.active && cost < otherCost * muchDearer) return one;
    return cost <= otherCost ? one : other;
  }

  /** The key's own endpoint, or the next one from there that can take it. */
  #byHash(level: Level, hash: number, tried: readonly Endpoint[] | null, nowMs: number): Endpoint | null {
    const settings = this.#policy!.hash;
    const table = level.table(settings?.table ?? 'ring', settings?.size ?? 1024);
    let slot = table.first(hash);
    for (let step = 1; slot >= 0 && step <= hashStepsMax; step++) {
      const endpoint = level.readyAt(table.at(slot));
      if ((!endpoint.ejected || this.#isPanic) && isUsable(endpoint, tried, nowMs)) return endpoint;
      slot = table.next(slot, step);
    }
    return null;
  }

  /** Nothing suitable was drawn: one that was not tried and is not saturated; failing that, the lesser evil. */
  #anyOther(levels: readonly Level[], tried: readonly Endpoint[] | null, nowMs: number): Endpoint | null {
    const isRetry = tried !== null && tried.length > 0;
    let tolerable: Endpoint | null = null;
    for (const { endpoints } of levels) {
      const start = Math.floor(this.#random() * endpoints.length);
      for (let at = 0; at < endpoints.length; at++) {
        const endpoint = endpoints[(start + at) % endpoints.length]!;
        if (isUsable(endpoint, tried, nowMs)) return endpoint;
        // A retry may go where it was before when nobody else is there, but not where there is no room.
        if (tolerable === null && (!isRetry || endpoint.saturatedUntilMs <= nowMs)) tolerable = endpoint;
      }
    }
    return tolerable;
  }

  /** Slow start: an endpoint that is still warming up is passed over more often the younger it is. */
  #isWarm(endpoint: Endpoint, nowMs: number): boolean {
    const slow = this.#policy?.slowStart;
    if (slow == null || slow.windowMs <= 0 || this.#policy?.algorithm === 'random') return true;
    const age = nowMs - endpoint.sinceMs;
    if (age >= slow.windowMs) return true;
    const grown = Math.max(age, 1) / slow.windowMs;
    const aggression = slow.aggression > 0 ? slow.aggression : 1;
    return this.#random() < Math.max(slow.minPercent / 100, grown ** (1 / aggression));
  }

  #levelFor(levels: readonly Level[], hashPoint: number): Level {
    if (levels.length === 1) return levels[0]!;
    const point = hashPoint >= 0 ? hashPoint : this.#random();
    for (const level of levels) if (point < level.upTo) return level;
    return levels.at(-1)!;
  }

  #take(workload: Workload, address: string, port: number, sinceMs: number): void {
    const before = this.#byUid.get(workload.uid);
    let endpoint = before;
    if (before === undefined || before.address !== address || before.port !== port) {
      if (before !== undefined) this.#remove(before);
      endpoint = new Endpoint(workload, address, port, sinceMs);
      this.#byUid.set(workload.uid, endpoint);
    }
    endpoint!.workload = workload;
    endpoint!.weight = workload.capacity > 0 ? workload.capacity : 1;
  }

  #remove(endpoint: Endpoint): void {
    this.#byUid.delete(endpoint.uid);
    endpoint.gone = true;
    this.#onGone?.(endpoint);
  }

  #buildLevels(before: readonly Level[]): readonly Level[] {
    const isReady = (endpoint: Endpoint): boolean => endpoint.workload.healthy || this.#admitsUnready;
    const ready = this.#endpoints.filter(isReady);
    const well = ready.filter((endpoint) => !endpoint.ejected).length;
    // None left (the others are not ready any more): better one that was ejected than nobody.
    this.#isPanic = well === 0 || well * 100 < ready.length * this.#minHealthPercent;
    const levels = levelsOf({
      endpoints: this.#endpoints,
      preference: this.#preference,
      localities: this.#policy?.localities ?? null,
      self: this.#self,
      isReady,
      isPanic: this.#isPanic,
    });
    for (const [at, level] of levels.entries()) if (before[at] !== undefined) level.inherit(before[at]);
    return levels;
  }
}

function isUsable(endpoint: Endpoint, tried: readonly Endpoint[] | null, nowMs: number): boolean {
  return endpoint.saturatedUntilMs <= nowMs && (tried === null || !tried.includes(endpoint));
}

function nextInTurn(level: Level): Endpoint {
  const { endpoints, cumulative } = level;
  if (cumulative === null) {
    level.turn = (Math.floor(level.turn) + 1) % endpoints.length;
    return endpoints[level.turn]!;
  }
  level.turn = (level.turn + turnStep) % 1;
  return atPoint(level, level.turn);
}

/** The endpoint at a point in [0, 1) of the level's weights. */
function atPoint(level: Level, point: number): Endpoint {
  const { endpoints, cumulative } = level;
  if (cumulative === null) return endpoints[Math.floor(point * endpoints.length)]!;
  const wanted = point * cumulative[cumulative.length - 1]!;
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! <= wanted) low = middle + 1;
    else high = middle;
  }
  return endpoints[low]!;
}
