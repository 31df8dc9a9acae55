// Whether an object stands in the cluster as it was applied. The API server fills in defaults, and others may add
// labels or containers of theirs; what we said has to be there, and nothing that we said before and do not say now.
import { hash } from 'node:crypto';
import type { KubeObject } from './api/prune.ts';
import { isMapping } from './object-reader.ts';

/** The digest of all that was applied, on the object itself: a field that is not applied any more changes it. */
const digestAnnotation = 'ambient.mesh/applied';

interface Applicable {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/** The object with its digest, as it is applied. */
export function sealed<T extends Applicable>(object: T): T {
  const digest = hash('sha256', JSON.stringify(object)).slice(0, 16);
  const annotations = { ...object.metadata.annotations, [digestAnnotation]: digest };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** True for what was applied by us at some time. */
export function isSealed({ metadata: { annotations } }: KubeObject): boolean {
  return isMapping(annotations) && annotations[digestAnnotation] !== undefined;
}

/** True when what was last applied to `there` is `wanted`. */
export function isSealedAs(wanted: Applicable, there: KubeObject): boolean {
  const annotations = there.metadata['annotations'];
  return isMapping(annotations) && annotations[digestAnnotation] === wanted.metadata.annotations?.[digestAnnotation];
}

/**
 * True when everything in `wanted` is in `there`. Of lists of values all must be the same; in lists of mappings others
 * may have added some.
 */
export function isCovered(wanted: unknown, there: unknown): boolean {
  if (isMapping(wanted)) {
    // What is empty is left out when it is stored.
    if (there === undefined) return Object.keys(wanted).length === 0;
    return isMapping(there) && Object.entries(wanted).every(([field, value]) => isCovered(value, there[field]));
  }
  if (!Array.isArray(wanted)) return wanted === there;
  if (!Array.isArray(there)) return wanted.length === 0 && there === undefined;
  if (!wanted.every(isMapping)) return JSON.stringify(wanted) === JSON.stringify(there);
  return wanted.every((each) => there.some((one) => isCovered(each, one)));
}

/** A digest of what an object says, whatever its version, and whatever became of it. */
export function digestOfContent({ metadata, status: _status, ...content }: KubeObject): string {
  const { name, namespace, uid, labels, annotations, ownerReferences } = metadata;
  const said = { name, namespace, uid, labels, annotations, ownerReferences };
  return hash('sha1', sorted({ ...content, metadata: said }), 'base64');
}

/** JSON with the fields of every mapping in order. */
export function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isMapping(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
