// Metrics of the process itself, alike for every program: processor, memory, files, event loop, garbage collection.
import { collectDefaultMetrics, type Registry } from 'prom-client';
import { helpOf } from './metric-catalogue.ts';

/** Gauges that bear a counter's name, which `promtool check metrics` objects to; each is the sum of one by type. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/**
 * Distribution of the event loop's delay, as a timer sees it that wakes the process a hundred times a second. The timer
 * is made slow, and what it would say is left out; `nodejs_eventloop_lag_seconds` is taken at each scrape.
 */
const distribution = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (of) => `nodejs_eventloop_lag_${of}_seconds`,
);
const timerEveryMs = 3_600_000;

/** Adds them to `registry`. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: timerEveryMs });
  for (const name of [...misnamed, ...distribution]) registry.removeSingleMetric(name);
  for (const metric of registry.getMetricsAsArray()) metric.help = helpOf(metric.name);
}
