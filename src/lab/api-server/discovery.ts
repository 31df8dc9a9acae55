// What is served, as clients ask for it: group by group, or all at once (aggregated discovery v2), and the little
// OpenAPI that `kubectl apply` looks into: which kinds take `fieldValidation`. There are no schemas in it.
import { apiVersionOf, type ResourceType } from './resources.ts';
import { reviewTypes } from './reviews.ts';
import { hasScale } from './scale.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

/** Kinds of subresources that are of another group than what they belong to. */
const foreignKinds: Readonly<Record<string, { readonly group: string; readonly version: string }>> = {
  Scale: { group: 'autoscaling', version: 'v1' },
  TokenRequest: { group: 'authentication.k8s.io', version: 'v1' },
};

interface Served {
  readonly apiVersion: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly { readonly name: string; readonly kind: string; readonly verbs: readonly string[] }[];
}

const podSubresources: Served['subresources'] = [
  { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
  { name: 'log', kind: 'Pod', verbs: ['get'] },
];

function servedOf(types: readonly ResourceType[]): Served[] {
  const stored = types.map((type): Served => {
    const { plural, singular, kind, namespaced, shortNames, categories } = type;
    const status = type.hasStatus ? [{ name: 'status', kind, verbs: statusVerbs }] : [];
    const isAccount = kind === 'ServiceAccount' && type.group === '';
    const token = isAccount ? [{ name: 'token', kind: 'TokenRequest', verbs: ['create'] }] : [];
    const scale = hasScale(type) ? [{ name: 'scale', kind: 'Scale', verbs: statusVerbs }] : [];
    const isPod = kind === 'Pod' && type.group === '';
    const inside = isPod ? podSubresources : [];
    const subresources = [...status, ...scale, ...token, ...inside];
    return {
      apiVersion: apiVersionOf(type),
      plural,
      singular,
      kind,
      namespaced,
      verbs,
      shortNames,
      categories,
      subresources,
    };
  });
  const reviews = reviewTypes.map(([apiVersion, plural, kind, namespaced]): Served => {
    const singular = kind.toLowerCase();
    const none = { shortNames: [], categories: [], subresources: [] };
    return { apiVersion, plural, singular, kind, namespaced, verbs: ['create'], ...none };
  });
  return [...stored, ...reviews];
}

const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');
const versionOf = (apiVersion: string): string => apiVersion.split('/').at(-1) ?? '';

/** Versions of a group, `v1` before `v1beta1` before `v1alpha1`. */
function versionsByGroup(served: readonly Served[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { apiVersion } of served) {
    const group = groupOf(apiVersion);
    const versions = groups.get(group) ?? [];
    groups.set(group, versions);
    if (!versions.includes(versionOf(apiVersion))) versions.push(versionOf(apiVersion));
  }
  for (const versions of groups.values()) versions.sort((a, b) => rankOf(a) - rankOf(b));
  return groups;
}

function rankOf(version: string): number {
  return version.includes('alpha') ? 2 : version.includes('beta') ? 1 : 0;
}

/**
 * The answer to a discovery request, or null when `path` is none. `accept` decides between the old documents and the
 * aggregated ones.
 */
export function discoveryAnswer(path: string, accept: string, types: readonly ResourceType[]): object | null {
  const served = servedOf(types);
  const isAggregated = /g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList/.test(accept);
  const words = path.split('/').filter((word) => word !== '');
  if (path === '/api') {
    if (isAggregated) return aggregated(served.filter(({ apiVersion }) => groupOf(apiVersion) === ''));
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  }
  if (path === '/apis') {
    const others = served.filter(({ apiVersion }) => groupOf(apiVersion) !== '');
    if (isAggregated) return aggregated(others);
    const groups = [...versionsByGroup(others)].map(([name, versions]) => groupDocument(name, versions));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }
  if (words[0] === 'apis' && words.length === 2) {
    const versions = versionsByGroup(served).get(words[1] ?? '');
    return versions === undefined
      ? null
      : { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(words[1] ?? '', versions) };
  }
  const apiVersion = words.slice(1).join('/');
  if (!(words[0] === 'api' && words.length === 2) && !(words[0] === 'apis' && words.length === 3)) return null;
  const own = served.filter((each) => each.apiVersion === apiVersion);
  return own.length === 0 ? null : resourceList(apiVersion, own);
}

function groupDocument(name: string, versions: readonly string[]): object {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

function resourceList(groupVersion: string, served: readonly Served[]): object {
  const resources = served.flatMap(({ plural, singular, namespaced, kind, shortNames, categories, ...rest }) => {
    const names = shortNames.length === 0 ? {} : { shortNames };
    const groups = categories.length === 0 ? {} : { categories };
    const main = { name: plural, singularName: singular, namespaced, kind, verbs: rest.verbs, ...names, ...groups };
    const below = rest.subresources.map((each) => {
      const name = `${plural}/${each.name}`;
      const from = foreignKinds[each.kind] ?? {};
      return { name, singularName: '', namespaced, ...from, kind: each.kind, verbs: each.verbs };
    });
    return [main, ...below];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function aggregated(served: readonly Served[]): object {
  const items = [...versionsByGroup(served)].map(([group, versions]) => ({
    metadata: { name: group === '' ? null : group, creationTimestamp: null },
    versions: versions.map((version) => ({
      version,
      freshness: 'Current',
      resources: served
        .filter((each) => each.apiVersion === (group === '' ? version : `${group}/${version}`))
        .map((each) => aggregatedResource(each, group, version)),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function aggregatedResource(each: Served, group: string, version: string): object {
  return {
    resource: each.plural,
    responseKind: { group, version, kind: each.kind },
    scope: each.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: each.singular,
    verbs: each.verbs,
    ...(each.shortNames.length === 0 ? {} : { shortNames: each.shortNames }),
    ...(each.categories.length === 0 ? {} : { categories: each.categories }),
    ...(each.subresources.length === 0
      ? {}
      : {
          subresources: each.subresources.map(({ name, kind, verbs: own }) => ({
            subresource: name,
            responseKind: { group, version, ...foreignKinds[kind], kind },
            verbs: own,
          })),
        }),
  };
}

/** The answer below `/openapi/v3`, or null. */
export function openApiAnswer(path: string, types: readonly ResourceType[]): object | null {
  const prefix = '/openapi/v3';
  if (path === prefix) {
    const apiVersions = [...new Set(types.map(apiVersionOf))];
    const paths = Object.fromEntries(
      apiVersions.map((apiVersion) => {
        const place = openApiPath(apiVersion);
        return [place, { serverRelativeURL: `${prefix}/${place}?hash=1` }];
      }),
    );
    return { paths };
  }
  const own = types.filter((type) => path === `${prefix}/${openApiPath(apiVersionOf(type))}`);
  if (own.length === 0) return null;
  const paths = Object.fromEntries(own.map((type) => [objectPath(type), { patch: patchOperation(type) }]));
  const info = { title: 'Kubernetes', version: kubernetesVersion.gitVersion };
  return { openapi: '3.0.0', info, paths, components: { schemas: {} } };
}

function openApiPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;
}

function objectPath(type: ResourceType): string {
  const inside = type.namespaced ? 'namespaces/{namespace}/' : '';
  return `/${openApiPath(apiVersionOf(type))}/${inside}${type.plural}/{name}`;
}

function patchOperation({ group, version, kind, plural }: ResourceType): object {
  const names = ['dryRun', 'fieldManager', 'fieldValidation'];
  return {
    operationId: `patch_${plural}`,
    parameters: names.map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group, version, kind },
  };
}

export const kubernetesVersion = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0-ambient-lab',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2025-08-27T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: 'linux/amd64',
} as const;
