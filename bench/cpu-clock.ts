// CPU time to the nanosecond, of this process or of others: the kernel's own clocks for it, which know what a thread
// that runs has used since the last tick. /proc and getrusage do not: they are up to 10 ms behind for each thread.

import { MeshError } from '../src/base/errors.ts';
import { bindLibc } from '../src/base/libc.ts';

/** From <linux/posix-timers.h>: the clock of all threads of a process, by what the scheduler has given them. */
const scheduled = 2;
/** CLOCK_PROCESS_CPUTIME_ID: of this process. */
const ownClock = 2;

/** Reads the clocks of processes. */
export class CpuClock {
  readonly #get: (clock: number, at: bigint) => number;
  /** `struct timespec`, outside of the garbage-collected heap, so that it never moves. */
  readonly #time = new BigInt64Array(new ArrayBuffer(16));
  readonly #timeAt: bigint;

  /** Throws TOOL_MISSING where Node cannot call the C library. */
  constructor() {
    const libc = bindLibc({ clock_gettime: { arguments: ['i32', 'pointer'], return: 'i32' } });
    if (libc === null) throw new MeshError('TOOL_MISSING', { tool: 'node:ffi', command: 'npm install' });
    this.#get = libc.functions.clock_gettime;
    this.#timeAt = libc.ffi.getRawPointer(this.#time.buffer);
  }

  /** Nanoseconds that all threads of this process have used. */
  own(): number {
    return this.#read(ownClock);
  }

  /** Nanoseconds that all threads of `pids` have used. Throws NOT_FOUND when one is gone. */
  of(pids: readonly number[]): number {
    return pids.reduce((sum, pid) => sum + this.#read((~pid << 3) | scheduled, pid), 0);
  }

  #read(clock: number, pid = process.pid): number {
    if (this.#get(clock, this.#timeAt) !== 0) {
      throw new MeshError('NOT_FOUND', { what: `process ${pid}`, hint: 'it has ended' });
    }
    return Number(this.#time[0]) * 1e9 + Number(this.#time[1]);
  }
}
