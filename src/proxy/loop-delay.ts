// How long a thread keeps an event waiting: by how much a timer is late, looked at twenty times a second. The runtime's
// own measure for each turn (`monitorEventLoopDelay` with `samplePerIteration`) is not used: in Node 26.10 a worker
// that ends with one frees its memory too early, and now and then that ends the whole process.
import { createHistogram } from 'node:perf_hooks';
import type { LoopDelayView } from '../model/views.ts';

const beatMs = 50;
/** Figures are of what happened since the last time but one that they were asked for, and at most of so long. */
const windowMs = 10_000;
const nanosecondsPerMs = 1_000_000;
/** From a nanosecond to an hour, within 1 %: 40 KB. */
const range = { lowest: 1, highest: 3_600_000 * nanosecondsPerMs, figures: 2 } as const;

/** One per thread; counts from `start` to `close`. */
export class LoopDelay {
  readonly #nowMs: () => number;
  readonly #histogram = createHistogram(range);
  #timer: NodeJS.Timeout | null = null;
  #dueAtMs = 0;
  #sinceMs = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  start(): void {
    this.#sinceMs = this.#nowMs();
    this.#dueAtMs = this.#sinceMs + beatMs;
    this.#timer ??= setInterval(() => this.beat(), beatMs).unref();
  }

  /** For the timer, and tests. */
  beat(): void {
    const nowMs = this.#nowMs();
    const late = Math.round((nowMs - this.#dueAtMs) * nanosecondsPerMs);
    this.#histogram.record(Math.min(Math.max(late, range.lowest), range.highest));
    this.#dueAtMs = nowMs + beatMs;
  }

  /** By how much events were late, in milliseconds; zeros before anything was seen. */
  view(): LoopDelayView {
    const histogram = this.#histogram;
    const view =
      histogram.count === 0
        ? noDelay
        : {
            p50: histogram.percentile(50) / nanosecondsPerMs,
            p99: histogram.percentile(99) / nanosecondsPerMs,
            max: histogram.max / nanosecondsPerMs,
          };
    const nowMs = this.#nowMs();
    if (nowMs - this.#sinceMs >= windowMs) {
      histogram.reset();
      this.#sinceMs = nowMs;
    }
    return view;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** Of a thread of which nothing is known yet. */
export const noDelay: LoopDelayView = Object.freeze({ p50: 0, p99: 0, max: 0 });
