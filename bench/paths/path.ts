// What a measured path is: something between the client pod and the server pod that can be started, asked and stopped.
import type { CertificateFiles } from '../certificates.ts';
import type { Service } from '../processes.ts';
import type { Topology } from '../topology.ts';

export interface PathContext {
  /** Of this path alone. */
  readonly dir: string;
  readonly topology: Topology;
  readonly certificates: { readonly client: CertificateFiles; readonly server: CertificateFiles };
}

export interface RunningPath {
  readonly name: string;
  readonly topology: Topology;
  /** What the client asks, without a path: `http://ADDRESS:PORT`. */
  readonly origin: string;
  /** The proxies that bytes pass; their CPU and memory count. Empty for none. */
  readonly proxies: readonly Service[];
  /** Everything that was started, in order; stopped in reverse. */
  readonly services: readonly Service[];
}

export type StartPath = (context: PathContext) => Promise<RunningPath>;

/** Port of the server pod. */
export const serverPort = 8080;
/**
 * Where a peer's first proxy listens in node A, and its second in node B. Each peer has its own: both set SO_REUSEPORT,
 * so that two on one port would share its connections without a word.
 */
export const peerPorts = {
  haproxy: { entry: 18001, tunnel: 18008 },
  envoy: { entry: 18101, tunnel: 18108 },
} as const;
