// Pooled memory for bytes on their way out. Every stream of a thread that gathers output takes slabs from here while it
// has something to send and gives them back when the kernel has taken it, so that an idle connection holds none.

/** Size of one slab: a loop turn's worth of frames, four TLS records. */
export const slabBytes = 64 * 1024;

/** Free slabs kept for the next sender; what is above goes to the garbage collector. 4 MiB per thread. */
const freeSlabsLimit = 64;

const free: Buffer[] = [];

/** Returns a slab of `slabBytes` with undefined content. */
export function takeSlab(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
}

/** Gives a slab back. The caller must hold no view of it any more. */
export function giveSlab(slab: Buffer): void {
  if (free.length < freeSlabsLimit) free.push(slab);
}
