// The memory that a thread's streams may hold for readers and windows that do not move. Each stream is bounded by its
// window; this bounds all of them together. Above it the stream that holds most is ended, so that the others live.

/** What holds bytes on account of a budget. */
export interface BytesHolder {
  readonly heldBytes: number;
  /** Ends it and lets go of its bytes. */
  shed(limitBytes: number): void;
}

export interface BudgetLimits {
  /** Bytes that all streams together may hold. */
  readonly bufferedBytesMax: number;
}

/** Bytes held by the streams of one thread, and the limit on them. */
export class ReceiveBudget {
  /** Read when it is needed: the object may change, or another be put in its place. */
  limits: BudgetLimits;
  #usedBytes = 0;
  #shed = 0;
  readonly #holders = new Set<BytesHolder>();

  constructor(limits: BudgetLimits) {
    this.limits = limits;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Streams that were ended because of the limit, so far. */
  get shedCount(): number {
    return this.#shed;
  }

  /** A quarter is used: no window should grow now. */
  get tight(): boolean {
    return this.#usedBytes * 4 > this.limits.bufferedBytesMax;
  }

  /** `holder` holds `bytes` more. It, or a larger one, may be shed within this call. */
  hold(holder: BytesHolder, bytes: number): void {
    this.#usedBytes += bytes;
    this.#holders.add(holder);
    while (this.#usedBytes > this.limits.bufferedBytesMax && this.#shedLargest());
  }

  /** `holder` has let go of `bytes`. */
  release(holder: BytesHolder, bytes: number): void {
    this.#usedBytes -= bytes;
    if (holder.heldBytes === 0) this.#holders.delete(holder);
  }

  #shedLargest(): boolean {
    let largest: BytesHolder | null = null;
    for (const holder of this.#holders) if (holder.heldBytes > (largest?.heldBytes ?? 0)) largest = holder;
    if (largest === null) return false;
    this.#shed++;
    largest.shed(this.limits.bufferedBytesMax);
    this.#holders.delete(largest);
    return true;
  }
}

/** 64 MiB: what 256 stalled readers hold at the windows that streams begin with, or 16 at the largest. */
const bufferedBytesMax = 64 * 1024 * 1024;

/** The budget of this thread; sessions use it unless they are given another. */
export const threadBudget: ReceiveBudget = new ReceiveBudget({ bufferedBytesMax });
