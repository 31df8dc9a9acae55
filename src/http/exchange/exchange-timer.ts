// The timers of an exchange. Each is an entry in a list of its duration; most requests set one, which costs a few
// assignments.
import { DeadlineEntry } from '../../io/deadlines.ts';

export type TimerKind = 'request' | 'try' | 'idle' | 'stream' | 'delay' | 'backoff';

/** One deadline of an exchange. */
export class ExchangeTimer extends DeadlineEntry {
  readonly #owner: { onTimer(kind: TimerKind): void };
  readonly #kind: TimerKind;

  constructor(owner: { onTimer(kind: TimerKind): void }, kind: TimerKind) {
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
