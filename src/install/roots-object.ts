// What verifies the controller and everybody in the mesh, where pods can mount it.
import type { ObjectSet } from '../kube/object-keeper.ts';
import { metaOf, rootsKey, rootsName } from './parts.ts';

/** Which installation made it: another one in the same cluster has its own. */
export const systemLabel = 'ambient.mesh/system-namespace';

/**
 * A ConfigMap with these roots in each namespace, by the installation in `system`. The name is ours: what bears it is
 * made to say what it has to.
 */
export function rootsSet(system: string, namespaces: readonly string[], rootsPem: readonly string[]): ObjectSet {
  const objects = namespaces.map((namespace) => {
    const metadata = metaOf(rootsName, 'ambient-controller', namespace);
    return {
      kind: 'ConfigMap' as const,
      metadata: { ...metadata, labels: { ...metadata.labels, [systemLabel]: system } },
      data: { [rootsKey]: rootsPem.join('') },
    };
  });
  return { id: `ConfigMap ${rootsName}`, objects, isOurs: () => true, owner: null };
}
