// The metrics of the controller. HELP says "(unstable)" where a name may still change.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
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
    const build = new Gauge({
      name: 'ambient_controller_build_info',
      help: 'Always 1; the version as label',
      labelNames: ['version'],
      registers,
    });
    build.set({ version }, 1);
    const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
      new Counter({ name: `ambient_controller_${name}`, help: `${help} (unstable)`, labelNames, registers });
    this.pushes = counter('pushes_total', 'Responses sent to proxies', ['type']);
    this.resourcesRefused = counter('resources_refused_total', 'Resources that proxies refused', ['type']);
    this.certificatesIssued = counter('certificates_issued_total', 'Certificates issued to node proxies', []);
    this.callersRefused = counter('callers_refused_total', 'Calls refused for who made them or what they asked', [
      'call',
    ]);
    this.reviews = counter('reviews_total', 'Objects that the API server asked about before it took them', [
      'kind',
      'verdict',
    ]);
    const name = 'ambient_controller_push_duration_seconds';
    const help = 'Time from sending a response to its answer by the proxy (unstable)';
    this.pushSeconds = new Histogram({ name, help, labelNames: ['type'], buckets: pushBucketsSeconds, registers });
    this.#gauges(read, registers);
  }

  /** The text of a scrape, and its content type. */
  async scrape(): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  #gauges(read: () => ControllerReading, registers: Registry[]): void {
    const gauge = (name: string, help: string, value: (reading: ControllerReading) => number): void => {
      new Gauge({
        name: `ambient_controller_${name}`,
        help: `${help} (unstable)`,
        registers,
        collect() {
          this.set(value(read()));
        },
      });
    };
    gauge('proxies_connected', 'Proxies that follow this controller', (reading) => reading.proxiesConnected);
    gauge('proxies_in_step', 'Proxies that have applied everything', (reading) => reading.proxiesInStep);
    gauge('sources_broken', 'Sources that cannot be read', (reading) => reading.sourcesBroken);
    gauge('addresses', 'Workloads and services in the mesh', (reading) => reading.addresses);
    gauge('policies', 'Policies in the mesh', (reading) => reading.policies);
    gauge('ready', '1 while the readiness check passes', (reading) => (reading.ready ? 1 : 0));
    const help = 'When the issuing certificate ends';
    gauge('issuer_expiry_timestamp_seconds', help, (reading) => reading.issuerNotAfterMs / 1000);
  }
}
