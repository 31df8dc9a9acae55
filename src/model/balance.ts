// Which endpoint of a service a connection goes to, at L4.
import { MeshError } from '../base/errors.ts';
import type { MeshIndex } from './mesh-index.ts';
import type { Service, Workload } from './types.ts';

export interface EndpointChoice {
  /** Null only for a service in pass-through mode, where the address is the destination as it was asked for. */
  readonly workload: Workload | null;
  /** Canonical. */
  readonly address: string;
  readonly targetPort: number;
}

export interface EndpointQuery {
  readonly service: Service;
  readonly port: number;
  readonly source: Workload | null;
  /** The address that was dialled: the VIP. */
  readonly destinationIp: string;
  /** Uids of endpoints that were tried already. */
  readonly exclude: ReadonlySet<string> | null;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * Chooses among the endpoints of a service.
 * @throws MeshError NO_SUCH_PORT when the service has no such port, NO_ENDPOINT when none is eligible.
 */
export function chooseEndpoint(_index: MeshIndex, _query: EndpointQuery): EndpointChoice {
  throw new MeshError('INTERNAL', { reason: 'the balancer is not there yet' });
}
