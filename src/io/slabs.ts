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

const sizes = [4 * 1024, 16 * 1024, slabBytes] as const;
/** Free blocks smaller than a slab that are kept, in all: 1 MiB per thread and size. */
const freeBlockBytes = 2 ** 20;
const freeBlocks = new Map<number, Buffer[]>(sizes.slice(0, -1).map((size) => [size, []]));

/** Returns a block of at least `bytes` with undefined content, or a slab where `bytes` is more. */
export function takeBlock(bytes: number): Buffer {
  const size = sizes.find((one) => one >= bytes) ?? slabBytes;
  return size === slabBytes ? takeSlab() : (freeBlocks.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size));
}

/** Gives a block or a slab back. The caller must hold no view of it any more. */
export function giveBlock(block: Buffer): void {
  const blocks = freeBlocks.get(block.length);
  if (blocks === undefined) giveSlab(block);
  else if (blocks.length * block.length < freeBlockBytes) blocks.push(block);
}

/** Gives a slab back. The caller must hold no view of it any more. */
export function giveSlab(slab: Buffer): void {
  if (free.length < freeSlabsLimit) free.push(slab);
}
