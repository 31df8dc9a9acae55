// Why a kind cannot be had. An API server that is only just starting answers 404 for kinds that it has, so that the
// answer alone proves nothing: what is taken for absent is never listed, and a policy may be among it.
import { isMapping } from '../object-reader.ts';
import type { ApiClient } from './api-client.ts';
import { failureOf } from './api-error.ts';
import { fullName, type WatchedKind } from './kinds.ts';

/**
 * `served`: it is there, in this version. `absent`: nobody has defined it. `uncertain`: it is not served, and whether
 * it is defined we may not see. `refused`: it is there, and not for us; the reason is '' where the server gave one.
 */
export type Absence =
  | { readonly what: 'served'; readonly version: string }
  | { readonly what: 'absent' | 'uncertain' }
  | { readonly what: 'refused'; readonly reason: string };

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Looks why a list was answered with `status`. Throws what the client throws, also for a server that is not ready. */
export async function findAbsence(
  client: ApiClient,
  kind: WatchedKind,
  status: 403 | 404,
  signal: AbortSignal,
): Promise<Absence> {
  const refused = { what: 'refused', reason: '' } as const;
  if (!kind.isCustom) return refused;
  try {
    const definition = await client.json({ path: `${definitions}/${fullName(kind)}`, signal });
    return status === 403 ? refused : ofDefinition(definition, kind);
  } catch (error) {
    const failure = failureOf(error);
    if (failure?.status === 404 && failure.reason === 'NotFound') return { what: 'absent' };
    if (failure?.status !== 403 && failure?.status !== 404) throw error;
    return status === 403 ? refused : byDiscovery(client, kind, signal);
  }
}

function ofDefinition(definition: unknown, kind: WatchedKind): Absence {
  const spec = isMapping(definition) && isMapping(definition['spec']) ? definition['spec'] : {};
  const versions = Array.isArray(spec['versions']) ? spec['versions'].filter(isMapping) : [];
  const served = versions.filter((one) => one['served'] === true).map((one) => String(one['name']));
  const version = kind.versions.find((one) => served.includes(one));
  if (version !== undefined) return { what: 'served', version };
  const [has, reads] = [served.join(', ') || 'nothing', kind.versions.join(', ')];
  return { what: 'refused', reason: `${fullName(kind)} is served as ${has}; what is read is ${reads}` };
}

/** Where definitions may not be read: asks what is served, once the API server says that it is ready. */
async function byDiscovery(client: ApiClient, kind: WatchedKind, signal: AbortSignal): Promise<Absence> {
  await client.text({ path: '/readyz', signal }).catch((error: unknown) => {
    const failure = failureOf(error);
    if (failure?.status !== 403 && failure?.status !== 404) throw error;
  });
  for (const version of kind.versions) {
    const path = `/apis/${kind.group}/${version}`;
    const answer = await client.json({ path, signal }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
    const resources = isMapping(answer) && Array.isArray(answer['resources']) ? answer['resources'] : [];
    if (resources.some((one) => isMapping(one) && one['name'] === kind.plural)) return { what: 'served', version };
  }
  return { what: 'uncertain' };
}
