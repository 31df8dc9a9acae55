// Create, update, patch and delete: what a writer sent becomes what is stored, in the order of the API server.
//
//   body ─▶ metadata ─▶ status or spec alone ─▶ defaults ─▶ schema ─▶ managed fields ─▶ admission ─▶ store
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Pod } from '../objects.ts';
import { type ObjectStore, rfc3339 } from '../store.ts';
import { ApiFailure, alreadyExists, badRequest, conflict, forbidden, invalid, notFound } from './failure.ts';
import { withManager } from './managed-fields.ts';
import { checkFinalizers, type FullMeta, keptMetadata, metaOf, nameFor, objectOfBody, withMeta } from './metadata.ts';
import type { Reader } from './reader.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import type { ClusterRules } from './rules.ts';
import { pruned, schemaFaults, withDefaults } from './structural-schema.ts';
import type { UserInfo } from './users.ts';

/** Who writes what, where. */
export interface WriteRequest {
  readonly type: ResourceType;
  readonly namespace: string | null;
  readonly subresource: string | null;
  readonly user: UserInfo;
  readonly manager: string;
  /** Nothing is stored. */
  readonly isDryRun: boolean;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** What the answer says beside its body. */
  readonly warnings: string[];
}

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE';

/** Asks who else has a say. Throws 403 or what they answer. */
export type Admission = (
  request: WriteRequest,
  operation: Operation,
  object: KubeObject | null,
  previous: KubeObject | null,
) => Promise<void> | null;

export interface WriterOptions {
  readonly store: ObjectStore;
  readonly reader: Reader;
  readonly rules: ClusterRules;
  readonly admission: Admission;
  readonly now: () => number;
  readonly random: () => number;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** How often a patch is made again because the object changed under it. */
const attemptsMax = 5;
const podGraceS = 30;
/** Finalizers of the garbage collector, by the policy that puts them there. */
export const collectorFinalizers = { Foreground: 'foregroundDeletion', Orphan: 'orphan' } as const;

/** Writes into a store as an API server does. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #store: ObjectStore;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** The object as it was created. Throws 400, 403, 404, 409 or 422. */
  async create(request: WriteRequest, body: unknown, isApply = false): Promise<KubeObject> {
    const { type } = request;
    const { reader, random } = this.#options;
    const sent = objectOfBody(body, type, request.namespace);
    const meta = metaOf(sent);
    if (meta.resourceVersion !== undefined && meta.resourceVersion !== '')
      throw new ApiFailure(500, undefined, 'resourceVersion should not be set on objects to be created');
    const name = nameFor(meta, type, random);
    this.#checkNamespace(request, name);
    if (reader.find(type, request.namespace ?? '', name) !== undefined) throw alreadyExists(type, name);
    const { uid: _u, deletionTimestamp: _d, generation: _g, creationTimestamp: _c, ...rest } = meta;
    const fresh = withMeta(sent, { ...rest, name, creationTimestamp: rfc3339(this.#options.now()) });
    const next = this.#prepare(request, statusless(fresh, type), null, isApply);
    await this.#admit(request, 'CREATE', next, null);
    // Admission takes time, in which another may have come first.
    if (reader.find(type, request.namespace ?? '', name) !== undefined) throw alreadyExists(type, name);
    this.#checkNamespace(request, name);
    return this.#keep(request, next);
  }

  /**
   * Replaces an object by what `change` makes of it; made again when another was quicker, unless `change` named a
   * version. Throws 404, 409 or 422.
   */
  async update(
    request: WriteRequest,
    name: string,
    change: (current: KubeObject) => KubeObject,
    isApply = false,
  ): Promise<KubeObject> {
    const { type } = request;
    for (let attempt = 1; ; attempt++) {
      const current = this.#options.reader.get(type, request.namespace ?? '', name);
      const changed = change(inVersion(current, type));
      const metadata = keptMetadata(changed, current, type);
      checkFinalizers(metadata, metaOf(current), type);
      const merged = this.#ofSubresource(request, withMeta(changed, metadata), current);
      const next = this.#prepare(request, merged, current, isApply);
      if (saysTheSame(next, current)) return current;
      checkImmutable(next, current, type);
      const waiting = this.#admit(request, 'UPDATE', next, current);
      if (waiting !== null) await waiting;
      const newest = this.#options.reader.find(type, request.namespace ?? '', name);
      if (newest !== current) {
        if (attempt < attemptsMax && newest !== undefined) continue;
        throw newest === undefined ? notFound(type, name) : conflict(type, name);
      }
      return this.#keep(request, next);
    }
  }

  /** PUT. Throws 400, 404, 409 or 422. */
  async replace(request: WriteRequest, name: string, body: unknown): Promise<KubeObject> {
    const { type } = request;
    const sent = objectOfBody(body, type, request.namespace);
    checkName(sent, name);
    const version = sent.metadata.resourceVersion ?? '';
    if (version === '' && type.isCustom && request.subresource === null) {
      const message = 'Invalid value: 0: must be specified for an update';
      this.#options.reader.get(type, request.namespace ?? '', name);
      throw invalid(type, name, [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }]);
    }
    return await this.update(request, name, () => sent);
  }

  /** The object when it is asked to end and still there, null when it has gone. Throws 404 or 409. */
  async delete(request: WriteRequest, name: string, options: DeleteOptions): Promise<KubeObject | null> {
    const { type } = request;
    const current = this.#options.reader.get(type, request.namespace ?? '', name);
    checkDeletePreconditions(type, current, options);
    const waiting = this.#admit(request, 'DELETE', null, current);
    if (waiting !== null) await waiting;
    if (request.isDryRun) return null;
    return this.deleteNow(type, current, options);
  }

  /** Deletes without asking anybody: for the collector of garbage and for namespaces. */
  deleteNow(type: ResourceType, object: KubeObject, options: DeleteOptions): KubeObject | null {
    const current = this.#options.reader.find(type, object.metadata.namespace ?? '', object.metadata.name);
    if (current === undefined || current.metadata.uid !== object.metadata.uid) return null;
    const meta = metaOf(current);
    const { propagationPolicy = 'Background' } = options;
    const added = propagationPolicy === 'Background' ? [] : [collectorFinalizers[propagationPolicy]];
    const finalizers = [...new Set([...(meta.finalizers ?? []), ...added])];
    const graceS = this.#graceOf(current, options);
    const isNamespace = type.kind === 'Namespace' && type.group === '';
    const isHeld = isNamespace && (meta.deletionTimestamp === undefined || isHeldNamespace(current));
    if (finalizers.length === 0 && graceS === 0 && !isHeld) {
      this.#remove(current);
      return null;
    }
    const nowMs = this.#options.now();
    const isShorter = meta.deletionGracePeriodSeconds === undefined || graceS < meta.deletionGracePeriodSeconds;
    const stamped: FullMeta = {
      ...meta,
      ...(finalizers.length === 0 ? {} : { finalizers }),
      ...(meta.deletionTimestamp !== undefined && !isShorter
        ? {}
        : { deletionTimestamp: rfc3339(nowMs + graceS * 1000), deletionGracePeriodSeconds: graceS }),
    };
    const ending = withMeta(current, stamped);
    const held = { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Terminating' } };
    this.#store.put(isNamespace ? { ...ending, ...held } : ending);
    return this.#options.reader.find(type, object.metadata.namespace ?? '', object.metadata.name) ?? null;
  }

  /** Time that a pod has to end; 0 for everything else, and for a pod that nobody runs. */
  #graceOf(object: KubeObject, { gracePeriodSeconds }: DeleteOptions): number {
    if (object.kind !== 'Pod' || object.apiVersion !== 'v1') return 0;
    const { spec, status } = object as Pod;
    const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    const wanted = gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? podGraceS;
    if (this.#options.rules.isHeld(object)) return Math.max(wanted, 1);
    return spec.nodeName === undefined || isOver ? 0 : wanted;
  }

  #ofSubresource({ type, subresource }: WriteRequest, next: KubeObject, current: KubeObject): KubeObject {
    if (subresource === 'status') {
      const metadata = type.isCustom ? { ...metaOf(current), managedFields: metaOf(next).managedFields } : metaOf(next);
      return { ...current, metadata: withoutUndefined(metadata), status: next.status } as KubeObject;
    }
    if (!type.hasStatus) return next;
    const { status: _, ...rest } = next;
    return current.status === undefined ? (rest as KubeObject) : { ...rest, status: current.status };
  }

  #prepare(request: WriteRequest, sent: KubeObject, previous: KubeObject | null, isApply = false): KubeObject {
    const { type } = request;
    const completed = this.#options.rules.complete(this.#validated(request, sent), previous);
    const stored = { ...completed, apiVersion: type.isCustom ? type.storedAs : completed.apiVersion };
    if (isApply) return stored;
    return withManager(stored, previous, {
      manager: request.manager,
      apiVersion: apiVersionOf(type),
      subresource: request.subresource,
      time: rfc3339(this.#options.now()),
      type,
    });
  }

  /** As the schema of its definition wants it. Throws 400 for unknown fields where asked to, 422 for wrong ones. */
  #validated({ type, fieldValidation, warnings }: WriteRequest, object: KubeObject): KubeObject {
    const { schema } = type;
    if (schema === null) return object;
    const unknown: string[] = [];
    const clean = withDefaults(pruned(object, schema, unknown), schema) as KubeObject;
    const words = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
    if (words.length > 0 && fieldValidation === 'Strict') {
      const { kind, version } = type;
      const what = `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}`;
      throw badRequest(`${what}: strict decoding error: ${words.join(', ')}`);
    }
    if (fieldValidation === 'Warn') warnings.push(...words);
    const faults = schemaFaults(clean, schema);
    if (faults.length > 0) throw invalid(type, clean.metadata.name, faults);
    return clean;
  }

  #admit(request: WriteRequest, operation: Operation, object: KubeObject | null, previous: KubeObject | null) {
    if (object !== null) this.#options.rules.check(object, previous);
    return this.#options.admission(request, operation, object, previous);
  }

  #keep(request: WriteRequest, next: KubeObject): KubeObject {
    const { type, isDryRun } = request;
    if (isDryRun) return withMeta(next, { ...metaOf(next), uid: metaOf(next).uid ?? randomUUID() });
    const meta = metaOf(next);
    const isDone = meta.deletionTimestamp !== undefined && (meta.finalizers ?? []).length === 0;
    if (isDone && (meta.deletionGracePeriodSeconds ?? 0) === 0 && !isHeldNamespace(next)) {
      this.#remove(next);
      return next;
    }
    this.#store.put(next);
    return this.#options.reader.get(type, meta.namespace ?? '', meta.name);
  }

  #remove(object: KubeObject): void {
    this.#store.remove(object);
    this.#options.rules.removed(object);
  }

  #checkNamespace({ type, namespace }: WriteRequest, name: string): void {
    if (!type.namespaced) return;
    const found = this.#store.get('Namespace', '', namespace ?? '', '');
    if (found === undefined) {
      const message = `namespaces "${namespace}" not found`;
      throw new ApiFailure(404, 'NotFound', message, { name: namespace ?? '', kind: 'namespaces' });
    }
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(type, name, why);
  }
}

/** A namespace goes when what is in it has gone, and `spec.finalizers` with that. */
function isHeldNamespace(object: KubeObject): boolean {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return false;
  return ((object.spec as { finalizers?: readonly string[] } | undefined)?.finalizers ?? []).length > 0;
}

/** A status is not for those who create; only nodes say at once how they are. */
function statusless(object: KubeObject, type: ResourceType): KubeObject {
  if (!type.hasStatus || (type.kind === 'Node' && type.group === '')) return object;
  const { status: _, ...rest } = object;
  return rest as KubeObject;
}

function inVersion(object: KubeObject, type: ResourceType): KubeObject {
  return { ...object, apiVersion: apiVersionOf(type) };
}

function checkName(object: KubeObject, name: string): void {
  const sent = object.metadata.name;
  if (sent === undefined || sent === name) return;
  throw badRequest(`the name of the object (${sent}) does not match the name on the URL (${name})`);
}

function checkDeletePreconditions(type: ResourceType, object: KubeObject, { preconditions = {} }: DeleteOptions): void {
  const { uid, resourceVersion, name } = object.metadata;
  if (preconditions.uid !== undefined && preconditions.uid !== uid) {
    const what = `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid})`;
    throw conflict(type, name, `${what}. The object might have been deleted and then recreated`);
  }
  const wanted = preconditions.resourceVersion;
  if (wanted === undefined || wanted === resourceVersion) return;
  const what = `the ResourceVersion in the precondition (${wanted}) does not match the ResourceVersion in record`;
  throw conflict(type, name, `${what} (${resourceVersion}). The object might have been modified`);
}

/** What cannot be changed after creation, of what the mesh meets. Throws 422. */
function checkImmutable(next: KubeObject, previous: KubeObject, type: ResourceType): void {
  if (type.group === '' && type.kind === 'Pod' && !isDeepStrictEqual(podCore(next), podCore(previous))) {
    const message =
      'Forbidden: pod updates may not change fields other than `spec.containers[*].image`,' +
      '`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing ' +
      'tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
    throw invalid(type, next.metadata.name, [{ reason: 'FieldValueForbidden', message, field: 'spec' }]);
  }
  const isFrozen = (previous as { immutable?: boolean }).immutable === true;
  const dataOf = (object: KubeObject) => (object as { data?: unknown }).data;
  if (isFrozen && !isDeepStrictEqual(dataOf(next), dataOf(previous))) {
    const message = 'Forbidden: field is immutable when `immutable` is set';
    throw invalid(type, next.metadata.name, [{ reason: 'FieldValueForbidden', message, field: 'data' }]);
  }
  const roleOf = (object: KubeObject) => (object as { roleRef?: unknown }).roleRef;
  if (type.kind.endsWith('RoleBinding') && !isDeepStrictEqual(roleOf(next), roleOf(previous))) {
    const message = `Invalid value: ${JSON.stringify(roleOf(next))}: cannot change roleRef`;
    throw invalid(type, next.metadata.name, [{ reason: 'FieldValueInvalid', message, field: 'roleRef' }]);
  }
}

/** The part of a pod that stays as long as it lives. */
function podCore(object: KubeObject): unknown {
  const {
    tolerations: _t,
    activeDeadlineSeconds: _a,
    nodeName: _n,
    containers,
    ...spec
  } = (object as Pod).spec as Pod['spec'] & {
    readonly tolerations?: unknown;
    readonly activeDeadlineSeconds?: unknown;
  };
  return { ...spec, containers: containers.map(({ image: _, ...container }) => container) };
}

/** True when only the times of managed fields differ. */
function saysTheSame(next: KubeObject, current: KubeObject): boolean {
  const plain = (object: KubeObject) => {
    const { resourceVersion: _r, generation: _g, managedFields = [], ...metadata } = metaOf(object);
    const fields = managedFields.map(({ time: _, ...entry }) => entry);
    return { ...object, metadata: { ...metadata, managedFields: fields } };
  };
  return isDeepStrictEqual(plain(next), plain(current));
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}
