// How long a thread keeps an event waiting: the time that turns of its event loop take, the waiting in between left
// out. Counted by the runtime at each turn (a tenth of a microsecond), without a timer.
import { type EventLoopMonitorOptions, monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoopDelayView } from '../model/views.ts';

/** Figures are of what happened since the last time but one that they were asked for, and at most of so long. */
const windowMs = 10_000;
const nanosecondsPerMs = 1_000_000;
/** By each turn; a Node that does not know the option measures with a timer, and adds its interval. */
const options: EventLoopMonitorOptions & { readonly samplePerIteration: boolean } = {
  samplePerIteration: true,
  resolution: 50,
};

/** One per thread; counts from `start` to `close`. */
export class LoopDelay {
  readonly #nowMs: () => number;
  readonly #histogram: ReturnType<typeof monitorEventLoopDelay>;
  #sinceMs = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#histogram = monitorEventLoopDelay(options);
  }

  start(): void {
    this.#sinceMs = this.#nowMs();
    this.#histogram.enable();
  }

  /** What the turns took, in milliseconds; zeros before there were any. */
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
    this.#histogram.disable();
  }
}

/** Of a thread of which nothing is known yet. */
export const noDelay: LoopDelayView = Object.freeze({ p50: 0, p99: 0, max: 0 });
