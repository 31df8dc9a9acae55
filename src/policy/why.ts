// `ambientctl why` at L4: the data path's own answer, with its reasons. Pure.
import { MeshError } from '../base/errors.ts';
import type { MeshIndex } from '../model/mesh-index.ts';
import type { Workload } from '../model/types.ts';
import type { PolicyReference } from './evaluate.ts';

export interface WhyQuery {
  /** `NS/POD`, `deploy/NAME`, `svc/NAME.NS`, an IP; `TO` may end in `:PORT`. */
  readonly from: string;
  readonly to: string;
  /** Overrides a port in `to`; null when there is none. */
  readonly port: number | null;
  /** Where `deploy/NAME` is looked for. */
  readonly namespace: string;
}

export interface WhyOptions {
  readonly sameNode: 'direct' | 'tunnel';
  /** The PeerAuthentication that makes a workload STRICT, where it is known. */
  readonly strictBy?: (workload: Workload) => { readonly namespace: string; readonly name: string } | null;
}

export interface WhyEnd {
  readonly workload: string | null;
  readonly namespace: string | null;
  readonly identity: string | null;
  readonly enrolled: boolean;
}

export interface WhyAnswer {
  readonly verdict: 'allow' | 'deny' | 'unreachable';
  readonly layer: 'L4' | 'L7' | null;
  readonly decidedBy: PolicyReference | null;
  readonly transport: 'mtls' | 'same-node' | 'plaintext' | null;
  readonly hops: readonly { readonly kind: string; readonly name: string }[];
  readonly reasons: readonly string[];
}

/** The object of `why -o json`. */
export interface WhyResult extends WhyAnswer {
  readonly from: WhyEnd & { readonly node: string | null };
  /** `port` is the one that was asked for, `targetPort` the pod's, which policy sees. */
  readonly to: WhyEnd & {
    readonly service: string | null;
    readonly port: number;
    readonly targetPort: number | null;
    readonly node: string | null;
  };
  readonly route: null;
  readonly response: null;
  /** Only where endpoints give different answers. */
  readonly perEndpoint?: readonly (WhyAnswer & {
    readonly workload: string;
    readonly namespace: string;
    readonly node: string;
  })[];
}

/**
 * Explains what happens to a connection.
 * @throws MeshError USAGE for an end that cannot be read or needs a port, NOT_FOUND (with the nearest name) for one that is not there.
 */
export function why(_index: MeshIndex, _query: WhyQuery, _options: WhyOptions): WhyResult {
  throw new MeshError('INTERNAL', { reason: 'why is not there yet' });
}
