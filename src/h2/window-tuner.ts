// How large the receive window of a stream is: bandwidth × delay. A window that is half used up within a round trip or
// two is what holds its sender back, and doubles; one that was not needed for a while, or whose reader has stalled,
// goes back to where it began. While memory is tight none grows.
import type { ReceiveWindow } from './flow.ts';
import type { ReceiveBudget } from './receive-budget.ts';

/**
 * A round trip is never taken for shorter: two event loops have to answer each other. Nor for much longer than it is:
 * what windows allow beyond bandwidth × delay waits in socket buffers, and small requests behind it. With 1 ms here
 * they took
 * 13 % longer beside two bulk streams, which were no faster for it.
 */
const shortestRoundTripMs = 0.25;
/** Quiet for so long, a stream has no claim to a large window any more. */
const quietMs = 10_000;

export interface WindowTunerOptions {
  readonly startBytes: number;
  readonly largestBytes: number;
  readonly budget: ReceiveBudget;
  readonly nowMs: () => number;
}

/** The windows of one session's streams. */
export class WindowTuner {
  /** The last round trip that was measured: SETTINGS, then PING. */
  roundTripMs = shortestRoundTripMs;
  readonly #options: WindowTunerOptions;

  constructor(options: WindowTunerOptions) {
    this.#options = options;
  }

  /** Half of `window` has been read and is being announced. Returns how much to announce beside that. */
  announced(window: ReceiveWindow): number {
    const { startBytes, largestBytes, budget, nowMs } = this.#options;
    if (largestBytes <= startBytes) return 0;
    const now = nowMs();
    const tookMs = now - window.announcedAtMs;
    window.announcedAtMs = now;
    if (budget.tight || tookMs > quietMs) {
      window.shrink(startBytes);
      return 0;
    }
    const isLimit = tookMs < 2 * Math.max(this.roundTripMs, shortestRoundTripMs);
    return isLimit && window.size < largestBytes ? window.grow(Math.min(window.size * 2, largestBytes)) : 0;
  }

  /** Whoever reads the stream does not keep up. */
  stalled(window: ReceiveWindow): void {
    if (window.size > this.#options.startBytes) window.shrink(this.#options.startBytes);
  }
}
