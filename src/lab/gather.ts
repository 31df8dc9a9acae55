// Gathers what is asked for within one turn of the event loop, or while a batch is under way, into one batch.

/** Runs `work` on everything that was added since the last batch; one batch at a time. */
export class Gatherer<T> {
  readonly #work: (items: readonly T[]) => Promise<void>;
  #waiting: { item: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #running = false;
  #armed = false;

  constructor(work: (items: readonly T[]) => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when the batch that holds `item` is done, and rejects when that batch failed. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#arm();
    });
  }

  #arm(): void {
    if (this.#armed || this.#running) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      void this.#runBatch();
    });
  }

  async #runBatch(): Promise<void> {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#running = true;
    try {
      await this.#work(batch.map((each) => each.item));
      for (const each of batch) each.resolve();
    } catch (error) {
      for (const each of batch) each.reject(error);
    }
    this.#running = false;
    if (this.#waiting.length > 0) this.#arm();
  }
}

/**
 * Calls `work` soon after `trigger`, once for all triggers in between, never twice at a time; a failure goes to
 * `onError`.
 */
export class Coalescer {
  readonly #work: () => Promise<void> | void;
  readonly #delayMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #closed = false;

  constructor(delayMs: number, work: () => Promise<void> | void, onError: (error: unknown) => void) {
    this.#delayMs = delayMs;
    this.#work = work;
    this.#onError = onError;
  }

  trigger(): void {
    if (this.#closed) return;
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#running = this.#run();
    }, this.#delayMs);
  }

  /** Resolves when everything that was triggered has been done. */
  async settled(): Promise<void> {
    while (this.#timer !== null || this.#running !== null) {
      await (this.#running ?? new Promise((resolve) => setTimeout(resolve, this.#delayMs + 1)));
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #run(): Promise<void> {
    try {
      await this.#work();
    } catch (error) {
      this.#onError(error);
    }
    this.#running = null;
    if (this.#again) {
      this.#again = false;
      this.trigger();
    }
  }
}
