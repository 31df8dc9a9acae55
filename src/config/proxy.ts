// What the configurations of node proxies and waypoints have in common, field by field.
import type { NodeConfig } from './node.ts';

/** The part of a proxy's configuration that its kind does not matter for. */
export type ProxyConfig = Pick<
  NodeConfig,
  | 'trustDomain'
  | 'clusterId'
  | 'controllerUrl'
  | 'controllerRootsFile'
  | 'tokenFile'
  | 'stateDir'
  | 'log'
  | 'tracing'
  | 'certificateTtlMs'
  | 'timeouts'
  | 'limits'
> & { readonly ports: Pick<NodeConfig['ports'], 'hbone' | 'admin' | 'metrics' | 'readiness'> };
