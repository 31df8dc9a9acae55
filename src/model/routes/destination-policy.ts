// How a destination is called, from what DestinationRules and TrafficPolicies say at one level and the one above it
// (l7.md §3.4): a block of a subset replaces its parent's as a whole, and the blocks of a port replace both.

import type { TrafficLevel, TrafficPolicyResource, TrafficSettings } from '../route-resources.ts';
import type {
  ConnectionPoolPolicy,
  DestinationPolicy,
  LoadBalancingPolicy,
  OutlierPolicy,
  RetryBudgetPolicy,
} from '../route-types.ts';
import type { LoadBalancing } from '../types.ts';
import { defaultConnectionPool, defaultPolicy } from './route-defaults.ts';

const nothing: TrafficSettings = { loadBalancer: null, connectionPool: null, outlier: null, retryBudget: null };
const ejectionMaxMs = 300_000;
/** Envoy's, but for `consecutiveGatewayErrors` and local failures, which count only where they are written. */
const outlierDefaults = { consecutive5xx: 5, intervalMs: 10_000, baseEjectionMs: 30_000, maxEjectionPercent: 10 };

export interface PolicySources {
  /** The Service's own trafficDistribution; null for none. */
  readonly loadBalancing: LoadBalancing | null;
  readonly traffic: TrafficPolicyResource | null;
  readonly from: readonly string[];
}

/** The policy of a level that has its blocks from `settings` alone. */
export function policyOf(settings: TrafficSettings, sources: PolicySources): DestinationPolicy {
  const base = defaultPolicy(sources.loadBalancing);
  const outlier = settings.outlier === null ? null : outlierOf(settings.outlier);
  const { traffic } = sources;
  const slowStart = traffic?.slowStart ?? settings.loadBalancer?.warmup ?? null;
  return {
    loadBalancing: {
      ...balancingOf(settings.loadBalancer),
      ...localityRulesOf(settings.loadBalancer, outlier),
      localityPreference: localities(base, settings.loadBalancer, outlier),
      slowStart,
    },
    connectionPool: poolOf(settings.connectionPool),
    outlier,
    retryBudget: traffic?.retryBudget ?? budgetOf(settings.retryBudget) ?? base.retryBudget,
    healthPaths: traffic?.healthPaths ?? [],
    adaptiveConcurrency: traffic?.adaptiveConcurrency ?? null,
    from: sources.from,
  };
}

/** The blocks of a level, with those of the level above for what it does not write. */
export function settingsOf(own: TrafficSettings | null, parent: TrafficSettings | null): TrafficSettings {
  const above = parent ?? nothing;
  return {
    loadBalancer: own?.loadBalancer ?? above.loadBalancer,
    connectionPool: own?.connectionPool ?? above.connectionPool,
    outlier: own?.outlier ?? above.outlier,
    retryBudget: own?.retryBudget ?? above.retryBudget,
  };
}

/**
 * Ports with settings of their own: what they omit is the default, not the level's; a subset's go before its rule's.
 */
export function portPoliciesOf(
  own: TrafficLevel | null,
  parent: TrafficLevel | null,
  sources: PolicySources,
): { readonly port: number; readonly policy: DestinationPolicy }[] {
  const settings = new Map<number, TrafficSettings>();
  for (const one of [...(parent?.ports ?? []), ...(own?.ports ?? [])]) settings.set(one.port, one.settings);
  const retryBudget = own?.retryBudget ?? parent?.retryBudget ?? null;
  return [...settings]
    .sort(([a], [b]) => a - b)
    .map(([port, one]) => ({ port, policy: policyOf({ ...one, retryBudget }, sources) }));
}

function balancingOf(block: TrafficSettings['loadBalancer']): Pick<LoadBalancingPolicy, 'algorithm' | 'hash'> {
  if (block === null) return { algorithm: 'least-request', hash: null };
  if (block.hash !== null) return { algorithm: 'hash', hash: block.hash };
  const { algorithm } = block;
  return { algorithm: algorithm === null || algorithm === 'passthrough' ? 'least-request' : algorithm, hash: null };
}

/** Near endpoints are preferred where the Service says so, or where failing ones are ejected (Istio's condition). */
function localities(
  base: DestinationPolicy,
  block: TrafficSettings['loadBalancer'],
  outlier: OutlierPolicy | null,
): LoadBalancingPolicy['localityPreference'] {
  if (block?.locality?.enabled === false) return [];
  if (base.loadBalancing.localityPreference.length > 0) return base.loadBalancing.localityPreference;
  return outlier === null ? [] : ['region', 'zone', 'subzone'];
}

/**
 * What is written about localities. Failover means something only where endpoints are ejected, as in Istio; shares hold
 * anyway.
 */
function localityRulesOf(
  block: TrafficSettings['loadBalancer'],
  outlier: OutlierPolicy | null,
): Pick<LoadBalancingPolicy, 'localities'> {
  const written = block?.locality ?? null;
  if (written === null || !written.enabled) return {};
  const { distribute } = written;
  const failover = outlier === null ? [] : written.failover;
  return distribute.length + failover.length === 0 ? {} : { localities: { distribute, failover } };
}

function poolOf(block: TrafficSettings['connectionPool']): ConnectionPoolPolicy {
  if (block === null) return defaultConnectionPool;
  return {
    ...block,
    connectTimeoutMs: block.connectTimeoutMs || defaultConnectionPool.connectTimeoutMs,
    idleTimeoutMs: block.idleTimeoutMs || defaultConnectionPool.idleTimeoutMs,
  };
}

function budgetOf(block: TrafficSettings['retryBudget']): RetryBudgetPolicy | null {
  if (block === null) return null;
  return { ratio: block.percent / 100, perSecond: 0, minConcurrency: block.minConcurrency };
}

function outlierOf(block: NonNullable<TrafficSettings['outlier']>): OutlierPolicy {
  const baseEjectionMs = block.baseEjectionMs ?? outlierDefaults.baseEjectionMs;
  return {
    consecutive5xx: block.consecutive5xx ?? outlierDefaults.consecutive5xx,
    consecutiveGatewayErrors: block.consecutiveGatewayErrors ?? 0,
    consecutiveLocalFailures: block.consecutiveLocalFailures ?? 0,
    splitLocalFailures: block.splitLocalFailures,
    successRate: null,
    intervalMs: block.intervalMs ?? outlierDefaults.intervalMs,
    baseEjectionMs,
    maxEjectionMs: Math.max(ejectionMaxMs, baseEjectionMs),
    maxEjectionPercent: block.maxEjectionPercent ?? outlierDefaults.maxEjectionPercent,
    minHealthPercent: block.minHealthPercent ?? 0,
  };
}
