// Where this controller reads the mesh from, by its configuration. What talks to a cluster is loaded only for one.
import type { Clock } from '../base/clock.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { JwtVerifier, type TokenClaims } from '../identity/jwt.ts';
import { controllerHost } from '../install/controller-objects.ts';
import { discoveryPort } from '../install/parts.ts';
import type { WaypointSettings } from '../install/waypoint-objects.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { FolderSource } from '../kube/folder-source.ts';
import type { MeshSource } from '../kube/mesh-source.ts';
import type { ClusterWrites, ClusterWritesOptions } from './cluster-writes.ts';
import type { RootSecret } from './root-secret.ts';

type WriteParts = Pick<ClusterWritesOptions, 'statuses' | 'gateways' | 'rootsPem' | 'webhook' | 'clock' | 'log'>;

export interface OpenedSource {
  readonly source: MeshSource;
  /** Null where there is no cluster. */
  readonly api: ApiClient | null;
  /** Where the issuer is kept; null for files alone. */
  readonly secret: RootSecret | null;
  /** What is written into the cluster; null for nothing. */
  readonly writesOf: (parts: WriteParts) => Promise<ClusterWrites | null>;
  /** What judges tokens: the keys in the configuration, or else the API server. */
  readonly verifier: (clock: Clock) => (token: string) => TokenClaims | Promise<TokenClaims>;
}

/**
 * The source that the configuration names, not started, and the client of its cluster, which the caller closes. Throws
 * CONFIG_INVALID or INPUT_UNREADABLE for a cluster that cannot be found.
 */
export async function openSource(config: ControllerConfig): Promise<OpenedSource> {
  const byKeys = (clock: Clock) => {
    const verifier = new JwtVerifier({ ...config.auth, clock });
    return (token: string) => verifier.verify(token);
  };
  if (config.source === 'folders') {
    return {
      source: new FolderSource(config.sources),
      api: null,
      secret: null,
      verifier: byKeys,
      writesOf: async () => null,
    };
  }
  const { kubeconfig, context } = config.kubernetes;
  const { ApiClient } = await import('../kube/api/api-client.ts');
  const { KubeSource } = await import('../kube/kube-source.ts');
  const { TokenReviewer } = await import('../kube/api/token-review.ts');
  const api = new ApiClient(await accessOf(kubeconfig, context));
  const byReview = (clock: Clock) => {
    const reviewer = new TokenReviewer({ client: api, audiences: config.auth.audiences, clock });
    return (token: string) => reviewer.verify(token);
  };
  const source = new KubeSource({ client: api, random: Math.random });
  const verifier = config.auth.jwksFile === '' ? byReview : byKeys;
  const writesOf = async (parts: WriteParts): Promise<ClusterWrites | null> => {
    if (!config.kubernetes.writes) return null;
    const { ClusterWrites } = await import('./cluster-writes.ts');
    const { eventOfReading } = await import('./told-events.ts');
    const place = source.objectPlace.bind(source);
    const { systemNamespace: namespace } = config;
    const writes = new ClusterWrites({ ...parts, api, place, namespace, waypoints: waypointSettings(config) });
    source.on('reading', (reading) => writes.tell(eventOfReading(reading)));
    return writes;
  };
  return { source, api, secret: await secretOf(config, api), verifier, writesOf };
}

function waypointSettings(config: ControllerConfig): WaypointSettings | null {
  const { trustDomain, clusterId, systemNamespace: namespace, waypoints } = config;
  const controllerUrl = `https://${controllerHost({ namespace })}:${discoveryPort}`;
  return waypoints.image === '' ? null : { ...waypoints, trustDomain, clusterId, controllerUrl };
}

async function secretOf(config: ControllerConfig, api: ApiClient): Promise<RootSecret | null> {
  const { caSecret: name, caDir: dir, systemNamespace: namespace, trustDomain } = config;
  if (name === '') return null;
  const { RootSecret } = await import('./root-secret.ts');
  return new RootSecret({ api, namespace, name, dir, trustDomain });
}

async function accessOf(kubeconfig: string, context: string) {
  if (kubeconfig === '') return (await import('../kube/api/access.ts')).inClusterAccess();
  return (await import('../kube/api/kubeconfig.ts')).kubeconfigAccess(kubeconfig, context);
}
