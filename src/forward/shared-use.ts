// How many connections the data threads hold together, in all and per pod: one row of numbers per thread in shared
// memory. A thread writes its own row and reads all, so nothing is locked, and the row of a thread that died is
// cleared by the main thread. Two threads that add at once may exceed a limit by one each.

/** A row: 4 MiB of addresses, of which the kernel backs what was written. */
const slotsPerRow = 1 << 20;
const slotMask = slotsPerRow - 1;
const bytesPerSlot = 4;

/** The slot of all connections. */
export const totalSlot = 0;

export type Side = 'source' | 'destination';

/**
 * The slot of a pod's connections on one side. It comes from a hash: with 100 pods on a node the chance that any two of
 * them share a slot, and thereby a limit, is about one in a hundred.
 */
export function slotOf(uid: string, side: Side): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < uid.length; at++) hash = Math.imul(hash ^ uid.charCodeAt(at), 0x01000193);
  hash ^= hash >>> 15;
  const pair = (hash << 1) & slotMask;
  // The first pair is the total's.
  return (pair === 0 ? 2 : pair) + (side === 'source' ? 0 : 1);
}

/** The numbers of all data threads, as one of them, or the main thread, sees them. */
export class SharedUse {
  readonly memory: SharedArrayBuffer;
  readonly #numbers: Int32Array<SharedArrayBuffer>;
  readonly #rows: number;

  /** New memory for so many threads, or what another thread made. */
  constructor(memory: SharedArrayBuffer | number) {
    this.memory = typeof memory === 'number' ? new SharedArrayBuffer(memory * slotsPerRow * bytesPerSlot) : memory;
    this.#numbers = new Int32Array(this.memory);
    this.#rows = this.#numbers.length / slotsPerRow;
  }

  /** Only the thread `row` itself may call it. */
  add(row: number, slot: number, change: number): void {
    Atomics.add(this.#numbers, row * slotsPerRow + slot, change);
  }

  /** Over all threads. */
  sum(slot: number): number {
    let sum = 0;
    for (let row = 0; row < this.#rows; row++) sum += Atomics.load(this.#numbers, row * slotsPerRow + slot);
    return sum;
  }

  /** The thread has died, its connections with it. */
  clear(row: number): void {
    const from = row * slotsPerRow;
    // Writing zeros would make the kernel back all of it.
    for (let at = from; at < from + slotsPerRow; at++) if (this.#numbers[at] !== 0) this.#numbers[at] = 0;
  }
}
