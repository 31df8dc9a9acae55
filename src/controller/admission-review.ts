// What the validating webhook answers: an object that a reader or the compiler calls an error is refused with their
// words, and what they warn about is said. It looks at the mesh and changes nothing.
import { type KubeObject, prune } from '../kube/api/prune.ts';
import { findingsIn, type ObjectFindings, type PresentMesh, refusalOf, wordsOf } from '../kube/findings.ts';
import { isMapping } from '../kube/object-reader.ts';
import type { ResourceIssue } from '../model/types.ts';
import { waypointClasses } from '../model/waypoints.ts';

/** `tolerated`: wrong, as it was before. `foreign`: another controller's. */
export type Verdict = 'allowed' | 'refused' | 'tolerated' | 'foreign';

export interface ReviewOptions {
  readonly mesh: PresentMesh;
  /** False while the mesh is not known: nothing is said of what an object refers to. */
  readonly isKnown: () => boolean;
  /** Called for every verdict. */
  readonly judged: (kind: string, verdict: Verdict) => void;
}

/** `admission.k8s.io/v1`, of which this is all that is needed. */
export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: object;
  readonly warnings?: readonly string[];
}

const apiVersion = 'admission.k8s.io/v1';
/** An API server cuts off what is longer, of each and of all together. */
const warningCharsMax = 256;
const warningsMax = 8;

type Fields = Readonly<Record<string, unknown>>;

interface Judgement {
  readonly verdict: Verdict;
  /** Why it is refused, or what is said of it nevertheless. */
  readonly errors: readonly ResourceIssue[];
  readonly warnings: readonly ResourceIssue[];
}

/** The AdmissionReview with the answer to one with a request; null for what is no such review. */
export function answerReview(review: unknown, options: ReviewOptions): object | null {
  if (!isMapping(review) || review['apiVersion'] !== apiVersion || !isMapping(review['request'])) return null;
  const { request } = review;
  if (!isMapping(request) || typeof request['uid'] !== 'string') return null;
  return { apiVersion, kind: 'AdmissionReview', response: responseTo(request, request['uid'], options) };
}

function responseTo(request: Fields, uid: string, options: ReviewOptions): AdmissionResponse {
  const object = objectOf(request, 'object');
  if (object === null) return { uid, allowed: true };
  const { kind = '', metadata } = object;
  const { verdict, errors, warnings } = judge(object, objectOf(request, 'oldObject'), options);
  options.judged(kind, verdict);
  if (verdict === 'refused') {
    const { message, details } = refusalOf(kind, metadata.name, errors);
    return { uid, allowed: false, status: { code: 422, reason: 'Invalid', message, details } };
  }
  const said = [...errors.map((error) => `still wrong: ${textOf(error)}`), ...warnings.map(textOf)];
  const texts = said.slice(0, warningsMax).map((text) => text.slice(0, warningCharsMax));
  return { uid, allowed: true, ...(texts.length === 0 ? {} : { warnings: texts }) };
}

function judge(object: KubeObject, before: KubeObject | null, { mesh, isKnown }: ReviewOptions): Judgement {
  if (!concernsMesh(object)) return { verdict: 'foreign', errors: [], warnings: [] };
  const { findings } = findingsIn(object, mesh);
  const errors = findings.filter(isError);
  const warnings = isKnown() ? findings.filter(({ severity }) => severity === 'warning') : [];
  if (errors.length === 0) return { verdict: 'allowed', errors, warnings };
  const isGoing = object.metadata['deletionTimestamp'] !== undefined;
  const fresh = isGoing ? [] : before === null ? errors : newErrors(errors, findingsIn(before, mesh));
  if (fresh.length > 0) return { verdict: 'refused', errors: fresh, warnings };
  return { verdict: 'tolerated', errors, warnings };
}

/**
 * Errors that were not there before. Of what could not be read nothing was in force, so that it cannot get worse; rules
 * that have moved are the same rules.
 */
function newErrors(errors: readonly ResourceIssue[], before: ObjectFindings): readonly ResourceIssue[] {
  if (!before.isReadable) return [];
  const known = new Map<string, number>();
  for (const error of before.findings.filter(isError)) {
    const key = keyOf(error);
    known.set(key, (known.get(key) ?? 0) + 1);
  }
  return errors.filter((error) => {
    const key = keyOf(error);
    const count = known.get(key) ?? 0;
    known.set(key, count - 1);
    return count <= 0;
  });
}

function isError({ severity }: ResourceIssue): boolean {
  return severity === 'error';
}

/** Without the positions in lists. */
function keyOf({ field, message }: ResourceIssue): string {
  return `${field.replace(/\[\d+\]/g, '[]')} ${message.replace(/\brule \d+/g, 'rule')}`;
}

/** As a source of the mesh keeps it. Null where there is none. */
function objectOf(request: Fields, field: 'object' | 'oldObject'): KubeObject | null {
  const value = request[field];
  if (!isMapping(value) || !isMapping(value['metadata'])) return null;
  const { metadata } = value;
  // Who lets the API server find a name has none yet.
  const name = metadata['name'] ?? `${metadata['generateName'] ?? ''}x`;
  const namespace = metadata['namespace'] ?? request['namespace'];
  const named = { ...metadata, name, ...(namespace === undefined ? {} : { namespace }) };
  const object = { ...value, metadata: named } as unknown as KubeObject;
  return prune(object, String(value['kind']), String(value['apiVersion']));
}

/** False for what only other controllers obey: what they mean by it is not ours to judge. */
function concernsMesh({ kind, spec }: KubeObject): boolean {
  if (!isMapping(spec)) return true;
  switch (kind) {
    case 'Gateway':
      return waypointClasses.includes(String(spec['gatewayClassName']));
    case 'HTTPRoute':
    case 'GRPCRoute': {
      const parents = spec['parentRefs'];
      const isForeign = (one: unknown): boolean => isMapping(one) && (one['kind'] ?? 'Gateway') !== 'Service';
      return !Array.isArray(parents) || parents.length === 0 || !parents.every(isForeign);
    }
    case 'VirtualService': {
      const gateways = spec['gateways'];
      return !Array.isArray(gateways) || gateways.length === 0 || gateways.includes('mesh');
    }
    default:
      return true;
  }
}

function textOf(issue: ResourceIssue): string {
  const { field, words } = wordsOf(issue);
  return field === '' ? words : `${field}: ${words}`;
}
