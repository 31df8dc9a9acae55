// How lists and mappings of a kind merge: as one thing, as a set, or item by item under keys. From the schema of a
// custom kind; for the built-in ones by the names of their fields.
import type { ResourceType } from './resources.ts';
import { isFields, type Schema } from './structural-schema.ts';

/** Keys of the items, or how else the list merges. */
export type ListKind = 'atomic' | 'set' | readonly string[];

const listsByField: Readonly<Record<string, ListKind>> = {
  conditions: ['type'],
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  secrets: ['name'],
  webhooks: ['name'],
  listeners: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  hostAliases: ['ip'],
  podIPs: ['ip'],
  addresses: ['type'],
  ownerReferences: ['uid'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  finalizers: 'set',
  podCIDRs: 'set',
};

/** Mappings that are replaced as a whole. */
const atomicMaps = new Set([
  'selector',
  'nodeSelector',
  'podSelector',
  'namespaceSelector',
  'objectSelector',
  'roleRef',
  'involvedObject',
  'targetRef',
  'fieldRef',
  'configMapKeyRef',
  'secretKeyRef',
]);

/** What is known of the place that a walk through an object has come to. */
export interface Place {
  readonly type: Pick<ResourceType, 'kind' | 'group'>;
  /** Of the value at this place; null where nothing is known. */
  readonly schema: Schema | null;
  /** Names of the fields on the way, without keys of items. */
  readonly fields: readonly string[];
}

/** The place of a whole object. */
export function rootPlace(type: ResourceType): Place {
  return { type, schema: type.schema, fields: [] };
}

/** The place of a field. */
export function fieldPlace(place: Place, name: string): Place {
  const { schema } = place;
  const rest = isFields(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : null;
  return { ...place, schema: schema?.properties?.[name] ?? rest, fields: [...place.fields, name] };
}

/** The place of the items of a list. */
export function itemPlace(place: Place): Place {
  return { ...place, schema: place.schema?.items ?? null };
}

/** How the list at this place merges. */
export function listKindAt({ type, schema, fields }: Place): ListKind {
  const listType = schema?.['x-kubernetes-list-type'];
  if (listType === 'map') return schema?.['x-kubernetes-list-map-keys'] ?? 'atomic';
  if (listType !== undefined) return listType;
  const name = fields.at(-1) ?? '';
  const isMeta = fields[0] === 'metadata';
  if (schema !== null && !isMeta) return 'atomic';
  if (name === 'ports') {
    const parent = fields.at(-2);
    if (parent === 'containers' || parent === 'initContainers') return ['containerPort', 'protocol'];
    return type.kind === 'Service' && parent === 'spec' ? ['port', 'protocol'] : 'atomic';
  }
  if (name === 'addresses' && type.kind !== 'Node') return 'atomic';
  return listsByField[name] ?? 'atomic';
}

/** True when the mapping at this place is replaced as a whole. */
export function isAtomicMap({ schema, fields }: Place): boolean {
  if (schema?.['x-kubernetes-map-type'] === 'atomic') return true;
  return schema === null && atomicMaps.has(fields.at(-1) ?? '');
}

/** The values of an item's keys; a missing protocol is TCP. */
export function keysOf(item: unknown, keys: readonly string[]): Record<string, unknown> {
  const fields = isFields(item) ? item : {};
  return Object.fromEntries(keys.map((key) => [key, fields[key] ?? (key === 'protocol' ? 'TCP' : undefined)]));
}
