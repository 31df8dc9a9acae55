// Resources that are questions: nothing is stored, the answer is the object with a status.
import type { TokenIssuer } from '../issuer.ts';
import type { Pod } from '../objects.ts';
import { type ObjectStore, rfc3339 } from '../store.ts';
import { ApiFailure, badRequest, notFound } from './failure.ts';
import type { Attributes, Rbac } from './rbac.ts';
import type { ResourceType } from './resources.ts';
import { isFields } from './structural-schema.ts';
import type { Authenticator, UserInfo } from './users.ts';

export interface ReviewParts {
  readonly store: ObjectStore;
  readonly issuer: TokenIssuer;
  readonly rbac: Rbac;
  readonly authenticator: Authenticator;
  readonly audience: string;
  readonly now: () => number;
}

/** `GROUP/VERSION`, plural, kind and whether it lives in a namespace. */
export const reviewTypes = [
  ['authentication.k8s.io/v1', 'tokenreviews', 'TokenReview', false],
  ['authentication.k8s.io/v1', 'selfsubjectreviews', 'SelfSubjectReview', false],
  ['authorization.k8s.io/v1', 'subjectaccessreviews', 'SubjectAccessReview', false],
  ['authorization.k8s.io/v1', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview', false],
  ['authorization.k8s.io/v1', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview', false],
  ['authorization.k8s.io/v1', 'localsubjectaccessreviews', 'LocalSubjectAccessReview', true],
] as const;

type Fields = Record<string, unknown>;

/** Answers reviews and requests for tokens. */
export class Reviews {
  readonly #parts: ReviewParts;

  constructor(parts: ReviewParts) {
    this.#parts = parts;
  }

  /** The answer to a review, or null when `path` is none. */
  answer(apiVersion: string, plural: string, body: unknown, user: UserInfo): object | null {
    const type = reviewTypes.find(([group, name]) => group === apiVersion && name === plural);
    if (type === undefined) return null;
    if (!isFields(body)) throw badRequest('the body of the request has no object');
    const spec = isFields(body.spec) ? body.spec : {};
    const answer = { kind: type[2], apiVersion, metadata: body.metadata ?? {}, spec };
    switch (type[2]) {
      case 'TokenReview':
        return { ...answer, status: this.#tokenStatus(spec) };
      case 'SelfSubjectReview':
        return { ...answer, status: { userInfo: user } };
      case 'SelfSubjectRulesReview':
        return { ...answer, status: this.#rulesStatus(spec, user) };
      case 'SelfSubjectAccessReview':
        return { ...answer, status: this.#accessStatus(spec, user) };
      default: {
        const groups = Array.isArray(spec.groups) ? spec.groups.map(String) : [];
        return { ...answer, status: this.#accessStatus(spec, { username: String(spec.user ?? ''), groups }) };
      }
    }
  }

  /** The answer to a TokenRequest for a service account. Throws 404, or 422 for one that wants too short a life. */
  token(type: ResourceType, namespace: string, name: string, body: unknown): object {
    const { store, issuer, audience, now } = this.#parts;
    if (store.get('ServiceAccount', namespace, name, '') === undefined) throw notFound(type, name);
    const spec = isFields(body) && isFields(body.spec) ? body.spec : {};
    const lifetimeS = typeof spec.expirationSeconds === 'number' ? spec.expirationSeconds : 3600;
    const shortestS = 600;
    if (lifetimeS < shortestS) {
      const message = 'Invalid value: may not specify a duration less than 10 minutes';
      const causes = [{ reason: 'FieldValueInvalid', message, field: 'spec.expirationSeconds' }];
      const text = `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: ${message}`;
      throw new ApiFailure(422, 'Invalid', text, { group: 'authentication.k8s.io', kind: 'TokenRequest', causes });
    }
    const audiences =
      Array.isArray(spec.audiences) && spec.audiences.length > 0 ? spec.audiences.map(String) : [audience];
    const pod = this.#boundPod(namespace, spec.boundObjectRef);
    const token = issuer.token({ namespace, serviceAccount: name, pod, audience: undefined, audiences, lifetimeS });
    const expirationTimestamp = rfc3339(now() + lifetimeS * 1000);
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: rfc3339(now()) },
      spec: { ...spec, audiences, expirationSeconds: lifetimeS },
      status: { token, expirationTimestamp },
    };
  }

  #boundPod(namespace: string, reference: unknown): Pod | null {
    if (!isFields(reference) || reference.kind !== 'Pod') return null;
    const name = String(reference.name ?? '');
    const pod = this.#parts.store.get<Pod>('Pod', namespace, name, '');
    if (pod === undefined) {
      throw new ApiFailure(404, 'NotFound', `pods "${name}" not found`, { name, kind: 'pods' });
    }
    if (typeof reference.uid === 'string' && reference.uid !== '' && reference.uid !== pod.metadata.uid) {
      const message = `the UID in the bound object reference (${reference.uid}) does not match the UID in record`;
      throw new ApiFailure(409, 'Conflict', `${message}. The object might have been deleted and then recreated`, {
        name,
      });
    }
    return pod;
  }

  #tokenStatus(spec: Fields): object {
    const { authenticator, audience } = this.#parts;
    const wanted = Array.isArray(spec.audiences) && spec.audiences.length > 0 ? spec.audiences.map(String) : [audience];
    const found = authenticator.userOfToken(String(spec.token ?? ''), wanted);
    if (found === null) return { user: {}, error: '[invalid bearer token, the token is not good here]' };
    return { authenticated: true, user: found.user, audiences: found.audiences };
  }

  #accessStatus(spec: Fields, user: UserInfo): object {
    const isAllowed = this.#parts.rbac.isAllowed(user, attributesOf(spec));
    return isAllowed ? { allowed: true, reason: 'RBAC: allowed' } : { allowed: false };
  }

  #rulesStatus(spec: Fields, user: UserInfo): object {
    const rules = this.#parts.rbac.rulesFor(user, String(spec.namespace ?? 'default'));
    const resourceRules = rules.filter((rule) => rule.nonResourceURLs === undefined);
    const nonResourceRules = rules.filter((rule) => rule.nonResourceURLs !== undefined);
    return { resourceRules, nonResourceRules, incomplete: false };
  }
}

function attributesOf(spec: Fields): Attributes {
  const { nonResourceAttributes: path, resourceAttributes: resource } = spec;
  if (isFields(path)) return { verb: String(path.verb ?? ''), path: String(path.path ?? '') };
  if (!isFields(resource)) throw badRequest('spec has neither resourceAttributes nor nonResourceAttributes');
  const text = (key: string): string => String(resource[key] ?? '');
  const orNull = (word: string): string | null => (word === '' ? null : word);
  return {
    verb: text('verb'),
    group: text('group'),
    resource: text('resource'),
    subresource: orNull(text('subresource')),
    namespace: orNull(text('namespace')),
    name: orNull(text('name')),
  };
}
