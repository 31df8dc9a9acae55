// A queue that is read with `for await`: what one side pushes, the other takes in order. One reader.

/** Items from `push` to one `for await`. Not bounded by itself: whoever pushes knows the bound. */
export class AsyncQueue<Item> implements AsyncIterable<Item> {
  #items: Item[] = [];
  #isEnded = false;
  #wake: (() => void) | null = null;
  #taken = Promise.withResolvers<void>();

  /** Adds an item; ignored after `end`. */
  push(item: Item): void {
    if (this.#isEnded) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** The reader ends once it has taken what is queued. Idempotent. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
    this.#taken.resolve();
  }

  /** Resolves when what is queued now has been taken, or at the end: for whoever pushes more than a little. */
  get taken(): Promise<void> {
    return this.#items.length === 0 ? Promise.resolve() : this.#taken.promise;
  }

  get length(): number {
    return this.#items.length;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Item> {
    for (;;) {
      const items = this.#items;
      this.#items = [];
      this.#taken.resolve();
      if (!this.#isEnded) this.#taken = Promise.withResolvers<void>();
      yield* items;
      if (this.#items.length > 0) continue;
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}
