// One coarse timer for everything on a data thread that has a deadline which moves with every byte.
// Traffic only sets a flag; the sweep looks at the flags a few times per deadline. A timer object per connection would
// have to be rewound per chunk, which is what this avoids.

/** Something the sweep looks at; `nowMs` is monotonic. */
export interface Swept {
  sweep(nowMs: number): void;
}

export interface SweepOptions {
  /** How often to look: the precision of every deadline. */
  readonly tickMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** The set of things with moving deadlines, looked at every `tickMs` between `start()` and `close()`. */
export class Sweep {
  readonly now: () => number;
  #tickMs: number;
  readonly #members = new Set<Swept>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: SweepOptions) {
    this.#tickMs = options.tickMs;
    this.now = options.now ?? (() => performance.now());
  }

  add(member: Swept): void {
    this.#members.add(member);
  }

  delete(member: Swept): void {
    this.#members.delete(member);
  }

  get size(): number {
    return this.#members.size;
  }

  /** Looks at every member once, now. */
  tick(): void {
    const nowMs = this.now();
    for (const member of this.#members) member.sweep(nowMs);
  }

  start(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.tick(), this.#tickMs);
    this.#timer.unref();
  }

  /** Looks every `tickMs` from now on. */
  retune(tickMs: number): void {
    if (tickMs === this.#tickMs) return;
    this.#tickMs = tickMs;
    if (this.#timer === null) return;
    this.close();
    this.start();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** A tick that keeps each of the deadlines to about a tenth of itself, between 20 ms and 1 s. */
export function tickFor(...deadlinesMs: readonly number[]): number {
  return Math.min(1000, Math.max(20, Math.floor(Math.min(...deadlinesMs) / 10)));
}
