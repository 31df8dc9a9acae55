// How many file descriptors the process has and may have. Every thread asks for itself, since they share one table;
// between two looks at /proc it reckons with what was accepted meanwhile.
import { readdirSync, readFileSync, statSync } from 'node:fs';

export interface DescriptorsOptions {
  /** What the process may have; default: its RLIMIT_NOFILE. */
  readonly limit?: number;
  /** How many it has; default: what /proc says. */
  readonly count?: () => number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** A connection that is carried on has two: its own and the one it is joined to. */
const perConnection = 2;
/** So many connections, or so much time, are let pass between two looks. */
const lookEvery = 32;
const lookEveryMs = 100;

/** The descriptors of this process, as one thread sees them. */
export class Descriptors {
  /** RLIMIT_NOFILE; Infinity where it cannot be known. */
  readonly limit: number;
  readonly #count: () => number;
  readonly #now: () => number;
  #counted = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #accepted = 0;

  constructor(options: DescriptorsOptions = {}) {
    this.limit = options.limit ?? readLimit();
    this.#count = options.count ?? countOpen;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Reckons with one more connection; returns how many descriptors are in use with it. */
  accept(): number {
    this.#accepted++;
    const nowMs = this.#now();
    if (this.#accepted > lookEvery || nowMs - this.#countedAtMs > lookEveryMs) {
      this.#counted = this.#count();
      this.#countedAtMs = nowMs;
      this.#accepted = 1;
    }
    return this.#counted + this.#accepted * perConnection;
  }
}

/** Open descriptors of this process; 0 where that cannot be known. */
export function countOpen(): number {
  try {
    // From Linux 6.2 on the size of the folder is their number, which costs no walk over them.
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

function readLimit(): number {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
