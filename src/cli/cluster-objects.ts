// Objects of a cluster as commands read and write them, by their kind alone: which group, version and path that means
// is said here.

import { MeshError } from '../base/errors.ts';
import { applyManifests } from '../install/apply.ts';
import type { Manifest } from '../install/parts.ts';
import type { ApiClient, ApiRequest } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { asideKinds, watchedKinds } from '../kube/api/kinds.ts';
import { isMapping } from '../kube/object-reader.ts';
import type { ObjectName, WriteAction } from './mesh.ts';

/** What the controller does not follow, and commands look at. */
const furtherKinds = [
  { kind: 'ServiceAccount', group: '', versions: ['v1'], plural: 'serviceaccounts' },
  { kind: 'ConfigMap', group: '', versions: ['v1'], plural: 'configmaps' },
  { kind: 'Event', group: '', versions: ['v1'], plural: 'events' },
  { kind: 'Deployment', group: 'apps', versions: ['v1'], plural: 'deployments' },
  { kind: 'StatefulSet', group: 'apps', versions: ['v1'], plural: 'statefulsets' },
  { kind: 'DaemonSet', group: 'apps', versions: ['v1'], plural: 'daemonsets' },
  { kind: 'GatewayClass', group: 'gateway.networking.k8s.io', versions: ['v1'], plural: 'gatewayclasses' },
] as const;

const fieldManager = 'ambientctl';

/** What a person can do about an API server that cannot be reached. */
export const whenUnreachable =
  'is it the cluster that is meant? see: kubectl cluster-info; another one: --context NAME, a lab: --lab NAME';

/** Every method throws what the API server answers (KUBE_API), NOT_REACHABLE, and NOT_FOUND for what is not there. */
export class ClusterObjects {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /**
   * Every object of a kind, or of a namespace, that a label selector lets through; none of a kind that the cluster does
   * not define.
   */
  async list(kind: string, namespace = '', labelSelector = ''): Promise<readonly object[]> {
    const query = labelSelector === '' ? {} : { query: { labelSelector } };
    const found = await this.#ofKind(kind, { namespace, name: '' }, query);
    if (found === null) return [];
    const items = isMapping(found.answer) && Array.isArray(found.answer['items']) ? found.answer['items'] : [];
    return items.map((item: object) => ({ apiVersion: found.apiVersion, kind, ...item }));
  }

  async patch(target: ObjectName, patch: object): Promise<WriteAction> {
    const before = versionOf(await this.#one(target, {}));
    const contentType = 'application/merge-patch+json';
    const after = await this.#one(target, { method: 'PATCH', query: { fieldManager }, contentType, body: patch });
    return before === versionOf(after) ? 'unchanged' : 'changed';
  }

  async apply(manifest: Manifest): Promise<WriteAction> {
    const [done] = await applyManifests(this.#client, [manifest]).catch((error: unknown) => {
      if (failureOf(error)?.status !== 404) throw error;
      const hint = 'install their definitions first, or is the namespace not there? see docs/install.md';
      throw new MeshError('NOT_FOUND', { what: `${manifest.apiVersion} ${manifest.kind} of this cluster`, hint });
    });
    return done?.action === 'configured' ? 'changed' : (done?.action ?? 'unchanged');
  }

  async remove(target: ObjectName): Promise<void> {
    await this.#one(target, { method: 'DELETE' });
  }

  async #one(target: ObjectName, request: Omit<ApiRequest, 'path'>): Promise<unknown> {
    const { kind, namespace, name } = target;
    const found = await this.#ofKind(kind, target, request);
    if (found !== null) return found.answer;
    const what = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
    throw new MeshError('NOT_FOUND', { what, hint: 'is it of another namespace?' });
  }

  /** The answer of the first version that the cluster has; null when it has none, or no such object. */
  async #ofKind(
    kind: string,
    { namespace, name }: Omit<ObjectName, 'kind'>,
    request: Omit<ApiRequest, 'path'>,
  ): Promise<{ readonly apiVersion: string; readonly answer: unknown } | null> {
    const found = [...watchedKinds, ...asideKinds, ...furtherKinds].find((one) => one.kind === kind);
    if (found === undefined) throw new MeshError('INTERNAL', { reason: `objects of kind ${kind} are not asked for` });
    const within = namespace === '' ? '' : `/namespaces/${namespace}`;
    for (const version of found.versions) {
      const apiVersion = found.group === '' ? version : `${found.group}/${version}`;
      const root = `/${found.group === '' ? 'api' : 'apis'}/${apiVersion}${within}/${found.plural}`;
      try {
        return {
          apiVersion,
          answer: await this.#client.json({ ...request, path: name === '' ? root : `${root}/${name}` }),
        };
      } catch (error) {
        if (failureOf(error)?.status !== 404) throw error;
      }
    }
    return null;
  }
}

function versionOf(object: unknown): unknown {
  return isMapping(object) && isMapping(object['metadata']) ? object['metadata']['resourceVersion'] : undefined;
}
