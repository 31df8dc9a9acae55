// What traces of one thread have in common: which of them are kept, and where their spans go. There is none where no
// receiver is configured.
import type { Clock } from '../../base/clock.ts';
import type { TracingConfig } from '../../config/tracing.ts';
import { Span, type SpanFacts, type SpanOrigin } from './span.ts';
import { dropReasons, SpanQueue, type SpanQueueOptions } from './span-queue.ts';

export interface TracerOptions {
  readonly config: TracingConfig;
  readonly origin: SpanOrigin;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly notice: SpanQueueOptions['notice'];
}

/** The part of the configuration that changes without a restart. */
export type LiveTracing = Pick<TracingConfig, 'samplingPercent' | 'namespaces' | 'connections'>;

/** What a scrape shows of a thread's spans, by the names that it understands; without a queue it is all zero. */
export function spanCounters(queue: Pick<SpanQueue, 'dropped' | 'exported' | 'size'> | null): Record<string, number> {
  const counters: Record<string, number> = {
    ambient_trace_spans_exported_total: queue?.exported ?? 0,
    ambient_trace_spans_queued: queue?.size ?? 0,
  };
  for (const reason of dropReasons)
    counters[`ambient_trace_spans_dropped_total/${reason}`] = queue?.dropped[reason] ?? 0;
  return counters;
}

/** The traces of one thread. */
export class Tracer {
  readonly #queue: SpanQueue;
  readonly #origin: SpanOrigin;
  readonly #random: () => number;
  #live: LiveTracing;

  constructor({ config, origin, clock, random, notice }: TracerOptions) {
    const { queuedSpansMax } = config;
    const load: SpanQueueOptions['load'] = async () => (await import('./otlp-http.ts')).otlpDelivery(config, clock);
    this.#queue = new SpanQueue({ queuedSpansMax, load, clock, random, notice });
    this.#origin = origin;
    this.#random = random;
    this.#live = config;
  }

  /** Connections are to be traced, those that carry no requests. */
  get tracesConnections(): boolean {
    return this.#live.connections;
  }

  reconfigure(live: LiveTracing): void {
    this.#live = live;
  }

  /**
   * Whether a trace is kept: as its parent has decided, and where that is left open (null) as the share of the
   * namespace says, whose service or workload is called; `said` is its own word for it.
   */
  samples(decided: boolean | null, namespace: string, said?: number): boolean {
    if (decided !== null) return decided;
    const { namespaces, samplingPercent } = this.#live;
    const percent = said ?? namespaces[namespace] ?? samplingPercent;
    return percent > 0 && this.#random() * 100 < percent;
  }

  /** Takes a span that has ended. */
  end(span: SpanFacts): void {
    this.#queue.add(new Span(span, this.#origin));
  }

  /** By the names that a scrape understands. */
  counters(): Record<string, number> {
    return spanCounters(this.#queue);
  }

  /** Delivers what waits, within `deadlineMs`. Resolves then. */
  close(deadlineMs: number): Promise<void> {
    return this.#queue.close(deadlineMs);
  }

  /** Lets go of everything at once. */
  destroy(): void {
    this.#queue.destroy();
  }
}
