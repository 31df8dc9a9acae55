// Where this controller reads the mesh from, by its configuration. What talks to a cluster is loaded only for one.
import type { ControllerConfig } from '../config/controller.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { FolderSource } from '../kube/folder-source.ts';
import type { MeshSource } from '../kube/mesh-source.ts';

export interface OpenedSource {
  readonly source: MeshSource;
  /** Null where there is no cluster. */
  readonly api: ApiClient | null;
}

/**
 * The source that the configuration names, not started, and the client of its cluster, which the caller closes. Throws
 * CONFIG_INVALID or INPUT_UNREADABLE for a cluster that cannot be found.
 */
export async function openSource(config: ControllerConfig): Promise<OpenedSource> {
  if (config.source === 'folders') return { source: new FolderSource(config.sources), api: null };
  const { kubeconfig, context } = config.kubernetes;
  const { ApiClient } = await import('../kube/api/api-client.ts');
  const { KubeSource } = await import('../kube/kube-source.ts');
  const api = new ApiClient(await accessOf(kubeconfig, context));
  return { source: new KubeSource({ client: api, random: Math.random }), api };
}

async function accessOf(kubeconfig: string, context: string) {
  if (kubeconfig === '') return (await import('../kube/api/access.ts')).inClusterAccess();
  return (await import('../kube/api/kubeconfig.ts')).kubeconfigAccess(kubeconfig, context);
}
