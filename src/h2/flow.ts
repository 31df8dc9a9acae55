// Flow-control windows (RFC 9113 §5.2, §6.9): what we may send, and what we let the peer send.
import { largestWindowBytes } from './constants.ts';

/** What the peer lets us send; may become negative when it lowers its SETTINGS_INITIAL_WINDOW_SIZE. */
export class SendWindow {
  available: number;

  constructor(available: number) {
    this.available = available;
  }

  /** False when the window would go beyond 2^31-1: an error of the peer. */
  grow(increment: number): boolean {
    this.available += increment;
    return this.available <= largestWindowBytes;
  }
}

/** What we let the peer send. Credit is given back in halves of the window, so that WINDOW_UPDATEs stay few. */
export class ReceiveWindow {
  /** What the peer may have outstanding at most. */
  size: number;
  /** What the peer may still send, as we know it. */
  available: number;
  /** When credit was last announced; 0 before. For `WindowTuner` alone. */
  announcedAtMs = 0;
  #owed = 0;
  /** Bytes by which the window was made smaller and the peer has not been made to feel it yet. */
  #debt = 0;

  constructor(size: number) {
    this.size = size;
    this.available = size;
  }

  /**
   * False when the peer sent more than it was allowed. An empty frame is allowed always: our SETTINGS may have made the
   * window negative, and END_STREAM needs no window (RFC 9113 §6.9.1).
   */
  receive(bytes: number): boolean {
    this.available -= bytes;
    return bytes === 0 || this.available >= 0;
  }

  /** `bytes` have been consumed. Returns the increment to announce now, 0 for none yet. */
  credit(bytes: number): number {
    if (this.#debt > 0) {
      const paid = Math.min(this.#debt, bytes);
      this.#debt -= paid;
      this.#owed += bytes - paid;
    } else this.#owed += bytes;
    if (this.#owed * 2 < this.size) return 0;
    const increment = this.#owed;
    this.#owed = 0;
    this.available += increment;
    return increment;
  }

  /** A larger window. Returns what to announce for it. */
  grow(size: number): number {
    const more = size - this.size;
    this.size = size;
    const paid = Math.min(this.#debt, more);
    this.#debt -= paid;
    this.available += more - paid;
    return more - paid;
  }

  /** A smaller window: nothing can be taken back, but credit is kept until the peer is down to `size`. */
  shrink(size: number): void {
    if (size >= this.size) return;
    this.#debt += this.size - size;
    this.size = size;
  }

  /**
   * The peer counts with `size` from now on (it has acknowledged our SETTINGS). Returns the increment to announce now.
   */
  resize(size: number): number {
    this.available += size - this.size;
    this.size = size;
    return this.#owed === 0 ? 0 : this.credit(0);
  }
}
