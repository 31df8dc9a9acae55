// What verifies the controller and everybody in the mesh, where pods can mount it.
import type { ObjectSet } from '../kube/object-keeper.ts';
import { metaOf, rootsKey, rootsName } from './parts.ts';

/** A ConfigMap with these roots in each namespace. The name is ours: what bears it is made to say what it has to. */
export function rootsSet(namespaces: readonly string[], rootsPem: readonly string[]): ObjectSet {
  const objects = namespaces.map((namespace) => ({
    kind: 'ConfigMap' as const,
    metadata: metaOf(rootsName, 'ambient-controller', namespace),
    data: { [rootsKey]: rootsPem.join('') },
  }));
  return { id: `ConfigMap ${rootsName}`, objects, isOurs: () => true, owner: null };
}
