// From text to resources: multi-document YAML, `List`s and JSON, every complaint with its place. Kinds that Ambient
// does not use are counted, never silently dropped; a kind of the security API that it does not know is an error.

import { isMeshError, MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import { formatPlace, placedError, readYaml, type YamlDocument } from '../config/yaml.ts';
import {
  type Resource,
  type ResourceKind,
  type ResourceMeta,
  resourceKey,
  type SourcePlaces,
} from '../model/resources.ts';
import type { SourcePlace } from '../model/types.ts';
import { isMapping, ObjectReader } from './object-reader.ts';
import { readRequestAuthentication } from './read-authentication.ts';
import { readDestinationRule } from './read-destination-rule.ts';
import { readGrpcRoute, readHttpRoute, readReferenceGrant } from './read-gateway-routes.ts';
import { readGateway } from './read-gateways.ts';
import { readRateLimitPolicy, readTrafficPolicy } from './read-own-policies.ts';
import { readNamespace, readNode, readPod, readServiceAccount, readTemplate } from './read-pods.ts';
import { readCertificateRevocation } from './read-revocation.ts';
import { readAuthorizationPolicy, readPeerAuthentication } from './read-security.ts';
import { readEndpointSlice, readService } from './read-services.ts';
import { readVirtualService } from './read-virtual-service.ts';

export interface ManifestSet {
  readonly resources: readonly Resource[];
  /** Kinds that were read and are not used. */
  readonly ignored: readonly { readonly kind: string; readonly count: number }[];
}

export interface ManifestText {
  readonly text: string;
  readonly file: string;
}

interface KindEntry {
  readonly group: string;
  readonly versions: readonly string[];
  readonly isNamespaced: boolean;
  readonly read: (object: ObjectReader, meta: ResourceMeta) => Resource;
}

const security = { group: 'security.istio.io', versions: ['v1', 'v1beta1'], isNamespaced: true } as const;
const own = { group: 'ambient.mesh', versions: ['v1alpha1'], isNamespaced: true } as const;
const core = { group: '', versions: ['v1'], isNamespaced: true } as const;
const gateway = { group: 'gateway.networking.k8s.io', versions: ['v1', 'v1beta1'], isNamespaced: true } as const;
const apps = { group: 'apps', versions: ['v1'], isNamespaced: true } as const;
const traffic = { group: 'networking.istio.io', versions: ['v1', 'v1beta1', 'v1alpha3'], isNamespaced: true } as const;

const kinds: Readonly<Record<ResourceKind, KindEntry>> = {
  Node: { ...core, isNamespaced: false, read: readNode },
  Namespace: { ...core, isNamespaced: false, read: readNamespace },
  ServiceAccount: { ...core, read: readServiceAccount },
  Pod: { ...core, read: readPod },
  Service: { ...core, read: readService },
  Deployment: { ...apps, read: readTemplate('Deployment') },
  ReplicaSet: { ...apps, read: readTemplate('ReplicaSet') },
  StatefulSet: { ...apps, read: readTemplate('StatefulSet') },
  DaemonSet: { ...apps, read: readTemplate('DaemonSet') },
  Job: { group: 'batch', versions: ['v1'], isNamespaced: true, read: readTemplate('Job') },
  EndpointSlice: { group: 'discovery.k8s.io', versions: ['v1'], isNamespaced: true, read: readEndpointSlice },
  Gateway: { ...gateway, read: readGateway },
  PeerAuthentication: { ...security, read: readPeerAuthentication },
  AuthorizationPolicy: { ...security, read: readAuthorizationPolicy },
  RequestAuthentication: { ...security, read: readRequestAuthentication },
  HTTPRoute: { ...gateway, read: readHttpRoute },
  GRPCRoute: { ...gateway, read: readGrpcRoute },
  ReferenceGrant: { ...gateway, read: readReferenceGrant },
  VirtualService: { ...traffic, read: readVirtualService },
  DestinationRule: { ...traffic, read: readDestinationRule },
  RateLimitPolicy: { ...own, read: readRateLimitPolicy },
  TrafficPolicy: { ...own, read: readTrafficPolicy },
  CertificateRevocation: { ...own, read: readCertificateRevocation },
};
/** Groups in which a kind that nobody knows is an error: what it was to secure would go unsecured. */
const strictGroups: readonly string[] = [security.group, own.group];
const listDepthMax = 4;

/**
 * Reads manifests; an object without a namespace is in `default`.
 * @throws MeshError INPUT_UNREADABLE or CONFIG_INVALID with file, line and column in `details`, and kind, namespace and
 * name of the object where these can be read; also for an object that occurs twice.
 */
export function readManifests(texts: readonly ManifestText[]): ManifestSet {
  const resources = new Map<string, Resource>();
  const ignored = new Map<string, number>();
  for (const { text, file } of texts) {
    for (const document of readYaml(text, file)) {
      for (const object of objectsOf(new ObjectReader(document, [], document.value), 0)) {
        const resource = readResource(object);
        if (typeof resource === 'string') ignored.set(resource, (ignored.get(resource) ?? 0) + 1);
        else addOnce(resources, resource);
      }
    }
  }
  const counts = [...ignored].map(([kind, count]) => ({ kind, count })).sort((a, b) => (a.kind < b.kind ? -1 : 1));
  return { resources: [...resources.values()], ignored: counts };
}

/** An object of a kind that the mesh is not made of, as it stands in a manifest. */
export interface UnusedObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: Readonly<Record<string, unknown>>;
  readonly places: SourcePlaces;
}

/**
 * As `readManifests`, for who wants to say everything that is wrong: what cannot be read is left out and is an error.
 */
export function readLeniently(texts: readonly ManifestText[]): {
  readonly resources: readonly Resource[];
  readonly unused: readonly UnusedObject[];
  readonly errors: readonly unknown[];
} {
  const resources = new Map<string, Resource>();
  const unused: UnusedObject[] = [];
  const errors: unknown[] = [];
  const attempt = <Value>(read: () => Value, otherwise: Value): Value => {
    try {
      return read();
    } catch (error) {
      errors.push(error);
      return otherwise;
    }
  };
  for (const { text, file } of texts) {
    for (const document of attempt(() => readYaml(text, file), [])) {
      for (const object of attempt(() => objectsOf(new ObjectReader(document, [], document.value), 0), [])) {
        attempt(() => {
          const resource = readResource(object);
          if (typeof resource === 'string') unused.push(unusedObject(object));
          else addOnce(resources, resource);
        }, undefined);
      }
    }
  }
  return { resources: [...resources.values()], unused, errors };
}

function unusedObject(object: ObjectReader): UnusedObject {
  const metadata = object.object('metadata');
  const kind = object.string('kind');
  const [namespace, name] = [metadata.string('namespace', 'default'), metadata.string('name', '')];
  return { kind, namespace, name, object: object.fields, places: new ObjectPlaces(object.document, object.path) };
}

/** Where the API server has a kind: its group and the versions that are read, the one that is liked best first. */
export function groupOf(kind: ResourceKind): { readonly group: string; readonly versions: readonly string[] } {
  const { group, versions } = kinds[kind];
  return { group, versions };
}

/**
 * Reads one object that is at hand as a value, of a kind of the model. `document` says where it stands.
 * @throws MeshError CONFIG_INVALID with the place of what is wrong.
 */
export function readObject(document: YamlDocument, value: unknown): Resource {
  const object = new ObjectReader(document, [], value);
  const resource = readResource(object);
  return typeof resource === 'string' ? object.fail('kind', `is none that is read: ${resource}`) : resource;
}

/** `KIND NAMESPACE/NAME`, as people say it. */
export function titleOf(resource: { kind: string; namespace: string; name: string }): string {
  const { kind, namespace, name } = resource;
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

function addOnce(resources: Map<string, Resource>, resource: Resource): void {
  const key = resourceKey(resource);
  const other = resources.get(key);
  if (other === undefined) resources.set(key, resource);
  else throw duplicateError(resource, other);
}

/** The error for an object that another one, read before, has the name of. It stands at the place of the object. */
export function duplicateError(resource: Resource, other: Resource): MeshError {
  const place = resource.places.object ?? { file: 'unknown', line: 1, column: 1 };
  const first = other.places.object === null ? 'elsewhere' : formatPlace(other.places.object);
  return placedError('CONFIG_INVALID', place, `${titleOf(resource)} is there twice; the other one is at ${first}`);
}

/** The object itself, or those of a list. */
function objectsOf(object: ObjectReader, depth: number): ObjectReader[] {
  const kind = object.string('kind');
  if (!kind.endsWith('List') || !Array.isArray(object.fields['items'])) return [object];
  if (depth >= listDepthMax) object.fail('items', `must not nest deeper than ${listDepthMax} lists`);
  const itemKind = kind.slice(0, -'List'.length);
  return object.list('items').flatMap((item, at) => {
    // The items of a typed list need not repeat its kind.
    const isTyped = itemKind !== '' && isMapping(item) && item['kind'] === undefined;
    const value = isTyped ? { apiVersion: object.fields['apiVersion'], kind: itemKind, ...item } : item;
    return objectsOf(new ObjectReader(object.document, [...object.path, 'items', at], value), depth + 1);
  });
}

/** The resource, or the kind of an object that is not used. */
function readResource(object: ObjectReader): Resource | string {
  const kind = object.string('kind');
  const apiVersion = object.string('apiVersion');
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  const entry = Object.hasOwn(kinds, kind) ? kinds[kind as ResourceKind] : undefined;
  if (entry === undefined || entry.group !== group) {
    if (strictGroups.includes(group)) failStrictKind(object, group, kind);
    return entry === undefined ? kind : `${kind}.${group || 'core'}`;
  }
  if (!entry.versions.includes(apiVersion.slice(slash + 1))) {
    const known = entry.versions.map((version) => (group === '' ? version : `${group}/${version}`));
    object.fail('apiVersion', `must be ${known.join(' or ')} for ${kind}, not "${apiVersion}"`);
  }
  const meta = readMeta(object, apiVersion, entry);
  try {
    return entry.read(object, meta);
  } catch (error) {
    if (!isMeshError(error)) throw error;
    const { namespace, name } = meta;
    throw new MeshError(error.code, { ...error.details, kind, namespace, name }, { cause: error });
  }
}

function failStrictKind(object: ObjectReader, group: string, kind: string): never {
  const known = Object.keys(kinds).filter((name) => kinds[name as ResourceKind].group === group);
  return object.fail('kind', `is no kind of ${group}: "${kind}"${didYouMean(kind, known)}`);
}

function readMeta(object: ObjectReader, apiVersion: string, entry: KindEntry): ResourceMeta {
  const metadata = object.object('metadata');
  return {
    apiVersion,
    namespace: entry.isNamespaced ? metadata.name('namespace', 'default') : '',
    name: metadata.name('name'),
    uid: metadata.string('uid', ''),
    labels: metadata.labels('labels'),
    annotations: metadata.labels('annotations'),
    creationTimestamp: readTimestamp(metadata, 'creationTimestamp'),
    deletionTimestamp: readTimestamp(metadata, 'deletionTimestamp'),
    owners: metadata.objects('ownerReferences').map((owner) => ({
      kind: owner.string('kind'),
      name: owner.string('name'),
      uid: owner.string('uid', ''),
      controller: owner.boolean('controller', false),
    })),
    places: new ObjectPlaces(object.document, object.path),
    raw: object.fields,
  };
}

function readTimestamp(metadata: ObjectReader, key: string): string | null {
  if (!metadata.has(key)) return null;
  const text = metadata.string(key);
  if (Number.isNaN(Date.parse(text))) metadata.fail(key, `must be a time such as 2026-01-31T12:00:00Z, not "${text}"`);
  return text;
}

class ObjectPlaces implements SourcePlaces {
  readonly #document: YamlDocument;
  readonly #path: readonly (string | number)[];

  constructor(document: YamlDocument, path: readonly (string | number)[]) {
    this.#document = document;
    this.#path = path;
  }

  get object(): SourcePlace {
    return this.#document.place(this.#path);
  }

  at(path: readonly (string | number)[]): SourcePlace {
    return this.#document.place([...this.#path, ...path]);
  }
}
