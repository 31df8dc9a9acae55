// What keeps a thread's event loop alive: sockets, servers, timers, requests to the kernel.
import type { ResourcesView } from '../model/views.ts';

/** How many there are of each in this thread, by Node's names. What does not keep the loop alive is not counted. */
export function activeResources(): ResourcesView {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo().sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
