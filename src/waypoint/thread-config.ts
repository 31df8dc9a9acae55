// What a waypoint's data threads are told at start, beside what those of every proxy are.
import type { ForwardConfig } from '../forward/context.ts';
import type { HttpLimits } from '../http/exchange/limits.ts';
import type { SpiffeId } from '../model/types.ts';
import type { WaypointName } from './front.ts';

export interface WaypointThreadConfig extends ForwardConfig {
  readonly waypoint: WaypointName;
  readonly identity: SpiffeId;
  readonly http: HttpLimits;
  readonly podName: string;
  /** Its own pod's. */
  readonly addresses: readonly string[];
}
