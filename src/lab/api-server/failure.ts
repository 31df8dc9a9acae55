// What an API server answers when it does not do something: the Status objects of Kubernetes, with its reasons, codes
// and words (apimachinery, api/errors).
import { MeshError } from '../../base/errors.ts';
import type { ResourceType } from './resources.ts';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Failure' | 'Success';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly uid?: string;
    readonly causes?: readonly StatusCause[];
    readonly retryAfterSeconds?: number;
  };
  readonly code?: number;
}

/** A refusal that goes to the caller as a Status object. */
export class ApiFailure extends MeshError {
  readonly status: StatusObject;

  constructor(
    code: number,
    reason: string | undefined,
    message: string,
    details?: StatusObject['details'],
    metadata: StatusObject['metadata'] = {},
  ) {
    super('RESOURCE_REFUSED', { resource: details?.name ?? details?.kind ?? 'request', reason: message });
    const rest = details === undefined ? {} : { details };
    const why = reason === undefined ? {} : { reason };
    this.status = { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, ...why, ...rest, code };
  }

  /** HTTP status of the answer. */
  get httpStatus(): number {
    return this.status.code ?? 500;
  }
}

/** `pods`, `deployments.apps`: how messages name a resource. */
export function resourceTitle({ plural, group }: Pick<ResourceType, 'plural' | 'group'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function detailsOf(type: ResourceType, name: string): { name: string; group?: string; kind: string } {
  return { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.plural };
}

/** 404 for an object. */
export function notFound(type: ResourceType, name: string): ApiFailure {
  return new ApiFailure(404, 'NotFound', `${resourceTitle(type)} "${name}" not found`, detailsOf(type, name));
}

/** 404 for a path that nothing is served at. */
export function noSuchResource(): ApiFailure {
  return new ApiFailure(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 409 for a name that is taken. */
export function alreadyExists(type: ResourceType, name: string): ApiFailure {
  const message = `${resourceTitle(type)} "${name}" already exists`;
  return new ApiFailure(409, 'AlreadyExists', message, detailsOf(type, name));
}

const stale = 'the object has been modified; please apply your changes to the latest version and try again';

/** 409 for a writer who did not see the newest version, or whose precondition does not hold. */
export function conflict(type: ResourceType, name: string, why: string = stale, causes?: StatusCause[]): ApiFailure {
  const details = { ...detailsOf(type, name), ...(causes === undefined ? {} : { causes }) };
  const message = `Operation cannot be fulfilled on ${resourceTitle(type)} "${name}": ${why}`;
  return new ApiFailure(409, 'Conflict', message, details);
}

/** 422 for content that is not as it has to be. */
export function invalid(type: ResourceType, name: string, causes: readonly StatusCause[]): ApiFailure {
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const words = causes.map(({ field = '', message = '' }) => `${field}: ${message}`);
  const list = words.length === 1 ? words[0] : `[${words.join(', ')}]`;
  const group = type.group === '' ? {} : { group: type.group };
  const details = { name, ...group, kind: type.kind, causes };
  return new ApiFailure(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, details);
}

/** 400 for a request that makes no sense. */
export function badRequest(message: string): ApiFailure {
  return new ApiFailure(400, 'BadRequest', message);
}

/** 403. */
export function forbidden(type: Pick<ResourceType, 'plural' | 'group'>, name: string, why: string): ApiFailure {
  const title = name === '' ? resourceTitle(type) : `${resourceTitle(type)} "${name}"`;
  const details = {
    ...(name === '' ? {} : { name }),
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.plural,
  };
  return new ApiFailure(403, 'Forbidden', `${title} is forbidden: ${why}`, details);
}

/** 401. */
export function unauthorized(): ApiFailure {
  return new ApiFailure(401, 'Unauthorized', 'Unauthorized');
}

/** 405 for a verb that the resource does not have. */
export function methodNotAllowed(): ApiFailure {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiFailure(405, 'MethodNotAllowed', message, {});
}

/** 415 for a body of a type that is not read here. */
export function unsupportedMediaType(what: string): ApiFailure {
  const message = `the body of the request was in an unknown format - accepted media types include: ${what}`;
  return new ApiFailure(415, 'UnsupportedMediaType', message);
}

/** 410 for a version that is no longer known. */
export function expired(message: string, continueToken?: string): ApiFailure {
  const metadata = continueToken === undefined ? {} : { continue: continueToken };
  return new ApiFailure(410, 'Expired', message, undefined, metadata);
}

/** 504 for a version that is not there yet. */
export function tooLargeVersion(wanted: number, current: number): ApiFailure {
  const message = `Too large resource version: ${wanted}, current: ${current}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return new ApiFailure(504, 'Timeout', `Timeout: ${message}`, { causes, retryAfterSeconds: 1 });
}
