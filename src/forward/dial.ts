// A connection that a waypoint makes itself, to an endpoint: a tunnel where the endpoint is enrolled, plain TCP where
// it is outside the mesh. No byte has left when it fails.
import { MeshError } from '../base/errors.ts';
import { formatHostPort } from '../base/ip.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { Service, SpiffeId, Workload } from '../model/types.ts';
import { newTraceparent } from '../tunnel/traceparent.ts';
import type { ForwardContext } from './context.ts';
import { baggageOf, identityOf } from './workload-names.ts';

/** Who dials. */
export interface Dialler {
  readonly context: ForwardContext;
  readonly identity: SpiffeId;
  /** Its own workload; null while unknown. */
  readonly self: () => Workload | null;
}

export interface DialTarget {
  /** Where the endpoint was found; its extra names are accepted too. */
  readonly service: Service | null;
  readonly workload: Workload;
  readonly address: string;
  readonly targetPort: number;
  readonly timeoutMs: number;
  /** It carries requests, whose time is to be told. */
  readonly timed?: boolean;
}

/** `identity` is the peer's, proven by its certificate; null for plain TCP. */
export type Dialled = (error: MeshError | null, stream: ByteStream | null, identity: SpiffeId | null) => void;

/** True when an endpoint is reached by tunnel. */
export function isTunnelled(workload: Workload): boolean {
  return workload.tunnelProtocol === 'HBONE' && !workload.nativeTunnel;
}

/**
 * Calls back once, later or at once, with the errors of `TunnelPool.open` and of `ConnectTcp`, or NO_CERTIFICATE.
 * Returns what gives up; after it nothing is called.
 */
export function dial(dialler: Dialler, target: DialTarget, callback: Dialled): () => void {
  const { context, identity } = dialler;
  const { workload, address, targetPort, timeoutMs } = target;
  if (!isTunnelled(workload)) {
    return context.connect({ host: address, port: targetPort, timeoutMs }, (error, stream) => {
      callback(error, stream, null);
    });
  }
  let cancel = (): void => {};
  const cancelWant = context.credentials.want(identity, (error, credentials) => {
    if (credentials === null) {
      callback(MeshError.from(error), null, null);
      return;
    }
    const self = dialler.self();
    const request = {
      credentials,
      acceptIdentities: [identityOf(workload), ...(target.service?.subjectAltNames ?? [])],
      host: address,
      port: context.config.ports.hbone,
      authority: formatHostPort(address, targetPort),
      workloadUid: workload.uid,
      node: workload.node,
      baggage: self === null ? '' : baggageOf(self),
      forwarded: '',
      traceparent: newTraceparent(),
      timeoutMs,
      timed: target.timed === true,
    };
    cancel = context.pool.open(request, (failed, opened) => {
      callback(failed, opened?.stream ?? null, opened?.peerIdentity ?? null);
    });
  });
  return () => {
    cancelWant();
    cancel();
  };
}

/** True for failures of one endpoint alone, which came before any byte of the client was sent. */
export function mayTryElsewhere(error: MeshError): boolean {
  switch (error.code) {
    case 'CONNECT_FAILED':
    case 'CONNECT_TIMEOUT':
    case 'TUNNEL_CONNECT_TIMEOUT':
    case 'TUNNEL_LOST':
    case 'TLS_FAILED':
    case 'H2_HANDSHAKE':
    case 'PEER_IDENTITY':
      return true;
    case 'TUNNEL_REJECTED':
      return error.details.status === 503;
    default:
      return false;
  }
}

/** What a rejection by the peer's policy is to whoever asked; other errors stay as they are. */
export function refusedByPeer(error: MeshError, address: string, port: number): MeshError {
  if (error.code !== 'TUNNEL_REJECTED' || error.details.status !== 401) return error;
  const policy = `the peer proxy at ${formatHostPort(address, port)}`;
  return new MeshError('POLICY_DENIED', { policy }, { cause: error });
}
