// An event loop whose time and order are made by a seed. While it is installed, the timers of this thread are its own:
// code under simulation needs no injection and pays nothing for it. Only synchronous code may run meanwhile.
import type { Random } from '../support/random.ts';

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
  cancelled: boolean;
}

/** Stands in for what `setTimeout` and `setInterval` return. */
class SimulatedTimer {
  entry: Entry | null = null;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return false;
  }
}

/** The loop of one seed: `install`, act, `step` until done, `uninstall`. */
export class SimulatedLoop {
  nowMs = 0;
  steps = 0;
  /** Timers that the code under simulation has set and not cleared. */
  timers = 0;
  readonly #random: Random;
  #order = 0;
  #heap: Entry[] = [];
  #ticks: (() => void)[] = [];
  #immediates: (() => void)[] = [];
  #restore: (() => void) | null = null;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Calls `action` in `delayMs`. Does not count as a timer of the code under simulation. */
  after(delayMs: number, action: () => void): Entry {
    const entry = { atMs: this.nowMs + Math.max(delayMs, 0), order: this.#order++, action, cancelled: false };
    push(this.#heap, entry);
    return entry;
  }

  /** As `process.nextTick`. */
  soon(action: () => void): void {
    this.#ticks.push(action);
  }

  get isIdle(): boolean {
    return this.#heap.length === 0 && this.#immediates.length === 0 && this.#ticks.length === 0;
  }

  /** One turn: an event, or what `setImmediate` has gathered, and all ticks behind it. False when nothing is left. */
  step(): boolean {
    this.runTicks();
    this.steps++;
    const next = this.#heap[0];
    const immediatesFirst = next === undefined || next.atMs > this.nowMs || this.#random.oneIn(2);
    if (this.#immediates.length > 0 && immediatesFirst) {
      const batch = this.#immediates;
      this.#immediates = [];
      for (const action of batch) {
        action();
        this.runTicks();
      }
      return true;
    }
    if (next === undefined) return false;
    pop(this.#heap);
    if (next.cancelled) return true;
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.action();
    this.runTicks();
    return true;
  }

  runTicks(): void {
    for (let i = 0; i < this.#ticks.length; i++) this.#ticks[i]!();
    this.#ticks.length = 0;
  }

  /** Replaces the timers of this thread until `uninstall`. */
  install(): void {
    const names = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'] as const;
    const real = names.map((name) => [name, globalThis[name]] as const);
    const { nextTick } = process;
    const { now } = performance;
    const set =
      (repeats: boolean) =>
      (action: (...args: unknown[]) => void, delayMs: number, ...args: unknown[]) =>
        this.#setTimer(() => action(...args), delayMs, repeats);
    const clear = (timer: SimulatedTimer | null | undefined): void => this.#clearTimer(timer);
    Object.assign(globalThis, {
      setTimeout: set(false),
      setInterval: set(true),
      clearTimeout: clear,
      clearInterval: clear,
      setImmediate: (action: (...args: unknown[]) => void, ...args: unknown[]) => {
        this.#immediates.push(() => action(...args));
      },
    });
    process.nextTick = (action: (...args: never[]) => void, ...args: unknown[]) => {
      this.#ticks.push(() => action(...(args as never[])));
    };
    performance.now = () => this.nowMs;
    this.#restore = () => {
      for (const [name, value] of real) Object.assign(globalThis, { [name]: value });
      process.nextTick = nextTick;
      performance.now = now;
    };
  }

  uninstall(): void {
    this.#restore?.();
    this.#restore = null;
  }

  #setTimer(action: () => void, delayMs: number, repeats: boolean): SimulatedTimer {
    const timer = new SimulatedTimer();
    this.timers++;
    const fire = (): void => {
      if (repeats) timer.entry = this.after(Math.max(delayMs, 1), fire);
      else this.#clearTimer(timer);
      action();
    };
    timer.entry = this.after(Math.max(delayMs, 1), fire);
    return timer;
  }

  #clearTimer(timer: SimulatedTimer | null | undefined): void {
    if (timer == null || timer.entry === null) return;
    timer.entry.cancelled = true;
    timer.entry = null;
    this.timers--;
  }
}

const isBefore = (one: Entry, other: Entry): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!isBefore(entry, heap[above]!)) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
    if (!isBefore(heap[below]!, last)) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
}
