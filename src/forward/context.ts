// What every part of a data thread's L4 path works with: assembled once per thread, handed to each connection.
import type { MeshError } from '../base/errors.ts';
import type { NodeConfig } from '../config/node.ts';
import type { TracingConfig } from '../config/tracing.ts';
import type { ConnectTcpOptions } from '../io/connect-tcp.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import type { MeshIndex } from '../model/mesh-index.ts';
import type { SpiffeId } from '../model/types.ts';
import type { TunnelCredentials, TunnelPool } from '../tunnel/types.ts';
import type { ConnectionTraces } from './connection-traces.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import type { HoldQueue } from './hold-queue.ts';
import type { Networks } from './networks.ts';
import type { Sweep } from './sweep.ts';

/** The part of the node's configuration that the data path reads. */
export type ForwardConfig = Pick<
  NodeConfig,
  'nodeName' | 'trustDomain' | 'clusterId' | 'podCidrs' | 'ports' | 'sameNode' | 'log' | 'timeouts' | 'limits'
> & {
  /**
   * Addresses of the whole mesh, pods and services of every node, `ADDRESS/LENGTH`. A destination in here that is not
   * known is held, and refused if it stays unknown. Default: `podCidrs`.
   */
  readonly meshCidrs?: readonly string[];
  /** Absent: nothing is traced. */
  readonly tracing?: TracingConfig;
};

/** Certificates by identity; see `CredentialStore`. */
export interface CredentialSource {
  peek(identity: SpiffeId): TunnelCredentials | null;
  want(
    identity: SpiffeId,
    callback: (error: MeshError | null, credentials: TunnelCredentials | null) => void,
  ): () => void;
}

export type ConnectTcp = (
  options: ConnectTcpOptions,
  callback: (error: MeshError | null, stream: TcpStream | null) => void,
) => () => void;

export interface ForwardContext {
  readonly config: ForwardConfig;
  readonly networks: Networks;
  readonly index: MeshIndex;
  readonly tracker: ConnectionTracker;
  readonly credentials: CredentialSource;
  readonly pool: TunnelPool;
  readonly holds: HoldQueue;
  readonly sweep: Sweep;
  readonly connect: ConnectTcp;
  /** Null or absent: no connection is traced. */
  readonly traces?: ConnectionTraces | null;
  /** 0 up to, not including, 1. */
  readonly random: () => number;
  /** Ids of connections, unique in the process. */
  readonly nextId: () => string;
}

/** True for the proxy's own ports, which no captured connection may be forwarded to. */
export function isOwnPort(config: ForwardConfig, port: number): boolean {
  const { outbound, inbound, hbone } = config.ports;
  return port === outbound || port === inbound || port === hbone;
}
