// A clock that a test moves by hand: timers fire in order of their time, and `now()` is exact while they do.
import type { Clock } from './clock.ts';

/** Time that stands still until `advance`. */
export class ManualClock implements Clock {
  #nowMs: number;
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(delayMs, 0), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** When the next timer fires, in milliseconds since the epoch; null when none waits. */
  get nextAtMs(): number | null {
    return this.#timers.length === 0 ? null : Math.min(...this.#timers.map((timer) => timer.atMs));
  }

  /** Moves time by `deltaMs`, firing what falls due, also what is set on the way. */
  advance(deltaMs: number): void {
    const endMs = this.#nowMs + deltaMs;
    for (let next = this.nextAtMs; next !== null && next <= endMs; next = this.nextAtMs) {
      this.#nowMs = Math.max(this.#nowMs, next);
      const index = this.#timers.findIndex((timer) => timer.atMs === next);
      const [timer] = this.#timers.splice(index, 1);
      timer?.action();
    }
    this.#nowMs = endMs;
  }
}
