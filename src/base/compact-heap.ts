// Gives memory back that a thread's heap grew by and needs no more. V8 collects when something is allocated: a thread
// that has become quiet keeps what it had at its busiest.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { returnPages } from './return-pages.ts';

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

let collect: Collect | null = null;

/** Workers that start from now on can compact their heaps. For the main thread, before it starts them. */
export function letWorkersCompact(): void {
  setFlagsFromString('--expose-gc');
}

/**
 * Collects all garbage of the calling thread and returns free pages to the system, those of the whole process that
 * are outside of its heaps too. Blocks the thread for about 1.5 ms per MB in use: for quiet moments only. A worker
 * collects only after `letWorkersCompact`.
 */
export function compactHeap(): void {
  collect ??= collector();
  collect?.({ type: 'major', flavor: 'last-resort' });
  returnPages();
}

/**
 * A context has `gc` if the flag was set before it was made. The main thread's was not; that of a worker is left as it
 * is, since workers come and go, and contexts beside their own have not been kind to their collector.
 */
function collector(): Collect | null {
  if (!isMainThread) return (globalThis as { gc?: unknown }).gc as Collect | null;
  letWorkersCompact();
  return runInNewContext('gc') as Collect;
}
