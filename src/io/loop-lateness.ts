// How long bytes may have waited for their thread before it read them: a thread that was busy or stopped notices only
// that its heartbeat is late. The heart beats while somebody asks, and for a while after.

const beatMs = 10;
/** Less is what a healthy machine does. */
const slackMs = 4;
/** Without a question for so long the heart stands still. */
const restAfterMs = 10_000;

/** One per thread. */
export class LoopLateness {
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | null = null;
  #dueAtMs = 0;
  #askedAtMs = 0;
  /** Of the beat of this turn of the loop: what is read behind it waited as long. */
  #lateMs = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds that what is read now may have waited; 0 for a thread in time, and for the first question. */
  lateMs(nowMs: number): number {
    this.#askedAtMs = nowMs;
    if (this.#timer === null) {
      this.#dueAtMs = nowMs + beatMs;
      this.#timer = setInterval(() => this.beat(), beatMs);
      this.#timer.unref();
      return 0;
    }
    return this.#known(nowMs);
  }

  /** The same, as far as it is known: the heart does not begin to beat for it. */
  peekMs(): number {
    return this.#timer === null ? 0 : this.#known(this.#nowMs());
  }

  #known(nowMs: number): number {
    const lateMs = Math.max(nowMs - this.#dueAtMs, this.#lateMs);
    return lateMs > slackMs ? lateMs : 0;
  }

  /** For the timer, and tests. */
  beat(): void {
    const nowMs = this.#nowMs();
    this.#lateMs = Math.max(nowMs - this.#dueAtMs, 0);
    this.#dueAtMs = nowMs + beatMs;
    // Timers run before reads in a turn of the loop, immediates behind them.
    if (this.#lateMs > slackMs) setImmediate(forget, this);
    if (nowMs - this.#askedAtMs > restAfterMs) this.rest();
  }

  /** For the immediate, and tests. */
  turnEnded(): void {
    this.#lateMs = 0;
  }

  rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#lateMs = 0;
  }
}

function forget(lateness: LoopLateness): void {
  lateness.turnEnded();
}

/** Of this thread. */
export const threadLateness: LoopLateness = new LoopLateness();
