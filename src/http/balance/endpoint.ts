// One endpoint of a destination as balancing and outlier detection know it: what is in flight, how fast it answers,
// whether it is out of rotation. Plain fields: several are read per request.
import type { Workload } from '../../model/types.ts';

/** A measurement loses its weight over this time. */
const decayMs = 10_000;
/** Keeps the number of requests in flight decisive among endpoints that answer in next to no time. */
const latencyFloorMs = 5;
/** What a failure without an answer counts as: other endpoints are preferred for a while. */
const failurePenaltyMs = 1000;

/** Counters of outlier detection; owned by `resilience/outliers.ts`. */
export class OutlierRecord {
  consecutive5xx = 0;
  consecutiveGateway = 0;
  consecutiveLocal = 0;
  /** How often it was ejected lately: what the time out of rotation is multiplied by. */
  ejections = 0;
  ejectedUntilMs = 0;
  ejectedSinceMs = 0;
  /** What it was ejected for, in words. */
  reason = '';
  /** How many of `consecutive5xx` got no answer at all. */
  unanswered = 0;
  /** Of the current sweep interval. */
  requests = 0;
  successes = 0;
}

/** An endpoint; the same object as long as its address and port stay. */
export class Endpoint {
  readonly uid: string;
  readonly address: string;
  readonly port: number;
  /** When it joined; -Infinity for those that were there first, which have nothing to warm up. */
  readonly sinceMs: number;
  readonly outlier = new OutlierRecord();
  /** Replaced when news of it come. */
  workload: Workload;
  weight = 1;
  /** Requests in flight. */
  active = 0;
  /** Out of rotation by outlier detection. */
  ejected = false;
  /** No longer an endpoint: what it has may end, nothing new begins. */
  gone = false;
  /** It takes no more until then: its connections are full, or it asked to be spared. */
  saturatedUntilMs = 0;
  /** Its last try failed without an answer. */
  failing = false;
  #latencyMs = 0;
  #measuredMs = 0;

  constructor(workload: Workload, address: string, port: number, sinceMs: number) {
    this.uid = workload.uid;
    this.workload = workload;
    this.address = address;
    this.port = port;
    this.sinceMs = sinceMs;
  }

  /** Its address and port, an IPv6 address in brackets. */
  get title(): string {
    return this.address.includes(':') ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  /** Latency as of now: a peak counts at once and fades (peak EWMA, as in Finagle). Milliseconds. */
  latencyMs(nowMs: number): number {
    if (this.#latencyMs === 0) return 0;
    return this.#latencyMs * Math.exp((this.#measuredMs - nowMs) / decayMs);
  }

  /** What one more request costs here, for comparison; lower is better. */
  cost(nowMs: number): number {
    return ((this.latencyMs(nowMs) + latencyFloorMs) * (this.active + 1)) / this.weight;
  }

  /** Takes in how long the head of an answer took. A fast failure does not make an endpoint look fast. */
  measured(latencyMs: number, isFailure: boolean, nowMs: number): void {
    const before = this.latencyMs(nowMs);
    if (latencyMs >= before) this.#latencyMs = latencyMs;
    else if (isFailure) this.#latencyMs = before;
    else {
      const kept = Math.exp(Math.min(this.#measuredMs - nowMs, 0) / decayMs);
      // At least a tenth of the new: requests in quick succession bring a peak down as well.
      const weight = Math.min(kept, 0.9);
      this.#latencyMs = before * weight + latencyMs * (1 - weight);
    }
    this.#measuredMs = nowMs;
  }

  /** Takes in that a try ended without an answer. */
  failed(nowMs: number): void {
    this.failing = true;
    this.measured(failurePenaltyMs, true, nowMs);
  }
}
