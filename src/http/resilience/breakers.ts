// Circuit breakers of one destination: counters with limits (`connectionPool` of a DestinationRule). What is over a
// limit is refused at once. Per waypoint thread and destination, as Envoy's are per process.
import type { ConnectionPoolPolicy } from '../../model/route-types.ts';

/** What is limited, by the name of its limit. */
export type BreakerLimit = 'maxConnections' | 'maxPendingRequests' | 'maxRequests' | 'maxRetries';

/** Counts what is under way, refuses what is too much. A limit of 0 is none. */
export class Breakers {
  #policy: ConnectionPoolPolicy;
  #connections = 0;
  #pending = 0;
  #requests = 0;
  #retries = 0;
  readonly #overflows: Record<BreakerLimit, number> = {
    maxConnections: 0,
    maxPendingRequests: 0,
    maxRequests: 0,
    maxRetries: 0,
  };

  constructor(policy: ConnectionPoolPolicy) {
    this.#policy = policy;
  }

  /** New limits hold for what comes; nothing that is under way is ended. */
  setPolicy(policy: ConnectionPoolPolicy): void {
    this.#policy = policy;
  }

  get policy(): ConnectionPoolPolicy {
    return this.#policy;
  }

  /** Under way, by limit. */
  count(limit: BreakerLimit): number {
    switch (limit) {
      case 'maxConnections':
        return this.#connections;
      case 'maxPendingRequests':
        return this.#pending;
      case 'maxRequests':
        return this.#requests;
      case 'maxRetries':
        return this.#retries;
    }
  }

  /** Refused so far, by limit. */
  overflows(limit: BreakerLimit): number {
    return this.#overflows[limit];
  }

  /** Takes a place; false, and counted, when there is none. */
  tryAcquire(limit: BreakerLimit): boolean {
    const max = this.#policy[limit];
    if (max > 0 && this.count(limit) >= max) {
      this.#overflows[limit]++;
      return false;
    }
    this.#add(limit, 1);
    return true;
  }

  /** Gives a place back. */
  release(limit: BreakerLimit): void {
    this.#add(limit, -1);
  }

  #add(limit: BreakerLimit, by: 1 | -1): void {
    switch (limit) {
      case 'maxConnections':
        this.#connections += by;
        break;
      case 'maxPendingRequests':
        this.#pending += by;
        break;
      case 'maxRequests':
        this.#requests += by;
        break;
      case 'maxRetries':
        this.#retries += by;
        break;
    }
  }
}
