// Keeps a data thread as small as its work: after the start, and after many connections have gone, the heap is
// compacted in a quiet moment. After many have come, only what lies outside of the heap is given back.
import { compactHeap } from '../base/compact-heap.ts';
import { returnPages } from '../base/return-pages.ts';

export interface HeapKeeperOptions {
  /** Open connections now. */
  readonly connections: () => number;
  readonly compact?: () => void;
  readonly trim?: () => void;
}

/** The start is over by then. */
const firstLookMs = 1_000;
const lookEveryMs = 5_000;
/** So many connections must have gone, or come, since the last time: a few MB of heap. */
const goneMin = 500;
/** A thread with more connections than this is not bothered with what its start left behind. */
const quietMax = 100;

/** Looks now and then, from `start` to `close`. */
export class HeapKeeper {
  readonly #connections: () => number;
  readonly #compact: () => void;
  readonly #trim: () => void;
  /** Most connections seen since the last compaction; null before the first look. */
  #most: number | null = null;
  #last = 0;
  /** Connections when something was given back. */
  #given = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: HeapKeeperOptions) {
    this.#connections = options.connections;
    this.#compact = options.compact ?? compactHeap;
    this.#trim = options.trim ?? returnPages;
  }

  start(): void {
    this.#arm(firstLookMs);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Gives back when it is due: most of the connections have gone, or many have come, and it is over. */
  look(): void {
    const now = this.#connections();
    const isStart = this.#most === null;
    const most = Math.max(this.#most ?? 0, now);
    const isSteady = Math.abs(now - this.#last) <= quietMax;
    this.#last = now;
    this.#most = most;
    const hasShrunk = most - now >= goneMin && now <= most / 4 && isSteady;
    if (hasShrunk || (isStart && now <= quietMax)) {
      this.#most = now;
      this.#given = now;
      this.#compact();
    } else if (isSteady && now - this.#given >= goneMin) {
      this.#given = now;
      this.#trim();
    }
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.look();
      this.#arm(lookEveryMs);
    }, ms);
    this.#timer.unref();
  }
}
