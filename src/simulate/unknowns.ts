// What a flow record does not say of a request: its headers, its query, its token. Conditions on these are taken as
// facts that nobody knows ("unknowns"), the same ones before and after a change, and judged both ways.
import { pathTest, valueTest } from '../http/routes/value-matcher.ts';
import type { PortRoutes, RouteMatch, ServiceRoutes } from '../model/route-types.ts';
import type { Policy, PolicyMatch } from '../model/types.ts';

/** Each unknown by its key, true where the condition is taken to hold. */
export type Assumption = ReadonlyMap<string, boolean>;

/** A condition that nobody can judge from a record. */
export interface Unknown {
  /** The condition itself: the same before and after a change, where it is. */
  readonly key: string;
  /** What it is about: `header end-user`. */
  readonly about: readonly string[];
}

/** Of policies: what no record has, and what only a request has. */
const neverRecorded = ['headers', 'requestPrincipals', 'audiences', 'presenters', 'claims', 'remoteIps'];
const ofRequests = ['hosts', 'methods', 'paths'];
const pseudoHeaders: ReadonlySet<string> = new Set([':method', ':path', ':authority', ':scheme', 'host']);
/** A match without any field matches nothing; this one holds for everybody. */
const always: PolicyMatch = { notNamespaces: [{ kind: 'exact', value: '' }] };
const never: PolicyMatch = {};

/**
 * The unknowns in what a waypoint does for a service at a port. With `request`, its method, path and host are recorded;
 * null: nothing is.
 */
export function unknownsOf(
  routes: ServiceRoutes | null,
  port: number,
  request: { readonly method: string; readonly path: string } | null,
): readonly Unknown[] {
  if (routes === null) return [];
  const isRequest = request !== null;
  const found = new Map<string, Unknown>();
  const add = (unknown: Unknown | null): void => {
    if (unknown !== null) found.set(unknown.key, unknown);
  };
  for (const policy of routes.policies ?? []) {
    if (policy.dryRun || policy.action === 'audit') continue;
    for (const match of matchesOf(policy)) add(unknownOfPolicy(match, isRequest));
  }
  for (const { match } of routes.ports.find((one) => one.port === port)?.entries ?? []) {
    if (request !== null && !mayMatch(match, request)) continue;
    add(unknownOfRoute(match, isRequest));
  }
  return [...found.values()];
}

/** The same routes and policies, with every unknown settled as is assumed; what is not in the assumption, as false. */
export function settled(
  routes: ServiceRoutes,
  port: number,
  isRequest: boolean,
  assumption: Assumption,
): ServiceRoutes {
  const policies = (routes.policies ?? []).map((policy) => settledPolicy(policy, isRequest, assumption));
  const ports = routes.ports.map((one) => (one.port === port ? settledPort(one, isRequest, assumption) : one));
  return { ...routes, ports, ...(routes.policies === undefined ? {} : { policies }) };
}

function settledPolicy(policy: Policy, isRequest: boolean, assumption: Assumption): Policy {
  if (!matchesOf(policy).some((match) => unknownOfPolicy(match, isRequest) !== null)) return policy;
  const settle = (match: PolicyMatch): PolicyMatch => {
    const unknown = unknownOfPolicy(match, isRequest);
    if (unknown === null) return match;
    if (assumption.get(unknown.key) !== true) return never;
    const fields = new Set(unknownFields(match, isRequest));
    const rest = Object.fromEntries(Object.entries(match).filter(([field]) => !fields.has(field)));
    return Object.values(rest).some((values) => Array.isArray(values) && values.length > 0) ? rest : always;
  };
  const rules = policy.rules.map(({ clauses }) => ({
    clauses: clauses.map(({ matches }) => ({ matches: matches.map(settle) })),
  }));
  return { ...policy, rules };
}

function settledPort(port: PortRoutes, isRequest: boolean, assumption: Assumption): PortRoutes {
  const entries = port.entries.flatMap((entry) => {
    const unknown = unknownOfRoute(entry.match, isRequest);
    if (unknown === null) return [entry];
    if (assumption.get(unknown.key) !== true) return [];
    return [{ ...entry, match: recordedPart(entry.match, isRequest) }];
  });
  return { ...port, entries };
}

function matchesOf(policy: Policy): readonly PolicyMatch[] {
  return policy.rules.flatMap(({ clauses }) => clauses.flatMap(({ matches }) => matches));
}

function unknownFields(match: PolicyMatch, isRequest: boolean): string[] {
  const names = isRequest ? neverRecorded : [...neverRecorded, ...ofRequests];
  const fields = names.flatMap((name) => [name, `not${name.charAt(0).toUpperCase()}${name.slice(1)}`]);
  return fields.filter((field) => ((match as Readonly<Record<string, readonly unknown[]>>)[field]?.length ?? 0) > 0);
}

function unknownOfPolicy(match: PolicyMatch, isRequest: boolean): Unknown | null {
  const fields = unknownFields(match, isRequest);
  if (fields.length === 0) return null;
  const part = fields.map((field) => [field, match[field as keyof PolicyMatch]]);
  return { key: `policy ${JSON.stringify(part)}`, about: fields.flatMap((field) => aboutField(field, match)) };
}

function aboutField(field: string, match: PolicyMatch): string[] {
  const name = field.startsWith('not') ? field.charAt(3).toLowerCase() + field.slice(4) : field;
  switch (name) {
    case 'headers':
      return [...(match.headers ?? []), ...(match.notHeaders ?? [])].map((one) => `header ${one.name}`);
    case 'claims':
      return [...(match.claims ?? []), ...(match.notClaims ?? [])].map((one) => `claim ${one.path.join('.')}`);
    case 'remoteIps':
      return ['header x-forwarded-for'];
    case 'hosts':
    case 'methods':
    case 'paths':
      return [`the request's ${name.slice(0, -1)}`];
    default:
      return ['the token'];
  }
}

/** False where the path or the method says that it is another's. */
function mayMatch({ path, method }: RouteMatch, request: { readonly method: string; readonly path: string }): boolean {
  if (method !== null && !valueTest(method)(request.method)) return false;
  return path === null || pathTest(path)(request.path, request.path.length);
}

/** Without what no record has. */
function recordedPart(match: RouteMatch, isRequest: boolean): RouteMatch {
  const headers = isRequest ? match.headers.filter(({ name }) => pseudoHeaders.has(name)) : [];
  const part = { ...match, headers, query: [], claims: [] };
  return isRequest ? part : { ...part, path: null, method: null, scheme: null, authority: null };
}

function unknownOfRoute(match: RouteMatch, isRequest: boolean): Unknown | null {
  const headers = match.headers.filter(({ name }) => !isRequest || !pseudoHeaders.has(name));
  const { query, claims, path, method, scheme, authority } = match;
  const isAnyPath = path === null || (path.value === '/' && path.kind !== 'exact' && path.kind !== 'regex');
  const request = isRequest || (isAnyPath && method === null && scheme === null && authority === null);
  if (headers.length === 0 && query.length === 0 && claims.length === 0 && request) return null;
  const part = { headers, query, claims, ...(request ? {} : { path, method, scheme, authority }) };
  const about = [
    ...headers.map(({ name }) => `header ${name}`),
    ...query.map(({ name }) => `query parameter ${name}`),
    ...claims.map((one) => `claim ${one.path.join('.')}`),
    ...(path === null || request || isAnyPath ? [] : ["the request's path"]),
    ...(method === null || request ? [] : ["the request's method"]),
    ...(authority === null || request ? [] : ["the request's host"]),
  ];
  return { key: `route ${JSON.stringify(part)}`, about };
}
