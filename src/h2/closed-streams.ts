// What a session remembers of streams that are closed, so that a late frame is told from a wrong one (RFC 9113 §5.1).
// Both memories are bounded: a stream that was forgotten is taken for one that its peer closed.

/** Streams that we reset: their peer may not know yet, and whatever still comes is to be ignored. */
const resetsRemembered = 1024;
/** Ids that a peer passed over: they are closed without ever having been open. */
const skipsRemembered = 64;

/** The closed streams of one session. */
export class ClosedStreams {
  readonly #resets = new Set<number>();
  readonly #skipped = new Set<number>();

  /** We have sent RST_STREAM. */
  reset(id: number): void {
    if (this.#resets.size >= resetsRemembered) {
      for (const oldest of this.#resets) {
        this.#resets.delete(oldest);
        break;
      }
    }
    this.#resets.add(id);
  }

  /** True when frames of `id` may still be under way because the peer had not seen our reset. */
  wasReset(id: number): boolean {
    return this.#resets.has(id);
  }

  /** The peer has opened `id`; the one before was `previous`. */
  opened(id: number, previous: number): void {
    for (let skipped = previous + 2; skipped < id && this.#skipped.size < skipsRemembered; skipped += 2) {
      this.#skipped.add(skipped);
    }
  }

  wasSkipped(id: number): boolean {
    return this.#skipped.has(id);
  }
}
