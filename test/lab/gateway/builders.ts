// What the cases of Gateway API's mesh conformance tests are written with.
import { type Ask, meshSpace } from './scene.ts';

/** One test of the suite. */
export interface ConformanceCase {
  readonly name: string;
  /** Names of features beside `Mesh`, all of which the test needs. */
  readonly features: readonly string[];
  /** In which profile of the suite it counts; null for one that runs without counting. */
  readonly counts: 'core' | 'extended' | null;
  /** In a few words, for the table of the documentation. */
  readonly what: string;
  readonly routes: readonly object[];
  readonly asks?: readonly Ask[];
  /** 500 requests to the URL, and the share of them that each Deployment gets. */
  readonly weigh?: { readonly url: string; readonly shares: Readonly<Record<string, number>> };
}

/** Of a route of the fixture. */
export interface RouteOptions {
  readonly kind?: 'HTTPRoute' | 'GRPCRoute';
  readonly namespace?: string;
  /** Of the parent; its port is left out when null. */
  readonly service?: string;
  readonly port?: number | null;
}

/** A route of Service `echo`, unless said otherwise. */
export function route(name: string, rules: readonly object[], options: RouteOptions = {}): object {
  const { kind = 'HTTPRoute', namespace = meshSpace, service = 'echo', port = 80 } = options;
  const elsewhere = namespace === meshSpace ? {} : { namespace: meshSpace };
  const parent = { group: '', kind: 'Service', name: service, ...elsewhere, ...(port === null ? {} : { port }) };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind,
    metadata: { name, namespace },
    spec: { parentRefs: [parent], rules },
  };
}

/** A backendRef. */
export const to = (name: string, port = 8080, more: object = {}): object => ({ name, port, ...more });
/** A match by path. */
export const prefix = (value: string): object => ({ path: { type: 'PathPrefix', value } });
/** A match by one header. */
export const header = (name: string, value: string): object => ({ headers: [{ name, value }] });
/** A match by the query parameter `animal`. */
export const query = (value: string): object => ({ queryParams: [{ name: 'animal', value }] });
/** A rule for a prefix, with filters. */
export const under = (start: string, ...filters: readonly object[]): object => ({ matches: [prefix(start)], filters });
/** A filter. */
export const redirect = (requestRedirect: object): object => ({ type: 'RequestRedirect', requestRedirect });
/** Of a path. */
export const replacePrefix = (replacePrefixMatch: string): object => ({
  type: 'ReplacePrefixMatch',
  replacePrefixMatch,
});
/** Of a path. */
export const replaceFull = (replaceFullPath: string): object => ({ type: 'ReplaceFullPath', replaceFullPath });
/** A filter. */
export const rewrite = (path: object): object => ({ type: 'URLRewrite', urlRewrite: { path } });
/** A filter. */
export const requestHeaders = (requestHeaderModifier: object): object => ({
  type: 'RequestHeaderModifier',
  requestHeaderModifier,
});
/** A filter that sets one header of answers. */
export const answerWith = (value: string): object => ({
  type: 'ResponseHeaderModifier',
  responseHeaderModifier: { set: [{ name: 'X-Header-Set', value }] },
});

export const v1 = 'echo-v1';
export const v2 = 'echo-v2';
/** A request that `backend` answers. */
export const http = (path: string, backend: string, headers: Readonly<Record<string, string>> = {}): Ask => ({
  url: `http://echo${path}`,
  backend,
  headers,
});
/** A request that no rule is for. */
export const miss = (path: string, headers: Readonly<Record<string, string>> = {}): Ask => ({
  url: `http://echo${path}`,
  headers,
  status: 404,
});
/** A request that is sent elsewhere, with where. */
export const redirected = (path: string, status: number, location: string): Ask => ({
  url: `http://echo${path}`,
  status,
  answered: { location },
});
