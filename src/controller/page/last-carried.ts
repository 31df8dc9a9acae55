// When something was last carried to the pods of each node, as whoever carried it tells: whether a proxy that the
// controller has lost still serves, or is down.
import type { FlowView } from '../../telemetry/access-record.ts';
import { verdictOf } from '../../telemetry/flow-verdict.ts';
import type { MeshMap } from './mesh-map.ts';

/** What a node proxy does that the controller has lost; `unknown` where its pods had no traffic, or not yet. */
export type Carries = 'still' | 'no longer' | 'unknown';

/** Clocks of proxies are off by less, and what was on its way arrives within that. */
const marginMs = 3_000;
/** Who had nothing for so long before has nothing to show by silence. */
const quietMs = 60_000;

/** By node: as many as the mesh has. */
export class LastCarried {
  readonly #atMs = new Map<string, number>();

  /** Takes a flow that came well to a pod which a node proxy serves. */
  add(flow: FlowView, map: MeshMap, nowMs: number): void {
    const { namespace, workload } = flow.destination;
    if (workload === null || verdictOf(flow) !== 'forwarded') return;
    const pod = map.pod(`${namespace}/${workload}`);
    // Waypoints take connections themselves.
    if (pod === null || pod.node === '' || pod.nativeTunnel || pod.tunnelProtocol !== 'HBONE') return;
    const atMs = Math.min(Date.parse(flow.time), nowMs);
    if (atMs > (this.#atMs.get(pod.node) ?? 0)) this.#atMs.set(pod.node, atMs);
  }

  /** Of a proxy that the controller has heard nothing of since `goneMs`. */
  since(node: string, goneMs: number, nowMs: number): Carries {
    const lastMs = this.#atMs.get(node) ?? 0;
    if (lastMs > goneMs + marginMs) return 'still';
    return lastMs > goneMs - quietMs && nowMs > goneMs + 2 * marginMs ? 'no longer' : 'unknown';
  }
}
