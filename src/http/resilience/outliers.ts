// Outlier detection: endpoints that keep failing go out of rotation for a while, longer each time (Envoy's semantics,
// l7.md §4.5), made safe for services of few endpoints: one may always be ejected, whatever the percentage says, and
// the last one in rotation never is.
import type { OutlierPolicy } from '../../model/route-types.ts';
import type { Endpoint, OutlierRecord } from '../balance/endpoint.ts';

/** How a try went, for the statistics. */
export type LocalFailure = 'connect' | 'timeout' | 'reset';

export interface OutlierEvent {
  readonly endpoint: Endpoint;
  readonly kind: 'ejected' | 'returned';
  /** Why, by the name of the policy's field; '' on return. */
  readonly reason: string;
  /** How long, in milliseconds; 0 on return. */
  readonly forMs: number;
}

export interface OutlierOptions {
  /** All of the destination. */
  readonly endpoints: () => readonly Endpoint[];
  readonly onEvent: (event: OutlierEvent) => void;
}

/** Watches the endpoints of one destination. */
export class OutlierDetector {
  readonly #options: OutlierOptions;
  #policy: OutlierPolicy;
  #sweptMs: number;

  constructor(policy: OutlierPolicy, options: OutlierOptions, nowMs: number) {
    this.#policy = policy;
    this.#options = options;
    this.#sweptMs = nowMs;
  }

  setPolicy(policy: OutlierPolicy): void {
    this.#policy = policy;
  }

  /** An answer of the endpoint; a gRPC call's with its status turned into HTTP's. */
  answered(endpoint: Endpoint, status: number, nowMs: number): void {
    const record = endpoint.outlier;
    record.consecutiveLocal = 0;
    record.requests++;
    if (status < 500) {
      record.successes++;
      record.consecutive5xx = 0;
      record.consecutiveGateway = 0;
      record.unanswered = 0;
      return;
    }
    this.#count5xx(endpoint, status >= 502 && status <= 504, nowMs);
  }

  /** A try that got no answer. Without `splitLocalFailures` it counts as the status that the client gets. */
  failed(endpoint: Endpoint, failure: LocalFailure, nowMs: number): void {
    const record = endpoint.outlier;
    if (!this.#policy.splitLocalFailures) {
      record.requests++;
      record.unanswered++;
      // 503 or 504, which both are gateway errors, unless an answer broke off.
      this.#count5xx(endpoint, failure !== 'reset', nowMs);
      return;
    }
    record.consecutiveLocal++;
    if (record.consecutiveLocal === this.#policy.consecutiveLocalFailures) {
      const reason = `${record.consecutiveLocal} tries in a row without an answer`;
      this.#eject(endpoint, 'consecutiveLocalFailures', reason, nowMs);
    }
  }

  /** Brings endpoints back whose time is over; once per interval, looks at success rates. Cheap when nothing is due. */
  tick(nowMs: number): void {
    if (nowMs - this.#sweptMs < this.#policy.intervalMs) return;
    this.#sweptMs = nowMs;
    const endpoints = this.#options.endpoints();
    for (const endpoint of endpoints) this.#relax(endpoint, nowMs);
    this.#ejectBySuccessRate(endpoints, nowMs);
    for (const { outlier } of endpoints) {
      outlier.requests = 0;
      outlier.successes = 0;
    }
  }

  /** When an endpoint that is out comes back, if it is asked for then: with the sweep after its time. */
  returnsAtMs({ outlier }: Endpoint): number {
    const { intervalMs } = this.#policy;
    const sweeps = Math.ceil((outlier.ejectedUntilMs - this.#sweptMs) / Math.max(intervalMs, 1));
    return this.#sweptMs + Math.max(sweeps, 1) * intervalMs;
  }

  /** Every endpoint is in rotation again: the policy is gone. */
  close(): void {
    for (const endpoint of this.#options.endpoints()) if (endpoint.ejected) this.#return(endpoint);
  }

  #count5xx(endpoint: Endpoint, isGatewayError: boolean, nowMs: number): void {
    const record = endpoint.outlier;
    const { consecutive5xx, consecutiveGatewayErrors } = this.#policy;
    record.consecutive5xx++;
    record.consecutiveGateway = isGatewayError ? record.consecutiveGateway + 1 : 0;
    if (record.consecutiveGateway === consecutiveGatewayErrors && isGatewayError) {
      this.#eject(endpoint, 'consecutiveGatewayErrors', wordsFor(record, 'consecutiveGateway'), nowMs);
    } else if (record.consecutive5xx === consecutive5xx) {
      this.#eject(endpoint, 'consecutive5xx', wordsFor(record, 'consecutive5xx'), nowMs);
    }
  }

  #relax(endpoint: Endpoint, nowMs: number): void {
    const record = endpoint.outlier;
    if (!endpoint.ejected) {
      if (record.ejections > 0) record.ejections--;
      return;
    }
    if (nowMs >= record.ejectedUntilMs) this.#return(endpoint);
  }

  #return(endpoint: Endpoint): void {
    const record = endpoint.outlier;
    record.consecutive5xx = 0;
    record.consecutiveGateway = 0;
    record.consecutiveLocal = 0;
    record.unanswered = 0;
    endpoint.ejected = false;
    this.#options.onEvent({ endpoint, kind: 'returned', reason: '', forMs: 0 });
  }

  #eject(endpoint: Endpoint, reason: string, words: string, nowMs: number): void {
    const record = endpoint.outlier;
    record.consecutive5xx = 0;
    record.consecutiveGateway = 0;
    record.consecutiveLocal = 0;
    record.unanswered = 0;
    if (endpoint.ejected || endpoint.gone || !this.#mayEject(endpoint)) return;
    const { baseEjectionMs, maxEjectionMs } = this.#policy;
    const max = Math.max(maxEjectionMs, baseEjectionMs);
    if (record.ejections * baseEjectionMs < max + baseEjectionMs) record.ejections++;
    const forMs = Math.min(baseEjectionMs * record.ejections, max);
    record.ejectedUntilMs = nowMs + forMs;
    record.ejectedSinceMs = nowMs;
    record.reason = words;
    endpoint.ejected = true;
    this.#options.onEvent({ endpoint, kind: 'ejected', reason, forMs });
  }

  /** Ready ones count: an endpoint that is not ready carries no traffic that another one could take over. */
  #mayEject(endpoint: Endpoint): boolean {
    let ready = 0;
    let ejected = 0;
    for (const one of this.#options.endpoints()) {
      if (!one.workload.healthy && one !== endpoint) continue;
      ready++;
      if (one.ejected) ejected++;
    }
    if (ready - ejected <= 1) return false;
    return ejected === 0 || (ejected + 1) * 100 <= ready * this.#policy.maxEjectionPercent;
  }

  /** Those whose share of successes is far below the mean of all (mean minus so many standard deviations). */
  #ejectBySuccessRate(endpoints: readonly Endpoint[], nowMs: number): void {
    const policy = this.#policy.successRate;
    if (policy === null) return;
    const counted = endpoints.filter((one) => !one.ejected && one.outlier.requests >= policy.requestVolume);
    if (counted.length === 0 || counted.length < policy.minimumHosts) return;
    const rates = counted.map(({ outlier }) => outlier.successes / outlier.requests);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    const threshold = mean - policy.stdevFactor * Math.sqrt(variance);
    for (const [at, endpoint] of counted.entries()) {
      const rate = rates[at]!;
      if (rate >= threshold) continue;
      const reason = `${percent(rate)} of its answers were good; all endpoints together: ${percent(mean)}`;
      this.#eject(endpoint, 'successRate', reason, nowMs);
    }
  }
}

/** `5 answers of 500 to 599 in a row`, with how many were no answers. */
function wordsFor(record: OutlierRecord, row: 'consecutive5xx' | 'consecutiveGateway'): string {
  const count = record[row];
  const unanswered = Math.min(record.unanswered, count);
  if (unanswered === count) return `${count} tries in a row without an answer`;
  const what = row === 'consecutive5xx' ? 'answers of 500 to 599' : 'answers of 502 to 504';
  if (unanswered === 0) return `${count} ${what} in a row`;
  return `${count} failures in a row: ${count - unanswered} ${what}, ${unanswered} without an answer`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
