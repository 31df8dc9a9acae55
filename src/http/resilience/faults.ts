// Faults that a route injects on purpose: drawn anew for each request, delay and abort independently (l7.md §3.2).
import type { FaultPolicy } from '../../model/route-types.ts';

/** What Envoy answers an aborted request with. */
export const abortBody = 'fault filter abort';

/** How long to hold a request back, in milliseconds; 0 for not at all. */
export function drawDelayMs(fault: FaultPolicy, random: () => number): number {
  const { delay } = fault;
  return delay !== null && delay.fraction > 0 && random() < delay.fraction ? delay.delayMs : 0;
}

/** What to answer instead of forwarding; null to forward. Asked after the delay. */
export function drawAbort(fault: FaultPolicy, random: () => number): FaultPolicy['abort'] {
  const { abort } = fault;
  return abort !== null && abort.fraction > 0 && random() < abort.fraction ? abort : null;
}
