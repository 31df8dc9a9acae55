// Where a captured connection goes: a pure function of the mesh, the source and the destination (ambient's outbound
// decision). A service or a workload with a waypoint is reached through it, under the address that was dialled.
import { isMeshError, MeshError } from '../base/errors.ts';
import { addressOf, chooseEndpoint } from '../model/balance.ts';
import type { MeshIndex } from '../model/mesh-index.ts';
import type { Service, WaypointAddress, Workload } from '../model/types.ts';

export interface OutboundQuery {
  readonly index: MeshIndex;
  /** The local pod that connects. */
  readonly source: Workload;
  readonly address: string;
  readonly port: number;
  readonly nodeName: string;
  readonly sameNode: 'direct' | 'tunnel';
  /** Endpoints that were tried already, by uid. */
  readonly exclude: ReadonlySet<string>;
  readonly random: () => number;
}

/**
 * A way to the destination:
 * - `tunnel`: HBONE to the endpoint's address;
 * - `same-node`: an enrolled pod of this node, by a plain connection that stays in the kernel;
 * - `plain`: one of both ends is outside the mesh;
 * - `passthrough`: nothing of the mesh, or a service that wants no choice.
 */
export interface Way {
  readonly kind: 'tunnel' | 'same-node' | 'plain' | 'passthrough';
  readonly service: Service | null;
  /** Null for `passthrough`; the waypoint's own where one stands before the destination. */
  readonly workload: Workload | null;
  /** The endpoint's own address and port. */
  readonly address: string;
  readonly port: number;
  /** The waypoint's service, where it has one: it is asked for the address that was dialled. */
  readonly waypoint: { readonly service: Service | null } | null;
  /** The destination is an enrolled pod of this node and no other proxy sees the connection: ask its policy here. */
  readonly enforce: boolean;
}

/** The way for one attempt, or why there is none: NO_ENDPOINT, NO_SUCH_PORT. */
export function decideOutbound(query: OutboundQuery): Way | MeshError {
  const { index, source, address, port, exclude, random } = query;
  const service = index.serviceByVip(address, source.namespace);
  const dialled = service === null ? index.workloadByAddress(address) : null;
  const waypoint = (service ?? dialled)?.waypoint ?? null;
  try {
    // Who has no identity cannot tunnel to a waypoint: what it may reach is up to the destination's policy.
    if (waypoint !== null && source.tunnelProtocol === 'HBONE') return wayToWaypoint(query, service, waypoint);
    if (service === null) return wayTo(query, null, dialled, address, port);
    const choice = chooseEndpoint(index, { service, port, source, destinationIp: address, exclude, random });
    return wayTo(query, service, choice.workload, choice.address, choice.targetPort);
  } catch (error) {
    if (isMeshError(error)) return error;
    throw error;
  }
}

function wayTo(
  query: OutboundQuery,
  service: Service | null,
  workload: Workload | null,
  address: string,
  port: number,
): Way {
  const { source, nodeName, sameNode } = query;
  const to = { service, workload, address, port, waypoint: null };
  if (workload === null) return { kind: 'passthrough', ...to, enforce: false };
  // A waypoint that is called by its own address: it takes tunnels of its own alone, and serves its metrics plainly.
  if (workload.tunnelProtocol !== 'HBONE' || workload.nativeTunnel) return { kind: 'plain', ...to, enforce: false };
  const local = workload.node === nodeName;
  // A source without an identity cannot tunnel. What it may reach is up to the destination's policy.
  if (source.tunnelProtocol !== 'HBONE') return { kind: 'plain', ...to, enforce: local };
  if (local && sameNode === 'direct') return { kind: 'same-node', ...to, enforce: true };
  return { kind: 'tunnel', ...to, enforce: false };
}

/**
 * By tunnel, whatever node it is on. Throws NO_ENDPOINT or NO_SUCH_PORT: a waypoint that is away is not gone around.
 */
function wayToWaypoint(query: OutboundQuery, service: Service | null, waypoint: WaypointAddress): Way {
  const { index, source, address, exclude, random } = query;
  const { hostname, hbonePort } = waypoint;
  const named =
    hostname === undefined
      ? index.serviceByVip(waypoint.address?.address ?? '', null)
      : index.serviceByKey(`${hostname.namespace}/${hostname.hostname}`);
  const kind = 'tunnel' as const;
  if (named !== null) {
    const choice = chooseEndpoint(index, {
      service: named,
      port: hbonePort,
      source,
      destinationIp: address,
      exclude,
      random,
    });
    const to = { workload: choice.workload, address: choice.address, port: choice.targetPort };
    return { kind, service, ...to, waypoint: { service: named }, enforce: false };
  }
  const workload = index.workloadByAddress(waypoint.address?.address ?? '');
  if (workload === null || exclude.has(workload.uid)) {
    const name = hostname?.hostname ?? waypoint.address?.address ?? 'the waypoint';
    throw new MeshError('NO_ENDPOINT', { service: name, port: hbonePort });
  }
  const to = { workload, address: addressOf(workload, null, address), port: hbonePort };
  return { kind, service, ...to, waypoint: { service: null }, enforce: false };
}
