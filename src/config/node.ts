// The configuration of a node proxy: one frozen object, read once at start.
export interface NodeConfig {
  readonly nodeName: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly systemNamespace: string;
  /** `https://HOST:15012`; '' runs from the state on disk only. */
  readonly controllerUrl: string;
  /** PEM file with the roots that verify the controller. */
  readonly controllerRootsFile: string;
  /** Bearer token file, read again for each call. */
  readonly tokenFile: string;
  /** Where the last good state is kept; '' keeps none. */
  readonly stateDir: string;
  /** Data threads; 0 means the CPUs available to the process. */
  readonly threads: number;
  /** Pod addresses of this node, `ADDRESS/LENGTH`; traffic from them is captured or held. */
  readonly podCidrs: readonly string[];
  readonly capture: {
    readonly backend: 'host' | 'none';
    readonly failOpen: boolean;
  };
  readonly ports: {
    readonly outbound: number;
    readonly inbound: number;
    readonly hbone: number;
    readonly admin: number;
    readonly metrics: number;
    readonly readiness: number;
  };
  readonly sameNode: 'direct' | 'tunnel';
  readonly log: {
    readonly level: string;
    readonly format: 'json' | 'text';
    readonly access: 'on' | 'off';
    /** '' is standard output. */
    readonly accessFile: string;
  };
  readonly certificateTtlMs: number;
  readonly timeouts: {
    readonly connectMs: number;
    readonly holdUnknownPodMs: number;
    readonly halfCloseMs: number;
    readonly idleMs: number;
    readonly drainMs: number;
  };
  readonly limits: {
    readonly connectionsMax: number;
    readonly heldConnectionsMax: number;
    readonly endpointAttempts: number;
    readonly streamsPerSession: number;
  };
}
