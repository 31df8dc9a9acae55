// All that a waypoint thread keeps about one destination: its endpoints and who of them gets a request, its breakers,
// retry budget, ejections and concurrency. `Destinations` holds them; the exchange asks one for each request:
//
//   of(service, port, subset) ─▶ admit ─▶ pick ─▶ begin … answered | failed ─▶ end     (per try: pick to end)
//                                     └─ beginRetry ◀──────────────────────┘            release at the very end
import type { ServiceEndpoint } from '../../model/mesh-index.ts';
import type { DestinationPolicy } from '../../model/route-types.ts';
import type { Service, Workload } from '../../model/types.ts';
import type { RequestHead } from '../message.ts';
import { AdaptiveConcurrency } from '../resilience/adaptive-concurrency.ts';
import { Breakers } from '../resilience/breakers.ts';
import { isHealthRequest } from '../resilience/health-request.ts';
import { type LocalFailure, OutlierDetector, type OutlierEvent } from '../resilience/outliers.ts';
import { Refusals } from '../resilience/refusals.ts';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { Balancer } from './balancer.ts';
import type { Endpoint } from './endpoint.ts';

/** Null: let in. Otherwise the name of the limit that was reached. */
export type Admission = 'maxRequests' | 'adaptiveConcurrency' | null;
/** Null: go. Otherwise why there is no retry. */
export type RetryAdmission = 'retryBudget' | 'maxRetries' | null;

/** What the mesh says about a destination; replaced as a whole when anything of it changes. */
export interface DestinationView {
  readonly service: Service;
  readonly port: number;
  /** '' for all endpoints. */
  readonly subset: string;
  readonly policy: DestinationPolicy;
  readonly endpoints: readonly ServiceEndpoint[];
  readonly isMember: ((workload: Workload) => boolean) | null;
  readonly self: Workload | null;
}

export interface DestinationEvents {
  readonly onGone: ((endpoint: Endpoint) => void) | null;
  readonly onOutlier: ((destination: Destination, event: OutlierEvent) => void) | null;
}

/** One destination of one thread. All times are of the same clock, in milliseconds. */
export class Destination {
  readonly port: number;
  /** '' for all endpoints of the service. */
  readonly subset: string;
  readonly balancer: Balancer;
  readonly breakers: Breakers;
  readonly budget: RetryBudget;
  readonly refusals = new Refusals();
  readonly #events: DestinationEvents;
  #view: DestinationView;
  #outliers: OutlierDetector | null = null;
  #concurrency: AdaptiveConcurrency | null = null;

  constructor(view: DestinationView, random: () => number, events: DestinationEvents, nowMs: number) {
    this.port = view.port;
    this.subset = view.subset;
    this.#view = view;
    this.#events = events;
    this.balancer = new Balancer({ random, onGone: events.onGone });
    this.breakers = new Breakers(view.policy.connectionPool);
    this.budget = new RetryBudget(view.policy.retryBudget, nowMs);
    this.update(view, nowMs);
  }

  get policy(): DestinationPolicy {
    return this.#view.policy;
  }

  get service(): Service {
    return this.#view.service;
  }

  get endpoints(): readonly Endpoint[] {
    return this.balancer.endpoints;
  }

  /** Null where it is not switched on. */
  get concurrency(): AdaptiveConcurrency | null {
    return this.#concurrency;
  }

  /** Requests between `admit` and `release`. */
  get inFlight(): number {
    return this.breakers.count('maxRequests');
  }

  /** Takes a new view of the mesh; state of what stays is kept, and what is under way goes on. */
  update(view: DestinationView, nowMs: number): void {
    this.#view = view;
    const { policy } = view;
    this.breakers.setPolicy(policy.connectionPool);
    this.budget.setPolicy(policy.retryBudget);
    this.#updateOutliers(nowMs);
    if (policy.adaptiveConcurrency === null) this.#concurrency = null;
    else if (this.#concurrency === null) this.#concurrency = new AdaptiveConcurrency(policy.adaptiveConcurrency);
    else this.#concurrency.setPolicy(policy.adaptiveConcurrency);
    this.balancer.update(view, nowMs);
  }

  /** True when the view is of these very objects. */
  isOf(service: Service, endpoints: readonly ServiceEndpoint[], policy: DestinationPolicy, self: Workload | null) {
    const view = this.#view;
    return view.endpoints === endpoints && view.service === service && view.policy === policy && view.self === self;
  }

  /** Lets a request in, once for all of its tries. `release` with the same `concurrency` when it is over. */
  admit(): Admission {
    if (!this.breakers.tryAcquire('maxRequests')) return 'maxRequests';
    if (this.#concurrency === null || this.#concurrency.tryAcquire()) return null;
    this.breakers.release('maxRequests');
    return 'adaptiveConcurrency';
  }

  /**
   * A request that was let in is over. `admittedTo` is `concurrency` as it was when it was let in; `latencyMs` the time
   * to the head of its answer, negative when there was none.
   */
  release(admittedTo: AdaptiveConcurrency | null, latencyMs: number): void {
    this.breakers.release('maxRequests');
    admittedTo?.release(latencyMs);
  }

  /** Where a try goes, see `Balancer.pick`. */
  pick(hash: number, tried: readonly Endpoint[] | null, nowMs: number): Endpoint | null {
    this.#outliers?.tick(nowMs);
    return this.balancer.pick(hash, tried, nowMs);
  }

  /** True for requests whose outcome is not to be counted (probes, declared health paths). */
  isUncounted(head: RequestHead): boolean {
    return isHealthRequest(head, this.#view.policy.healthPaths);
  }

  /** A try begins on the endpoint; `end` when it is over, however. */
  begin(endpoint: Endpoint): void {
    endpoint.active++;
  }

  end(endpoint: Endpoint): void {
    endpoint.active--;
  }

  /**
   * The endpoint has answered: after `latencyMs` until the head, with this status (for gRPC, `httpStatusOfGrpc`).
   * Once per try; not for uncounted requests.
   */
  answered(endpoint: Endpoint, status: number, latencyMs: number, nowMs: number): void {
    endpoint.failing = false;
    endpoint.measured(latencyMs, status >= 500, nowMs);
    this.#outliers?.answered(endpoint, status, nowMs);
  }

  /** The try ended without an answer. Once per try; not for uncounted requests. */
  failed(endpoint: Endpoint, failure: LocalFailure, nowMs: number): void {
    endpoint.failed(nowMs);
    this.#outliers?.failed(endpoint, failure, nowMs);
  }

  /**
   * Asks for a place for a retry that `RetryRules.decide` is for; it is given back with `endRetry`. A try that reached
   * no application is made again outside the budget as long as the next endpoint is not failing too: that adds nothing
   * to what the endpoints get. When all of them fail, the budget holds for those as well.
   */
  beginRetry(next: Endpoint, wasUntouched: boolean, nowMs: number): RetryAdmission {
    const refused = this.#refuseRetry(next, wasUntouched, nowMs);
    if (refused !== null) this.refusals.note(refused, nowMs);
    return refused;
  }

  #refuseRetry(next: Endpoint, wasUntouched: boolean, nowMs: number): RetryAdmission {
    if (!this.breakers.tryAcquire('maxRetries')) return 'maxRetries';
    if (wasUntouched && !next.failing) this.budget.acquire();
    else if (!this.budget.tryAcquire(this.inFlight, nowMs)) {
      this.breakers.release('maxRetries');
      return 'retryBudget';
    }
    return null;
  }

  /** When an endpoint that is ejected comes back, if it is asked for then. */
  returnsAtMs(endpoint: Endpoint): number {
    return this.#outliers?.returnsAtMs(endpoint) ?? 0;
  }

  endRetry(): void {
    this.breakers.release('maxRetries');
    this.budget.release();
  }

  #updateOutliers(nowMs: number): void {
    const { outlier } = this.#view.policy;
    if (outlier !== null && this.#outliers !== null) this.#outliers.setPolicy(outlier);
    else if (outlier !== null) {
      const onEvent = (event: OutlierEvent): void => {
        this.balancer.availabilityChanged();
        this.#events.onOutlier?.(this, event);
      };
      this.#outliers = new OutlierDetector(outlier, { endpoints: () => this.endpoints, onEvent }, nowMs);
    } else {
      this.#outliers?.close();
      this.#outliers = null;
    }
  }
}
