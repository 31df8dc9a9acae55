// Deadlines that all last equally long, kept in a list: the oldest is due first, so one timer serves them all, and
// setting, moving or lifting one costs a few assignments. Coarse: up to a tenth of the duration late.

/** What has a deadline extends this; the fields are the list's own. */
export abstract class DeadlineEntry {
  deadlineAtMs = 0;
  deadlinePrevious: DeadlineEntry | null = null;
  deadlineNext: DeadlineEntry | null = null;
  deadlineList: Deadlines | null = null;
  abstract onDeadline(): void;
}

/** A list of deadlines of one duration. `nowMs` is a monotonic clock. The timer does not keep the process alive. */
export class Deadlines {
  readonly durationMs: number;
  readonly #nowMs: () => number;
  #first: DeadlineEntry | null = null;
  #last: DeadlineEntry | null = null;
  #timer: NodeJS.Timeout | null = null;
  #size = 0;

  constructor(durationMs: number, nowMs: () => number = () => performance.now()) {
    this.durationMs = durationMs;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#size;
  }

  /** `entry` is due in `durationMs` from now; an earlier deadline, of this list or another, is replaced. */
  set(entry: DeadlineEntry): void {
    entry.deadlineList?.lift(entry);
    entry.deadlineAtMs = this.#nowMs() + this.durationMs;
    entry.deadlineList = this;
    entry.deadlinePrevious = this.#last;
    if (this.#last === null) this.#first = entry;
    else this.#last.deadlineNext = entry;
    this.#last = entry;
    this.#size++;
    this.#arm();
  }

  /** Nothing happens to `entry` any more. */
  lift(entry: DeadlineEntry): void {
    if (entry.deadlineList !== this) return;
    if (entry.deadlinePrevious === null) this.#first = entry.deadlineNext;
    else entry.deadlinePrevious.deadlineNext = entry.deadlineNext;
    if (entry.deadlineNext === null) this.#last = entry.deadlinePrevious;
    else entry.deadlineNext.deadlinePrevious = entry.deadlinePrevious;
    entry.deadlineList = entry.deadlineNext = entry.deadlinePrevious = null;
    this.#size--;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#first !== null) this.lift(this.#first);
  }

  #arm(): void {
    if (this.#timer !== null || this.#first === null) return;
    const waitMs = Math.max(this.#first.deadlineAtMs - this.#nowMs(), this.durationMs / 10, 1);
    this.#timer = setTimeout(() => this.#run(), waitMs);
    this.#timer.unref();
  }

  #run(): void {
    this.#timer = null;
    const nowMs = this.#nowMs();
    while (this.#first !== null && this.#first.deadlineAtMs <= nowMs) {
      const entry = this.#first;
      this.lift(entry);
      entry.onDeadline();
    }
    this.#arm();
  }
}

/** Lists by duration, rounded up to two digits: at most 90 of them per power of ten. */
export class DeadlineLists {
  readonly #lists = new Map<number, Deadlines>();

  /** The list whose entries have `exactMs`, or a little more. */
  of(exactMs: number): Deadlines {
    let step = 1;
    while (exactMs >= step * 100) step *= 10;
    const durationMs = Math.ceil(exactMs / step) * step;
    let list = this.#lists.get(durationMs);
    if (list === undefined) {
      list = new Deadlines(durationMs);
      this.#lists.set(durationMs, list);
    }
    return list;
  }

  close(): void {
    for (const list of this.#lists.values()) list.close();
  }
}
