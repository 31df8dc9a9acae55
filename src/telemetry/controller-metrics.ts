// The metrics of the controller. HELP says "(unstable)" where a name may still change.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { helpOf, metricCatalogue } from './metric-catalogue.ts';
import { type Exposition, expositionOf } from './open-metrics.ts';
import { collectProcessMetrics } from './process-metrics.ts';

export interface ControllerReading {
  readonly proxiesConnected: number;
  readonly proxiesInStep: number;
  readonly sourcesBroken: number;
  readonly addresses: number;
  readonly policies: number;
  readonly ready: boolean;
  readonly issuerNotAfterMs: number;
}

/** From a proxy on the same machine to one that is far away or busy. */
const pushBucketsSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counters that the controller moves, and gauges that are read when asked for. */
export class ControllerMetrics {
  readonly registry = new Registry();
  readonly pushes: Counter<'type'>;
  readonly pushSeconds: Histogram<'type'>;
  readonly resourcesRefused: Counter<'type'>;
  readonly certificatesIssued: Counter;
  readonly callersRefused: Counter<'call'>;
  readonly reviews: Counter<'kind' | 'verdict'>;

  constructor(read: () => ControllerReading, version: string) {
    const registers = [this.registry];
    collectProcessMetrics(this.registry);
    const described = <Label extends string>(short: string) => {
      const name = `ambient_controller_${short}`;
      return {
        name,
        help: helpOf(name),
        labelNames: (metricCatalogue().get(name)?.labels ?? []) as Label[],
        registers,
      };
    };
    new Gauge(described<'version'>('build_info')).set({ version }, 1);
    this.pushes = new Counter(described('pushes_total'));
    this.resourcesRefused = new Counter(described('resources_refused_total'));
    this.certificatesIssued = new Counter(described('certificates_issued_total'));
    this.callersRefused = new Counter(described('callers_refused_total'));
    this.reviews = new Counter(described('reviews_total'));
    this.pushSeconds = new Histogram({ ...described('push_duration_seconds'), buckets: pushBucketsSeconds });
    this.#gauges(read, registers);
  }

  /** The text of a scrape in the format that `accept` asks for, and its content type. */
  async scrape(accept = ''): Promise<Exposition> {
    return expositionOf(await this.registry.metrics(), accept);
  }

  #gauges(read: () => ControllerReading, registers: Registry[]): void {
    for (const [short, value] of Object.entries(gauges)) {
      const name = `ambient_controller_${short}`;
      new Gauge({
        name,
        help: helpOf(name),
        registers,
        collect() {
          this.set(value(read()));
        },
      });
    }
  }
}

/** What is read when it is asked for. */
const gauges: Readonly<Record<string, (reading: ControllerReading) => number>> = {
  proxies_connected: (reading) => reading.proxiesConnected,
  proxies_in_step: (reading) => reading.proxiesInStep,
  sources_broken: (reading) => reading.sourcesBroken,
  addresses: (reading) => reading.addresses,
  policies: (reading) => reading.policies,
  ready: (reading) => (reading.ready ? 1 : 0),
  issuer_expiry_timestamp_seconds: (reading) => reading.issuerNotAfterMs / 1000,
};
