// HTTPRoute, GRPCRoute and ReferenceGrant: from an object to what the model keeps of it. What Gateway API's own
// validation refuses is an error here, with its place.
import { regexProblem } from '../base/regex.ts';
import type { ResourceMeta } from '../model/resources.ts';
import type {
  GatewayMatch,
  GatewayRetry,
  GatewayRouteResource,
  GatewayRule,
  ReferenceGrantResource,
  RouteFilter,
  Unsupported,
} from '../model/route-resources.ts';
import type { NamedMatch, PathMatch, ValueMatch } from '../model/route-types.ts';
import type { ObjectReader } from './object-reader.ts';
import { type FilterContext, readBackend, readFilters, readGroup, readParents } from './read-route-filters.ts';
import { checkPath, gatewayDuration, headerNameOf, limited } from './route-values.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;
const rulesMax = 16;
const matchesMax = 128;

/** An HTTPRoute. Throws CONFIG_INVALID with the place of what Gateway API does not admit. */
export function readHttpRoute(object: ObjectReader, meta: ResourceMeta): GatewayRouteResource {
  return readRoute(object, meta, 'HTTPRoute');
}

/** A GRPCRoute; as `readHttpRoute`. */
export function readGrpcRoute(object: ObjectReader, meta: ResourceMeta): GatewayRouteResource {
  return readRoute(object, meta, 'GRPCRoute');
}

/** A ReferenceGrant. Throws CONFIG_INVALID with the place of an unknown field. */
export function readReferenceGrant(object: ObjectReader, meta: ResourceMeta): ReferenceGrantResource {
  const spec = object.object('spec');
  spec.only(['from', 'to']);
  return {
    ...meta,
    kind: 'ReferenceGrant',
    from: spec.objects('from').map((one) => {
      one.only(['group', 'kind', 'namespace']);
      return { group: readGroup(one, ''), kind: one.string('kind'), namespace: one.name('namespace') };
    }),
    to: spec.objects('to').map((one) => {
      one.only(['group', 'kind', 'name']);
      const name = one.has('name') ? one.string('name') : null;
      return { group: readGroup(one, ''), kind: one.string('kind'), name };
    }),
  };
}

function readRoute(object: ObjectReader, meta: ResourceMeta, kind: FilterContext['kind']): GatewayRouteResource {
  const spec = object.object('spec');
  spec.only(['parentRefs', 'hostnames', 'rules', 'useDefaultGateways']);
  const context: FilterContext = { kind, namespace: meta.namespace, unsupported: [] };
  const defaultRules = [{ matches: [anyMatch], filters: [], backends: [], ...noExtras, name: null }];
  const rules = limited(spec, 'rules', rulesMax).map((rule) => readRule(rule, context));
  if (rules.reduce((sum, rule) => sum + rule.matches.length, 0) > matchesMax) {
    spec.fail('rules', `must have at most ${matchesMax} matches in all`);
  }
  const names = rules.map((rule) => rule.name).filter((name) => name !== null);
  if (new Set(names).size < names.length) spec.fail('rules', 'must not use a name twice');
  return {
    ...meta,
    kind,
    parents: readParents(spec, meta.namespace),
    hostnames: spec.strings('hostnames'),
    rules: spec.has('rules') ? rules : defaultRules,
    unsupported: context.unsupported,
    meaningless: readMeaningless(spec),
  };
}

function readMeaningless(spec: ObjectReader): Unsupported[] {
  const found: Unsupported[] = [];
  if (spec.list('hostnames').length > 0) {
    const message = 'hostnames are not looked at for a Service: it is known by where clients connect to';
    found.push({ path: [...spec.path, 'hostnames'], message });
  }
  if (spec.oneOf('useDefaultGateways', ['All', 'None'], 'None') === 'All') {
    const message = 'useDefaultGateways is about gateways: no waypoint is a default gateway';
    found.push({ path: [...spec.path, 'useDefaultGateways'], message });
  }
  return found;
}

const anyPath: PathMatch = { kind: 'segments', value: '/', ignoreCase: false };
const anyMatch: GatewayMatch = { path: anyPath, method: null, headers: [], query: [], grpc: null };
const noExtras = { requestTimeoutMs: null, backendTimeoutMs: null, retry: null };

function readRule(rule: ObjectReader, context: FilterContext): GatewayRule {
  const isHttp = context.kind === 'HTTPRoute';
  rule.only([
    'name',
    'matches',
    'filters',
    'backendRefs',
    'sessionPersistence',
    ...(isHttp ? ['timeouts', 'retry'] : []),
  ]);
  if (rule.has('sessionPersistence')) {
    const path = [...rule.path, 'sessionPersistence'];
    const message = 'sessionPersistence is not supported; use the consistentHash of a DestinationRule';
    context.unsupported.push({ path, message });
  }
  const matches = limited(rule, 'matches', 64).map((one) => (isHttp ? readMatch(one) : readGrpcMatch(one)));
  const filters = readFilters(rule, context);
  const backends = limited(rule, 'backendRefs', 16).map((one) => readBackend(one, context));
  if (backends.length > 0 && filters.some((filter) => filter.type === 'RequestRedirect')) {
    rule.fail('backendRefs', 'must not stand beside a RequestRedirect');
  }
  const ofBackends = backends.flatMap((backend) => backend.filters);
  if (
    [...filters, ...ofBackends].some(replacesPrefix) &&
    (matches.length !== 1 || matches[0]?.path.kind !== 'segments')
  ) {
    if (matches.length > 0) rule.fail('filters', 'must have exactly one PathPrefix match for ReplacePrefixMatch');
  }
  return {
    name: rule.has('name') ? rule.string('name') : null,
    matches: matches.length === 0 ? [isHttp ? anyMatch : { ...anyMatch, grpc: { service: 0, method: 0 } }] : matches,
    filters,
    backends,
    ...(isHttp ? readTimeouts(rule) : noExtras),
  };
}

function replacesPrefix(filter: RouteFilter): boolean {
  return (filter.type === 'RequestRedirect' || filter.type === 'URLRewrite') && filter.path?.kind === 'prefix';
}

function readTimeouts(rule: ObjectReader): Pick<GatewayRule, keyof typeof noExtras> {
  const timeouts = rule.object('timeouts');
  timeouts.only(['request', 'backendRequest']);
  const requestTimeoutMs = gatewayDuration(timeouts, 'request');
  const backendTimeoutMs = gatewayDuration(timeouts, 'backendRequest');
  if (requestTimeoutMs && backendTimeoutMs !== null && backendTimeoutMs > requestTimeoutMs) {
    timeouts.fail('backendRequest', 'must not be longer than request');
  }
  return { requestTimeoutMs, backendTimeoutMs, retry: rule.has('retry') ? readRetry(rule.object('retry')) : null };
}

function readRetry(retry: ObjectReader): GatewayRetry {
  retry.only(['codes', 'attempts', 'backoff']);
  const codes = retry.list('codes').map((code) => {
    if (typeof code === 'number' && Number.isInteger(code) && code >= 400 && code <= 599) return code;
    return retry.fail('codes', `must be statuses from 400 to 599, not ${String(code)}`);
  });
  const attempts = retry.has('attempts') ? retry.integer('attempts', { min: 0, max: 100 }) : null;
  return { codes, attempts, backoffMs: gatewayDuration(retry, 'backoff') };
}

function readMatch(match: ObjectReader): GatewayMatch {
  match.only(['path', 'headers', 'queryParams', 'method']);
  return {
    path: match.has('path') ? readPath(match.object('path')) : anyPath,
    method: match.has('method') ? match.oneOf('method', methods) : null,
    headers: readNamed(match, 'headers', true),
    query: readNamed(match, 'queryParams', false),
    grpc: null,
  };
}

function readPath(path: ObjectReader): PathMatch {
  path.only(['type', 'value']);
  const type = path.oneOf('type', ['Exact', 'PathPrefix', 'RegularExpression'], 'PathPrefix');
  const value = path.string('value', '/');
  if (type === 'RegularExpression')
    return { kind: 'regex', value: checkRegex(path, 'value', value), ignoreCase: false };
  return { kind: type === 'Exact' ? 'exact' : 'segments', value: checkPath(path, 'value', value), ignoreCase: false };
}

/** The first entry of a name counts. */
function readNamed(match: ObjectReader, key: string, isHeader: boolean): NamedMatch[] {
  const found = new Map<string, NamedMatch>();
  for (const one of limited(match, key, 16)) {
    one.only(['type', 'name', 'value']);
    const name = isHeader ? headerNameOf(one, 'name') : one.string('name');
    const isRegex = one.oneOf('type', ['Exact', 'RegularExpression'], 'Exact') === 'RegularExpression';
    const value = one.string('value');
    const test: ValueMatch = { kind: isRegex ? 'regex' : 'exact', value, ignoreCase: false };
    if (isRegex) checkRegex(one, 'value', value);
    if (!found.has(name)) found.set(name, { name, match: test, invert: false });
  }
  return [...found.values()];
}

function readGrpcMatch(match: ObjectReader): GatewayMatch {
  match.only(['method', 'headers']);
  const headers = readNamed(match, 'headers', true);
  if (!match.has('method')) return { ...anyMatch, headers, grpc: { service: 0, method: 0 } };
  const method = match.object('method');
  method.only(['type', 'service', 'method']);
  const isRegex = method.oneOf('type', ['Exact', 'RegularExpression'], 'Exact') === 'RegularExpression';
  const service = method.string('service', '');
  const name = method.string('method', '');
  if (service === '' && name === '') method.fail('service', 'or method must be there');
  for (const key of ['service', 'method']) {
    const value = method.string(key, '');
    if (isRegex) checkRegex(method, key, value);
    else if (!/^[A-Za-z0-9_.]*$/.test(value)) method.fail(key, `must be the name of a gRPC ${key}, not "${value}"`);
  }
  const grpc = { service: service.length, method: name.length };
  return { ...anyMatch, path: grpcPath(service, name, isRegex), headers, grpc };
}

/** A gRPC method is the path `/SERVICE/METHOD` (l7.md §1.8). */
function grpcPath(service: string, method: string, isRegex: boolean): PathMatch {
  if (!isRegex && service !== '' && method !== '')
    return { kind: 'exact', value: `/${service}/${method}`, ignoreCase: false };
  if (!isRegex && method === '') return { kind: 'prefix', value: `/${service}/`, ignoreCase: false };
  const one = (value: string): string =>
    value === '' ? '[^/]+' : isRegex ? `(?:${value})` : value.replaceAll('.', '\\.');
  return { kind: 'regex', value: `/${one(service)}/${one(method)}`, ignoreCase: false };
}

function checkRegex(object: ObjectReader, key: string, pattern: string): string {
  const problem = regexProblem(pattern);
  if (problem !== null) object.fail(key, problem);
  return pattern;
}
