// The timers of an exchange. Each is an entry in a list of its duration: setting one costs a few assignments. Idleness
// is looked at a few times per time-out, so that a chunk only has to set a flag.
import { DeadlineEntry, type DeadlineLists } from '../../io/deadlines.ts';

export type TimerKind = 'request' | 'try' | 'idle' | 'stream' | 'delay' | 'backoff';

/** Who has timers. */
export interface TimerOwner {
  onTimer(kind: TimerKind): void;
}

/** Looked at this many times per idle time-out: by so much of it it may be late. */
const idleLooks = 4;

/** One deadline. */
export class ExchangeTimer extends DeadlineEntry {
  readonly #owner: TimerOwner;
  readonly #kind: TimerKind;

  constructor(owner: TimerOwner, kind: TimerKind) {
    super();
    this.#owner = owner;
    this.#kind = kind;
  }

  onDeadline(): void {
    this.#owner.onTimer(this.#kind);
  }

  lift(): void {
    this.deadlineList?.lift(this);
  }
}

/** The timers of one exchange. */
export class ExchangeTimers extends DeadlineEntry {
  readonly #owner: TimerOwner;
  readonly #lists: DeadlineLists;
  #set: Map<TimerKind, ExchangeTimer> | null = null;
  #idleMs = 0;
  #quietLooks = 0;
  /** To be set by every byte and every event. */
  active = true;

  constructor(owner: TimerOwner, lists: DeadlineLists) {
    super();
    this.#owner = owner;
    this.#lists = lists;
  }

  /** Calls the owner back in `ms`, instead of when it was to be called for the same before. 0: never. */
  set(kind: TimerKind, ms: number): void {
    if (ms <= 0) return;
    this.#set ??= new Map();
    let timer = this.#set.get(kind);
    if (timer === undefined) {
      timer = new ExchangeTimer(this.#owner, kind);
      this.#set.set(kind, timer);
    }
    timer.lift();
    this.#lists.of(ms).set(timer);
  }

  lift(kind: TimerKind): void {
    this.#set?.get(kind)?.lift();
  }

  /** Calls the owner for `idle` when nothing was active for `ms`; a running watch goes on with the new time. */
  watchIdle(ms: number): void {
    this.#idleMs = ms;
    if (this.deadlineList === null) this.#lists.of(ms / idleLooks).set(this);
  }

  /** A look at whether anything has happened. */
  onDeadline(): void {
    this.#quietLooks = this.active ? 0 : this.#quietLooks + 1;
    this.active = false;
    if (this.#quietLooks < idleLooks) this.#lists.of(this.#idleMs / idleLooks).set(this);
    else this.#owner.onTimer('idle');
  }

  close(): void {
    this.deadlineList?.lift(this);
    if (this.#set !== null) for (const timer of this.#set.values()) timer.lift();
  }
}
