// Repeats one probe and says when its verdict changes: the kubelet's rules for periods and thresholds.
//
// One thing is quicker than the kubelet: until a probe has passed for the first time it is tried often, and a try in
// between counts only when it passes. A pod is ready as soon as it is, not up to a period later.
import type { Clock } from '../base/clock.ts';

export interface ProbeTiming {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export interface Verdict {
  readonly passed: boolean;
  /** Why it failed; '' when it passed. */
  readonly message: string;
}

const eagerPeriodMs = 250;

/** Repeats one probe from `start` to `close`. */
export class Prober {
  readonly #timing: ProbeTiming;
  readonly #attempt: (timeoutMs: number) => Promise<string | null>;
  readonly #onVerdict: (verdict: Verdict) => void;
  readonly #clock: Clock;
  #cancel: (() => void) | null = null;
  #closed = false;
  #verdict: boolean | null = null;
  #passes = 0;
  #failures = 0;
  #countedAtMs = 0;

  /**
   * `attempt` answers null when it passed, otherwise why not. `onVerdict` is called when the verdict changes, and for
   * the first one.
   */
  constructor(
    timing: ProbeTiming,
    attempt: (timeoutMs: number) => Promise<string | null>,
    onVerdict: (verdict: Verdict) => void,
    clock: Clock,
  ) {
    this.#timing = timing;
    this.#attempt = attempt;
    this.#onVerdict = onVerdict;
    this.#clock = clock;
  }

  start(): void {
    this.#countedAtMs = this.#clock.now() + this.#timing.initialDelayMs - this.#timing.periodMs;
    this.#after(this.#timing.initialDelayMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #after(delayMs: number): void {
    if (this.#closed) return;
    this.#cancel = this.#clock.after(delayMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const startedMs = this.#clock.now();
    const reason = await this.#attempt(this.#timing.timeoutMs);
    if (this.#closed) return;
    this.#count(reason, startedMs);
    const everPassed = this.#verdict === true || this.#passes > 0;
    const periodMs = everPassed ? this.#timing.periodMs : Math.min(eagerPeriodMs, this.#timing.periodMs);
    this.#after(Math.max(0, startedMs + periodMs - this.#clock.now()));
  }

  #count(reason: string | null, atMs: number): void {
    const { successThreshold, failureThreshold, periodMs } = this.#timing;
    if (reason === null) {
      this.#passes++;
      this.#failures = 0;
      this.#countedAtMs = atMs;
      if (this.#passes >= successThreshold) this.#tell(true, '');
      return;
    }
    const isDue = atMs - this.#countedAtMs >= periodMs;
    if (!isDue) return;
    this.#countedAtMs = atMs;
    this.#passes = 0;
    this.#failures++;
    if (this.#failures >= failureThreshold) this.#tell(false, reason);
  }

  #tell(passed: boolean, message: string): void {
    if (this.#verdict === passed) return;
    this.#verdict = passed;
    this.#onVerdict({ passed, message });
  }
}
