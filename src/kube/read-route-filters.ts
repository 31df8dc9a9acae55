// The filters and references of HTTPRoute and GRPCRoute.

import { didYouMean } from '../base/nearest-name.ts';
import type {
  BackendReference,
  ObjectReference,
  ParentReference,
  PathChange,
  RouteFilter,
  Unsupported,
} from '../model/route-resources.ts';
import type { CorsPolicy, ValueMatch } from '../model/route-types.ts';
import type { ObjectReader } from './object-reader.ts';
import { gatewayEdits, headText, limited, tokens } from './route-values.ts';

/** The API group of Gateway API. */
export const gatewayGroup = 'gateway.networking.k8s.io';
/** How the documentation of Gateway API writes the core group, whose name is empty. */
const coreGroup = 'core';

const anyPort = { min: 1, max: 65535 };
const httpFilters = [
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestRedirect',
  'URLRewrite',
  'RequestMirror',
  'CORS',
  'ExtensionRef',
] as const;
const grpcFilters = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef'] as const;
const filterFields: Readonly<Record<(typeof httpFilters)[number], string>> = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  RequestMirror: 'requestMirror',
  CORS: 'cors',
  ExtensionRef: 'extensionRef',
};
const repeatable: readonly string[] = ['RequestMirror', 'ExtensionRef'];

/** Collects what is understood and not done, while one route is read. */
export interface FilterContext {
  readonly kind: 'HTTPRoute' | 'GRPCRoute';
  readonly namespace: string;
  readonly unsupported: Unsupported[];
}

/** The filters of a rule or backend. Throws CONFIG_INVALID with the place of what may not stand there. */
export function readFilters(object: ObjectReader, context: FilterContext): RouteFilter[] {
  const seen = new Set<string>();
  const filters: RouteFilter[] = [];
  for (const one of limited(object, 'filters', 16)) {
    one.only(['type', ...Object.values(filterFields), 'externalAuth']);
    const word = one.string('type');
    const known: readonly string[] = context.kind === 'HTTPRoute' ? httpFilters : grpcFilters;
    if (!known.includes(word)) {
      const hint = didYouMean(word, known);
      const path = [...one.path, 'type'];
      context.unsupported.push({ path, message: `the filter ${word} is not supported for ${context.kind}${hint}` });
      continue;
    }
    const type = word as (typeof httpFilters)[number];
    if (seen.has(type) && !repeatable.includes(type)) one.fail('type', `must not occur twice: ${type}`);
    seen.add(type);
    if (!one.has(filterFields[type])) one.fail(filterFields[type], `must be there for the type ${type}`);
    filters.push(readFilter(one.object(filterFields[type]), type, context));
  }
  if (seen.has('RequestRedirect') && seen.has('URLRewrite')) {
    object.fail('filters', 'must not have both RequestRedirect and URLRewrite');
  }
  return filters;
}

function readFilter(body: ObjectReader, type: (typeof httpFilters)[number], context: FilterContext): RouteFilter {
  switch (type) {
    case 'RequestHeaderModifier':
    case 'ResponseHeaderModifier':
      return { type, edits: gatewayEdits(body) };
    case 'RequestRedirect':
      return readRedirect(body);
    case 'URLRewrite':
      body.only(['hostname', 'path']);
      return { type, hostname: readHostname(body), path: readPathChange(body) };
    case 'RequestMirror':
      return readMirror(body, context);
    case 'CORS':
      return { type, cors: readCors(body) };
    default:
      body.only(['group', 'kind', 'name']);
      return { type: 'ExtensionRef', reference: readReference(body, context.namespace, '') };
  }
}

function readRedirect(body: ObjectReader): RouteFilter {
  body.only(['scheme', 'hostname', 'path', 'port', 'statusCode']);
  const status = body.integer('statusCode', { min: 301, max: 308 }, 302);
  if (![301, 302, 303, 307, 308].includes(status)) body.fail('statusCode', 'must be 301, 302, 303, 307 or 308');
  return {
    type: 'RequestRedirect',
    scheme: body.has('scheme') ? body.oneOf('scheme', ['http', 'https']) : null,
    hostname: readHostname(body),
    port: body.has('port') ? body.integer('port', anyPort) : null,
    path: readPathChange(body),
    status,
  };
}

function readPathChange(body: ObjectReader): PathChange {
  if (!body.has('path')) return null;
  const path = body.object('path');
  path.only(['type', 'replaceFullPath', 'replacePrefixMatch']);
  const type = path.oneOf('type', ['ReplaceFullPath', 'ReplacePrefixMatch']);
  const key = type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch';
  return { kind: type === 'ReplaceFullPath' ? 'full' : 'prefix', value: headText(path, key) };
}

function readMirror(body: ObjectReader, context: FilterContext): RouteFilter {
  body.only(['backendRef', 'percent', 'fraction']);
  if (body.has('percent') && body.has('fraction')) body.fail('fraction', 'must not stand beside percent');
  let fraction = body.has('percent') ? body.integer('percent', { min: 0, max: 100 }) / 100 : 1;
  if (body.has('fraction')) {
    const share = body.object('fraction');
    share.only(['numerator', 'denominator']);
    const denominator = share.integer('denominator', { min: 1, max: 2 ** 31 }, 100);
    fraction = share.integer('numerator', { min: 0, max: denominator }) / denominator;
  }
  return { type: 'RequestMirror', backend: readBackend(body.object('backendRef'), context), fraction };
}

function readCors(body: ObjectReader): CorsPolicy {
  body.only(['allowOrigins', 'allowCredentials', 'allowMethods', 'allowHeaders', 'exposeHeaders', 'maxAge']);
  const wildcardAlone = (key: string): string[] => {
    const values = key === 'allowOrigins' ? body.strings(key) : tokens(body, key);
    if (values.length > 1 && values.includes('*')) body.fail(key, 'must have * alone');
    return values;
  };
  return {
    allowOrigins: wildcardAlone('allowOrigins').map((origin) => readOrigin(body, origin)),
    allowMethods: wildcardAlone('allowMethods'),
    allowHeaders: wildcardAlone('allowHeaders').map((name) => name.toLowerCase()),
    exposeHeaders: wildcardAlone('exposeHeaders'),
    maxAgeS: body.integer('maxAge', { min: 0, max: 2 ** 31 }, 5),
    allowCredentials: body.boolean('allowCredentials', false),
    unmatchedPreflights: 'ignore',
  };
}

/** `https://*.host:port` covers any number of labels, and not the host itself. */
function readOrigin(body: ObjectReader, origin: string): ValueMatch {
  if (origin === '*') return { kind: 'present', value: '', ignoreCase: false };
  const wild = /^([a-z][a-z0-9+.-]*:\/\/)\*(\.[^*/]+)$/i.exec(origin);
  if (wild !== null) {
    const [, scheme = '', rest = ''] = wild;
    return { kind: 'regex', value: `${quoted(scheme)}[^/]+${quoted(rest)}`, ignoreCase: false };
  }
  if (origin.includes('*')) body.fail('allowOrigins', `must have * alone or in front of a host, not "${origin}"`);
  return { kind: 'exact', value: origin, ignoreCase: false };
}

function quoted(text: string): string {
  return text.replace(/[.+*?()[\]{}|^$\\]/g, '\\$&');
}

/** A backendRef. */
export function readBackend(object: ObjectReader, context: FilterContext): BackendReference {
  object.only(['group', 'kind', 'namespace', 'name', 'port', 'weight', 'filters']);
  const reference = readReference(object, context.namespace, 'Service');
  const port = object.has('port') ? object.integer('port', anyPort) : null;
  if (port === null && reference.kind === 'Service' && reference.group === '') {
    object.fail('port', 'must be there for a Service');
  }
  const weight = object.integer('weight', { min: 0, max: 1_000_000 }, 1);
  return { ...reference, port, weight, filters: readFilters(object, context), path: object.path };
}

/** The parentRefs of a route. */
export function readParents(spec: ObjectReader, namespace: string): ParentReference[] {
  return limited(spec, 'parentRefs', 32).map((one) => {
    one.only(['group', 'kind', 'namespace', 'name', 'port', 'sectionName']);
    const reference = readReference(one, namespace, 'Gateway', gatewayGroup);
    // Who leaves the group out means the Service all the same: Gateway API has no kind of that name.
    const isService = reference.kind === 'Service' && reference.group === gatewayGroup;
    return {
      ...reference,
      group: isService ? '' : reference.group,
      writtenGroup: one.string('group', gatewayGroup),
      port: one.has('port') ? one.integer('port', anyPort) : null,
      sectionName: optional(one, 'sectionName'),
    };
  });
}

/** group, kind, namespace and name, with their defaults. */
export function readReference(
  object: ObjectReader,
  namespace: string,
  defaultKind: string,
  defaultGroup = '',
): ObjectReference {
  return {
    group: readGroup(object, defaultGroup),
    kind: defaultKind === '' ? object.string('kind') : object.string('kind', defaultKind),
    namespace: object.name('namespace', namespace),
    name: object.name('name'),
  };
}

/** The API group of a reference; `core` is the core group. */
export function readGroup(object: ObjectReader, fallback: string): string {
  const group = object.string('group', fallback);
  return group === coreGroup ? '' : group;
}

function readHostname(body: ObjectReader): string | null {
  return body.has('hostname') ? headText(body, 'hostname') : null;
}

function optional(object: ObjectReader, key: string): string | null {
  return object.has(key) ? object.string(key) : null;
}
