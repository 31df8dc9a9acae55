// Applies manifests through the API server, by server-side apply, in the order in which they are given.
import type { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { isMapping } from '../kube/object-reader.ts';
import type { Manifest } from './parts.ts';

export interface AppliedObject {
  readonly kind: string;
  /** `NAMESPACE/NAME`, or the name of what is in no namespace. */
  readonly name: string;
  readonly action: 'created' | 'configured' | 'unchanged';
}

const fieldManager = 'ambientctl';

/**
 * Applies every object, and says which it is at; what others have set in the same fields is taken over.
 * @throws MeshError KUBE_API for the first that is refused, NOT_REACHABLE when there is no answer. What was applied
 * before stays, and a second run goes on.
 */
export async function applyManifests(
  client: ApiClient,
  manifests: readonly Manifest[],
  say: (what: string) => void = () => {},
): Promise<AppliedObject[]> {
  const done: AppliedObject[] = [];
  for (const manifest of manifests) {
    const { kind, metadata } = manifest;
    const path = pathOf(manifest);
    say(`${done.length + 1} of ${manifests.length}, ${kind} ${metadata.name}`);
    const before = await client.json({ path }).then(versionOf, (error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
    const query = { fieldManager, force: 'true' };
    const contentType = 'application/apply-patch+yaml';
    const after = versionOf(await client.json({ method: 'PATCH', path, query, contentType, body: manifest }));
    const name = metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
    done.push({ kind, name, action: before === null ? 'created' : before === after ? 'unchanged' : 'configured' });
  }
  return done;
}

function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${within}/${pluralOf(kind.toLowerCase())}/${metadata.name}`;
}

/** As the kinds that we apply are called in paths: policies, classes, gateways. */
function pluralOf(kind: string): string {
  if (/[^aeiou]y$/.test(kind)) return `${kind.slice(0, -1)}ies`;
  return kind.endsWith('s') ? `${kind}es` : `${kind}s`;
}

function versionOf(object: unknown): unknown {
  return isMapping(object) && isMapping(object['metadata']) ? object['metadata']['resourceVersion'] : undefined;
}
