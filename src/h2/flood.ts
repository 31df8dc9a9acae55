// Limits on what costs a peer little and us more: streams opened and reset at once (CVE-2023-44487), resets that the
// peer provokes (CVE-2025-8671), PING, SETTINGS and empty frames. Token buckets: a burst, then a rate.

export interface FloodRate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What is counted. Generous: a session between two proxies carries thousands of short connections a second. */
export const floodRates = {
  /** Streams reset before they were answered, by the peer or by us for its fault. */
  reset: { burst: 1000, perSecond: 200 },
  ping: { burst: 200, perSecond: 20 },
  settings: { burst: 50, perSecond: 5 },
  /** DATA or HEADERS without content, PRIORITY, unknown types, frames on closed streams. */
  empty: { burst: 2000, perSecond: 200 },
  /** Frames of `timing.ts`, on a session that has agreed to them: as cheap as a small DATA frame, and ahead of one. */
  timing: { burst: 100_000, perSecond: 50_000 },
} as const satisfies Record<string, FloodRate>;

export type FloodKind = keyof typeof floodRates;

/** Counts, per kind, what a peer does; `nowMs` is a monotonic clock. One per session. */
export class FloodGuard {
  readonly #rates: Readonly<Record<FloodKind, FloodRate>>;
  readonly #nowMs: () => number;
  readonly #used: Record<FloodKind, number> = { reset: 0, ping: 0, settings: 0, empty: 0, timing: 0 };
  readonly #atMs: Record<FloodKind, number> = { reset: 0, ping: 0, settings: 0, empty: 0, timing: 0 };

  constructor(rates: Readonly<Record<FloodKind, FloodRate>>, nowMs: () => number) {
    this.#rates = rates;
    this.#nowMs = nowMs;
  }

  /** Counts one; false when that is too many. */
  allow(kind: FloodKind): boolean {
    const { burst, perSecond } = this.#rates[kind];
    const used = ++this.#used[kind];
    if (used <= burst) return true;
    // Only a full bucket is worth a look at the clock.
    const nowMs = this.#nowMs();
    const leaked = ((nowMs - this.#atMs[kind]) / 1000) * perSecond;
    this.#atMs[kind] = nowMs;
    this.#used[kind] = Math.max(1, used - leaked);
    return this.#used[kind] <= burst;
  }
}
