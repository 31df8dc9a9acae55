// Where a captured connection goes: a pure function of the mesh, the source and the destination (ambient's outbound
// decision, without waypoints).
import { isMeshError, type MeshError } from '../base/errors.ts';
import { chooseEndpoint } from '../model/balance.ts';
import type { MeshIndex } from '../model/mesh-index.ts';
import type { Service, Workload } from '../model/types.ts';

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
  /** Null for `passthrough`. */
  readonly workload: Workload | null;
  /** The endpoint's own address and port. */
  readonly address: string;
  readonly port: number;
  /** The destination is an enrolled pod of this node and no other proxy sees the connection: ask its policy here. */
  readonly enforce: boolean;
}

/** The way for one attempt, or why there is none: NO_ENDPOINT, NO_SUCH_PORT. */
export function decideOutbound(query: OutboundQuery): Way | MeshError {
  const { index, source, address, port, exclude, random } = query;
  const service = index.serviceByVip(address, source.namespace);
  if (service === null) return wayTo(query, null, index.workloadByAddress(address), address, port);
  try {
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
  const to = { service, workload, address, port };
  if (workload === null) return { kind: 'passthrough', ...to, enforce: false };
  if (workload.tunnelProtocol !== 'HBONE') return { kind: 'plain', ...to, enforce: false };
  const local = workload.node === nodeName;
  // A source without an identity cannot tunnel. What it may reach is up to the destination's policy.
  if (source.tunnelProtocol !== 'HBONE') return { kind: 'plain', ...to, enforce: local };
  if (local && sameNode === 'direct') return { kind: 'same-node', ...to, enforce: true };
  return { kind: 'tunnel', ...to, enforce: false };
}
