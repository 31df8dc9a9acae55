// What the API server does with `metadata`: names, fields that nobody may write, preconditions.
import type { KubeObject, Meta } from '../objects.ts';
import { randomSuffix } from '../pods.ts';
import { badRequest, conflict, invalid, type StatusCause } from './failure.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import { isFields } from './structural-schema.ts';

/** Metadata with the fields that only the API server and those who extend it look at. */
export interface FullMeta extends Meta {
  readonly generateName?: string;
  readonly finalizers?: readonly string[];
  readonly deletionGracePeriodSeconds?: number;
  readonly managedFields?: readonly ManagedFieldsEntry[];
}

export interface ManagedFieldsEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldTree;
  readonly subresource?: string;
}

/** FieldsV1: `f:NAME`, `k:{KEYS}`, `v:VALUE` to what is owned below; `.` is the thing itself. */
export interface FieldTree {
  readonly [step: string]: FieldTree;
}

const suffixLength = 5;
const nameMax = 253;

/** The metadata of an object, with all that it may hold. */
export function metaOf(object: KubeObject): FullMeta {
  return object.metadata as FullMeta;
}

/** The object with other metadata. */
export function withMeta(object: KubeObject, metadata: FullMeta): KubeObject {
  return { ...object, metadata };
}

/** The object of a body, of the right kind. Throws 400. */
export function objectOfBody(body: unknown, type: ResourceType, namespace: string | null): KubeObject {
  if (!isFields(body)) throw badRequest('the body of the request has no object');
  const { apiVersion = apiVersionOf(type), kind = type.kind } = body;
  if (kind !== type.kind || apiVersion !== apiVersionOf(type)) {
    const wanted = `${apiVersionOf(type)}, Kind=${type.kind}`;
    throw badRequest(
      `the API version in the data (${String(apiVersion)}, Kind=${String(kind)}) does not match ${wanted}`,
    );
  }
  if (body.metadata !== undefined && body.metadata !== null && !isFields(body.metadata))
    throw badRequest('metadata is no mapping');
  const metadata = (body.metadata ?? {}) as unknown as FullMeta;
  if (
    namespace !== null &&
    metadata.namespace !== undefined &&
    metadata.namespace !== '' &&
    metadata.namespace !== namespace
  )
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const placed: FullMeta = type.namespaced ? { ...metadata, namespace: namespace ?? '' } : withoutNamespace(metadata);
  return { ...body, apiVersion: apiVersionOf(type), kind: type.kind, metadata: withoutNulls(placed) } as KubeObject;
}

/** What a new object is called: its name, or one that is made up. Throws 422. */
export function nameFor(metadata: FullMeta, type: ResourceType, random: () => number): string {
  const { generateName } = metadata;
  const name =
    (metadata.name ?? '') === '' && generateName !== undefined && generateName !== ''
      ? `${generateName}${randomSuffix(suffixLength, random)}`
      : (metadata.name ?? '');
  if (name === '') {
    const message = 'Required value: name or generateName is required';
    throw invalid(type, '', [{ reason: 'FieldValueRequired', message, field: 'metadata.name' }]);
  }
  const fault = nameFault(name, type);
  if (fault !== null) throw invalid(type, name, [fault]);
  return name;
}

const rfc1123 =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const rbacGroup = 'rbac.authorization.k8s.io';

function nameFault(name: string, type: ResourceType): StatusCause | null {
  // Names of roles may hold what paths can, `system:node` for one.
  const pattern =
    type.group === rbacGroup ? /^[^/%]+$/ : /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
  if (name.length <= nameMax && pattern.test(name)) return null;
  const message = `Invalid value: ${JSON.stringify(name)}: ${rfc1123}`;
  return { reason: 'FieldValueInvalid', message, field: 'metadata.name' };
}

/** What a writer may not change stays as it is. Throws 409 for another uid or an old version. */
export function keptMetadata(next: KubeObject, current: KubeObject, type: ResourceType): FullMeta {
  const wanted = metaOf(next);
  const kept = metaOf(current);
  checkPreconditions(type, current, {
    ...(wanted.uid === undefined || wanted.uid === '' ? {} : { uid: wanted.uid }),
    ...(wanted.resourceVersion === undefined || wanted.resourceVersion === ''
      ? {}
      : { resourceVersion: wanted.resourceVersion }),
  });
  const { deletionTimestamp: _d, deletionGracePeriodSeconds: _g, generateName: _n, ...rest } = wanted;
  return {
    ...rest,
    ...pick(kept, ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generateName']),
    name: kept.name,
  } as FullMeta;
}

function pick(meta: FullMeta, names: readonly (keyof FullMeta)[]): Partial<FullMeta> {
  return Object.fromEntries(names.flatMap((name) => (meta[name] === undefined ? [] : [[name, meta[name]]])));
}

/** Throws 409 when the object is not the one, or not the version, that the writer means. */
export function checkPreconditions(
  type: ResourceType,
  object: KubeObject,
  wanted: { readonly uid?: string; readonly resourceVersion?: string },
): void {
  const { uid, resourceVersion, name } = object.metadata;
  if (wanted.uid !== undefined && wanted.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`;
    throw conflict(type, name, why);
  }
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion) throw conflict(type, name);
}

/** Throws 422 for a finalizer that would be added to what is on its way out. */
export function checkFinalizers(next: FullMeta, current: FullMeta, type: ResourceType): void {
  if (current.deletionTimestamp === undefined) return;
  const added = (next.finalizers ?? []).filter((each) => !(current.finalizers ?? []).includes(each));
  if (added.length === 0) return;
  const list = `[]string{${added.map((each) => JSON.stringify(each)).join(', ')}}`;
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
  throw invalid(type, current.name, [{ reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' }]);
}

function withoutNamespace(metadata: FullMeta): FullMeta {
  const { namespace: _, ...rest } = metadata;
  return rest;
}

/** `null` and empty collections say the same as nothing. */
function withoutNulls(metadata: FullMeta): FullMeta {
  const isEmpty = (value: unknown): boolean =>
    value === null || (typeof value === 'object' && Object.keys(value as object).length === 0);
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => !isEmpty(value))) as unknown as FullMeta;
}
