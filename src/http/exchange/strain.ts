// What a thread holds back now, for those who ask: endpoints out of rotation, and limits that refuse requests or tries.
import type { ConnectionPoolPolicy, DestinationPolicy } from '../../model/route-types.ts';
import type { EjectedListView, EjectedView, RefusingView } from '../../model/views.ts';
import type { Destination } from '../balance/destination.ts';
import type { RefusingLimit } from '../resilience/refusals.ts';

/**
 * The strain of all destinations. `nowMs` is of their clock, `wallMs` the same moment since the epoch. An endpoint
 * whose time is over is not among them, though nobody may have asked for it since.
 */
export function strainOf(destinations: readonly Destination[], nowMs: number, wallMs: number): EjectedListView {
  const at = (ms: number): string => new Date(wallMs + ms - nowMs).toISOString();
  return {
    ejected: destinations.flatMap((one) => ejectedOf(one, nowMs, at)),
    refusing: destinations.flatMap((one) => refusingOf(one, nowMs, at)),
  };
}

function ejectedOf(destination: Destination, nowMs: number, at: (ms: number) => string): EjectedView[] {
  const { service, subset } = destination;
  const ejected = destination.endpoints.filter((one) => one.ejected && destination.returnsAtMs(one) > nowMs);
  return ejected.map((endpoint) => ({
    service: `${service.namespace}/${service.name}`,
    namespace: endpoint.workload.namespace,
    workload: endpoint.workload.name,
    address: endpoint.title,
    since: at(endpoint.outlier.ejectedSinceMs),
    until: at(destination.returnsAtMs(endpoint)),
    reason: endpoint.outlier.reason,
    subset,
  }));
}

function refusingOf(destination: Destination, nowMs: number, at: (ms: number) => string): RefusingView[] {
  const { service, port, subset, policy } = destination;
  return destination.refusals.running(nowMs).map(({ limit, sinceMs, lastMs, refused }) => ({
    service: `${service.namespace}/${service.name}`,
    port,
    subset,
    limit,
    value: valueOfLimit(limit, destination),
    since: at(sinceMs),
    lastAt: at(lastMs),
    refused,
    reason: wordsFor(limit, policy),
  }));
}

function valueOfLimit(limit: RefusingLimit, { policy, concurrency }: Destination): number {
  if (limit === 'retryBudget') return policy.retryBudget.ratio;
  if (limit === 'adaptiveConcurrency') return concurrency?.limit ?? 0;
  return policy.connectionPool[limit satisfies keyof ConnectionPoolPolicy];
}

function wordsFor(limit: RefusingLimit, { retryBudget, connectionPool }: DestinationPolicy): string {
  switch (limit) {
    case 'retryBudget': {
      const share = `${Math.round(retryBudget.ratio * 100)} % of the requests in flight`;
      const { perSecond, minConcurrency } = retryBudget;
      const beside = perSecond > 0 ? ` and ${perSecond} per second` : `, ${minConcurrency} at least`;
      return `the retry budget (${share}${beside}) is used up: no further tries`;
    }
    case 'maxRetries':
      return `${connectionPool.maxRetries} tries again are under way, as many as maxRetries allows`;
    case 'maxRequests':
      return `${connectionPool.maxRequests} requests are under way, as many as http2MaxRequests allows`;
    case 'maxPendingRequests':
      return `${connectionPool.maxPendingRequests} requests wait for a connection, as many as http1MaxPendingRequests allows`;
    case 'adaptiveConcurrency':
      return 'more at a time made the destination slower: the rest is refused';
  }
}
