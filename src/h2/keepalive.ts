// Keepalive of one session: a PING every so often, and an end to the session when nothing at all comes back in time.

export interface KeepaliveOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  readonly ping: () => void;
  readonly lost: () => void;
}

/** The keepalive of one session (ambient-l4 §1.5: every 10 s, lost after 20 s); an interval of 0 sends none. */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  #timer: NodeJS.Timeout | null = null;
  /** When the unanswered PING was sent; 0 when none is. */
  #sentAtMs = 0;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
  }

  start(): void {
    const { intervalMs } = this.#options;
    if (intervalMs <= 0 || this.#timer !== null) return;
    this.#timer = setInterval(() => this.#beat(), intervalMs);
    this.#timer.unref();
  }

  /** Something came from the peer: it lives, whatever it was. */
  alive(): void {
    this.#sentAtMs = 0;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #beat(): void {
    const nowMs = this.#options.nowMs();
    if (this.#sentAtMs === 0) {
      this.#sentAtMs = nowMs;
      this.#options.ping();
    } else if (nowMs - this.#sentAtMs >= this.#options.timeoutMs) {
      this.stop();
      this.#options.lost();
    }
  }
}
