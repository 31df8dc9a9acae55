// Metrics of the process itself, alike for every program: processor, memory, files, event loop, garbage collection.
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges that bear a counter's name, which `promtool check metrics` objects to; each is the sum of one by type. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Adds them to `registry`. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
}
