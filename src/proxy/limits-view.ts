// Each limit of the proxy beside how much of it is in use, for the metrics. A limit of each data thread is shown for
// all of them together.
import { countOpen, Descriptors } from '../base/descriptors.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { descriptorsFor } from '../forward/admission.ts';
import { type SharedUse, slotOf, totalSlot } from '../forward/shared-use.ts';
import type { Workload } from '../model/types.ts';
import type { LimitView } from '../model/views.ts';

export interface LimitSources {
  readonly config: ProxyConfig;
  readonly localPods: Iterable<Workload>;
  readonly threads: number;
  readonly counters: ReadonlyMap<string, number>;
  readonly use: SharedUse;
}

/** Of `connectionsPerPodMax` the use is that of the pod with the most. */
export function limitReadings({ config, localPods, threads, counters, use }: LimitSources): LimitView[] {
  const { limits } = config;
  const counted = (name: string): number => counters.get(name) ?? 0;
  let busiest = 0;
  for (const { uid } of localPods) {
    busiest = Math.max(busiest, use.sum(slotOf(uid, 'source')), use.sum(slotOf(uid, 'destination')));
  }
  const descriptors = descriptorsFor(limits.descriptorsMax, new Descriptors().limit);
  const shared = { connectionsMax: use.sum(totalSlot), connectionsPerPodMax: busiest };
  const perThread = {
    heldConnectionsMax: counted('ambient_connections_held'),
    handshakesMax: counted('ambient_tunnel_server_handshakes'),
    acceptedSessionsMax: counted('ambient_tunnel_server_sessions'),
    openedSessionsMax: counted('ambient_tunnel_client_sessions'),
    bufferedBytesMax: counted('ambient_tunnel_buffered_bytes'),
  } as const;
  const each = { handshakesPerSourceMax: null, streamsPerSession: null, acceptedStreamsPerSession: null } as const;
  return [
    { limit: 'descriptorsMax', value: descriptors, use: countOpen() },
    ...readings(limits, shared, 1),
    ...readings(limits, perThread, threads),
    ...readings(limits, each, 1),
  ];
}

function readings(
  limits: ProxyConfig['limits'],
  uses: Readonly<Partial<Record<keyof ProxyConfig['limits'], number | null>>>,
  times: number,
): LimitView[] {
  return Object.entries(uses).map(([limit, use]) => {
    return { limit, value: limits[limit as keyof typeof uses] * times, use: use ?? null };
  });
}
