// One connection = one record = one access-log line. The shape is a contract; see docs/architecture.md.
import type { Flag } from '../base/flags.ts';
import type { PeerView, ReporterView } from '../model/views.ts';

export interface AccessRecord {
  /** RFC 3339 with milliseconds, when the connection ended. */
  readonly time: string;
  readonly kind: 'connection' | 'request';
  readonly direction: 'inbound' | 'outbound';
  readonly source: PeerView;
  readonly destination: PeerView & { readonly service: string | null };
  readonly transport: 'mtls' | 'same-node' | 'plaintext';
  /** From the source to the destination, and back, whoever reports. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly flag: Flag;
  /** The policy that decided, `NAMESPACE/NAME`, or null where none spoke. */
  readonly decidedBy: string | null;
  /**
   * AUDIT policies that match, and dry-run ones that would have: `audit NS/NAME#RULE`, `dry-run deny NS/NAME#RULE`.
   * Absent for none.
   */
  readonly policyHits?: readonly string[];
  /** Of a connection, absent where it is not traced; of a request, null where it brought none that can be read. */
  readonly traceId?: string | null;
  /** The error in words; null when it ended well. */
  readonly error: string | null;
  readonly method: string | null;
  readonly path: string | null;
  readonly status: number | null;
  readonly attempts: number;
  /** Time until the destination was connected, by part; null where a part does not apply. */
  readonly segmentsMs: { readonly hold: number | null; readonly connect: number | null };
}

/** Where the time of a request went; null where nobody could tell. */
export interface RequestSegments {
  readonly clientProxy: number | null;
  readonly wire: number | null;
  readonly waypoint: number | null;
  readonly destinationProxy: number | null;
  readonly application: number | null;
}

/**
 * One request = one record. `durationMs` is from its first byte in the hands of the client's proxy, where that tells,
 * to the last of its answer here: the sum of `segmentsMs`.
 */
export interface RequestRecord extends Omit<AccessRecord, 'kind' | 'segmentsMs'> {
  readonly kind: 'request';
  readonly requestId: string | null;
  readonly traceId: string | null;
  readonly authority: string | null;
  readonly protocol: 'http1' | 'http2' | 'grpc';
  /** The route and its rule, `KIND/NAMESPACE/NAME#RULE`; null where none matched. */
  readonly route: string | null;
  /** Of a gRPC call that said so. */
  readonly grpcStatus: number | null;
  readonly segmentsMs: RequestSegments;
}

/** A record as a proxy remembers and tells it: one line of `GET /flows`. A contract, as the records are. */
export type FlowView = (AccessRecord | RequestRecord) & {
  readonly reporter: ReporterView;
  /** How many flows it stands for: 1, or more where there were too many to remember each. */
  readonly weight: number;
};
