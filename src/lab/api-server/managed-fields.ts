// Who owns which fields (`metadata.managedFields`): kept at every write, and asked at server-side apply.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../objects.ts';
import { ApiFailure, badRequest, type StatusCause } from './failure.ts';
import { type FieldPath, isBelow, leavesOf, pathsOf, pathText, touches, treeOf, without } from './field-sets.ts';
import { fieldPlace, isAtomicMap, itemPlace, keysOf, listKindAt, type Place, rootPlace } from './list-types.ts';
import { type ManagedFieldsEntry, metaOf } from './metadata.ts';
import type { ResourceType } from './resources.ts';
import { isFields } from './structural-schema.ts';

export interface ManagerOfWrite {
  readonly type: ResourceType;
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource: string | null;
  readonly time: string;
}

interface Owner extends Omit<ManagedFieldsEntry, 'fieldsV1' | 'fieldsType'> {
  readonly fields: Set<FieldPath>;
}

/** The object with the fields that this write changed under its manager, and under nobody else's. */
export function withManager(next: KubeObject, previous: KubeObject | null, write: ManagerOfWrite): KubeObject {
  const place = rootPlace(write.type);
  const before = previous === null ? new Map<FieldPath, unknown>() : leavesOf(previous, place);
  const after = leavesOf(next, place);
  const changed = new Set<FieldPath>();
  for (const [path, value] of after) {
    if (!before.has(path) || !isDeepStrictEqual(before.get(path), value)) changed.add(path);
  }
  const owners = ownersOf(previous).map((owner) => ({
    ...owner,
    fields: new Set([...owner.fields].filter((path) => !changed.has(path) && (after.has(path) || !before.has(path)))),
  }));
  const own = owners.find((owner) => isSameOwner(owner, write, 'Update'));
  if (changed.size > 0) {
    for (const path of changed) own?.fields.add(path);
    if (own === undefined) owners.push(newOwner(write, 'Update', changed));
    else owners[owners.indexOf(own)] = { ...own, time: write.time };
  }
  return withOwners(next, owners);
}

export interface ApplyOptions extends ManagerOfWrite {
  readonly force: boolean;
}

/**
 * What server-side apply makes of the live object; `live` is null when it is to be created. Throws 409 with every field
 * that another manager has otherwise.
 */
export function applied(live: KubeObject | null, config: KubeObject, options: ApplyOptions): KubeObject {
  if (metaOf(config).managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  const place = rootPlace(options.type);
  const wanted = leavesOf(ofSubresource(config, options), place);
  const present = live === null ? new Map<FieldPath, unknown>() : leavesOf(live, place);
  const owners = ownersOf(live);
  const own = owners.find((owner) => isSameOwner(owner, options, 'Apply'));
  const others = owners.filter((owner) => owner !== own);
  const disputed = [...wanted].filter(
    ([path, value]) => !isDeepStrictEqual(present.get(path), value) && !isOpen(value, path, present),
  );
  if (!options.force) refuseConflicts(disputed, others);
  const taken = new Set(disputed.map(([path]) => path));
  const left = others.map((owner) => ({
    ...owner,
    fields: new Set([...owner.fields].filter((path) => !taken.has(path))),
  }));
  const given = new Set([...(own?.fields ?? [])].filter((path) => !isWanted(path, wanted)));
  const dropped = new Set([...given].filter((path) => !left.some((owner) => touches(owner.fields, path))));
  const base = live === null ? undefined : without(live, dropped, place);
  const merged = merge(base ?? {}, ofSubresource(config, options), place) as KubeObject;
  const meta = live === null ? merged.metadata : { ...merged.metadata, ...versionsOf(config) };
  const fields = new Set(wanted.keys());
  const isSame =
    own !== undefined && own.fields.size === fields.size && [...fields].every((each) => own.fields.has(each));
  const mine = isSame && disputed.length === 0 ? own : newOwner(options, 'Apply', fields);
  return withOwners({ ...merged, metadata: meta }, [mine, ...left]);
}

/** An empty mapping takes nothing away from those who own what is in it. */
function isOpen(value: unknown, path: FieldPath, present: ReadonlyMap<FieldPath, unknown>): boolean {
  return isFields(value) && Object.keys(value).length === 0 && [...present.keys()].some((each) => isBelow(each, path));
}

function isWanted(path: FieldPath, wanted: ReadonlyMap<FieldPath, unknown>): boolean {
  return wanted.has(path) || [...wanted.keys()].some((each) => isBelow(each, path));
}

/** The version and uid that the author named, to be judged as preconditions. */
function versionsOf(config: KubeObject): object {
  const { resourceVersion, uid } = config.metadata;
  return {
    resourceVersion: resourceVersion ?? '',
    ...(uid === undefined ? {} : { uid }),
  };
}

function ofSubresource(config: KubeObject, { subresource, type }: ManagerOfWrite): KubeObject {
  const { status, ...rest } = config;
  if (subresource !== 'status') return type.hasStatus ? (rest as KubeObject) : config;
  const { apiVersion, kind, metadata } = config;
  const { name, namespace } = metadata;
  return { apiVersion, kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) }, status };
}

function refuseConflicts(disputed: readonly (readonly [FieldPath, unknown])[], others: readonly Owner[]): void {
  const causes = others.flatMap((owner) =>
    disputed
      .filter(([path]) => touches(owner.fields, path))
      .map(([path]): StatusCause => {
        const who = `conflict with ${JSON.stringify(owner.manager)}`;
        const where = owner.subresource === undefined ? '' : ` with subresource ${JSON.stringify(owner.subresource)}`;
        const how = owner.operation === 'Update' ? ` using ${owner.apiVersion}` : '';
        return { reason: 'FieldManagerConflict', message: `${who}${where}${how}`, field: pathText(path) };
      }),
  );
  if (causes.length === 0) return;
  const words =
    causes.length === 1
      ? `1 conflict: ${causes[0]?.message}: ${causes[0]?.field}`
      : `${causes.length} conflicts: ${causes.map(({ message, field }) => `${message}:\n- ${field}`).join('\n')}`;
  throw new ApiFailure(409, 'Conflict', `Apply failed with ${words}`, { causes });
}

function merge(live: unknown, config: unknown, place: Place): unknown {
  if (isFields(config) && isFields(live) && !isAtomicMap(place)) {
    const merged: Record<string, unknown> = { ...live };
    for (const [name, value] of Object.entries(config))
      merged[name] = merge(live[name], value, fieldPlace(place, name));
    return merged;
  }
  if (Array.isArray(config) && Array.isArray(live)) {
    const kind = listKindAt(place);
    if (kind === 'set')
      return [...live, ...config.filter((item) => !live.some((each) => isDeepStrictEqual(each, item)))];
    if (kind !== 'atomic') return mergeItems(live, config, kind, itemPlace(place));
  }
  return config;
}

function mergeItems(live: readonly unknown[], config: readonly unknown[], keys: readonly string[], place: Place) {
  const keyOf = (item: unknown): string => JSON.stringify(keysOf(item, keys));
  const wanted = new Map(config.map((item) => [keyOf(item), item]));
  const merged = live.map((item) => {
    const change = wanted.get(keyOf(item));
    wanted.delete(keyOf(item));
    return change === undefined ? item : merge(item, change, place);
  });
  return [...merged, ...wanted.values()];
}

function ownersOf(object: KubeObject | null): Owner[] {
  const entries = object === null ? [] : (metaOf(object).managedFields ?? []);
  return entries.map(({ fieldsV1, fieldsType: _, ...rest }) => ({ ...rest, fields: pathsOf(fieldsV1 ?? {}) }));
}

function withOwners(object: KubeObject, owners: readonly Owner[]): KubeObject {
  const { managedFields: _, ...metadata } = metaOf(object);
  const entries = owners
    .filter(({ fields }) => fields.size > 0)
    .map(({ fields, ...rest }) => ({ ...rest, fieldsType: 'FieldsV1' as const, fieldsV1: treeOf(fields) }));
  return { ...object, metadata: entries.length === 0 ? metadata : ({ ...metadata, managedFields: entries } as never) };
}

function newOwner(write: ManagerOfWrite, operation: 'Apply' | 'Update', fields: Set<FieldPath>): Owner {
  const { manager, apiVersion, time, subresource } = write;
  const place = subresource === 'status' ? { subresource } : {};
  return { manager, operation, apiVersion, time, ...place, fields };
}

function isSameOwner(owner: Owner, write: ManagerOfWrite, operation: 'Apply' | 'Update'): boolean {
  const subresource = write.subresource === 'status' ? 'status' : undefined;
  return (
    owner.manager === write.manager &&
    owner.operation === operation &&
    owner.apiVersion === write.apiVersion &&
    owner.subresource === subresource
  );
}
