// The part of a policy's conditions that HTTP requests are judged by: host, method, path, headers, the token's claims.
import { type IpValue, parseIp } from '../base/ip.ts';
import { pathTemplate } from '../model/path-template.ts';
import type { ClaimValues, NamedValues, PathPattern, PolicyMatch, StringMatch } from '../model/types.ts';
import { networkTestOf, type TextTest, textTestOf } from './match-text.ts';

/** Headers by name in lower case, values of repeated ones joined; null when absent. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** A verified token, as conditions ask for it. */
export interface TokenFacts {
  /** `ISSUER/SUBJECT`; null when one of them is missing. */
  readonly principal: string | null;
  readonly audiences: readonly string[];
  /** Claim `azp`; null without it. */
  readonly presenter: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A request as conditions see it. */
export interface HttpFacts {
  readonly method: string;
  /** Normalised, without the query. */
  readonly path: string;
  /** With or without a port, as the client wrote it. */
  readonly authority: string;
  readonly headers: HeaderSource;
  /** Null without a token. */
  readonly token: TokenFacts | null;
  /** Where the request came from before the last hop; see `remoteIpOf`. */
  readonly remoteIp: IpValue;
}

export type RequestTest = (request: HttpFacts) => boolean;

/** Claims that hold several values in one text, whatever the policy says (RFC 8693 `scope`). */
const spaceDelimited = new Set(['scope', 'permission']);

/** The tests of a match that need a request. `isDeny`: what cannot be read matches everything instead of nothing. */
export function httpTests(match: PolicyMatch, isDeny: boolean): RequestTest[] {
  const tests: RequestTest[] = [];
  const pair = <T>(
    positive: readonly T[] | undefined,
    negative: readonly T[] | undefined,
    compile: (values: readonly T[], orAny: boolean) => RequestTest,
  ): void => {
    if (positive !== undefined && positive.length > 0) tests.push(compile(positive, isDeny));
    if (negative === undefined || negative.length === 0) return;
    const test = compile(negative, !isDeny);
    tests.push((request) => !test(request));
  };
  pair(match.hosts, match.notHosts, hostTest);
  pair(match.methods, match.notMethods, (values) => picked(values, (request) => request.method));
  pair(match.paths, match.notPaths, pathTest);
  pair(match.requestPrincipals, match.notRequestPrincipals, (values) =>
    picked(values, (request) => request.token?.principal ?? null),
  );
  pair(match.presenters, match.notPresenters, (values) =>
    picked(values, (request) => request.token?.presenter ?? null),
  );
  pair(match.audiences, match.notAudiences, audienceTest);
  pair(match.remoteIps, match.notRemoteIps, (networks, orAny) => {
    const test = networkTestOf(networks, orAny);
    return (request) => test(request.remoteIp);
  });
  pair(match.headers, match.notHeaders, headerTest);
  pair(match.claims, match.notClaims, claimTest);
  return tests;
}

/**
 * The client's address as far as it can be told: the last one in `x-forwarded-for`, which the hop before this one
 * wrote, else the address that the connection came from. What a client of the mesh writes there itself is believed, as
 * in Istio; conditions on it are for requests that come through a gateway.
 */
export function remoteIpOf(headers: HeaderSource, sourceIp: IpValue): IpValue {
  const forwarded = headers.get('x-forwarded-for');
  if (forwarded === null) return sourceIp;
  const last = forwarded.slice(forwarded.lastIndexOf(',') + 1).trim();
  return parseIp(last) ?? sourceIp;
}

/** The values of a claim as texts: of a list each, of a delimited text each word; [] for what is neither. */
export function claimTexts(claims: Readonly<Record<string, unknown>>, path: readonly string[]): readonly string[] {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
    value = (value as Record<string, unknown>)[key];
  }
  if (Array.isArray(value)) return value.filter((one) => isPlain(one)).map(String);
  if (typeof value === 'string' && path.length === 1 && spaceDelimited.has(path[0]!)) return value.split(' ');
  return isPlain(value) ? [String(value)] : [];
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function picked(values: readonly StringMatch[], pick: (request: HttpFacts) => string | null): RequestTest {
  const test = textTestOf(values);
  return (request) => {
    const text = pick(request);
    return text !== null && test(text);
  };
}

/** A port in the request is of no account, unless the policy names one. */
function hostTest(values: readonly StringMatch[]): RequestTest {
  const lower = values.map((one) => (one.kind === 'presence' ? one : { ...one, value: one.value.toLowerCase() }));
  const test = textTestOf(lower);
  return ({ authority }) => {
    const host = authority.toLowerCase();
    return test(host) || test(withoutPort(host));
  };
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
}

function pathTest(patterns: readonly PathPattern[], orAny: boolean): RequestTest {
  const plain = textTestOf(patterns.filter((one) => one.kind !== 'template'));
  const templates: TextTest[] = [];
  for (const pattern of patterns) {
    if (pattern.kind !== 'template') continue;
    const test = pathTemplate(pattern.value);
    if (test !== null) templates.push(test);
    else if (orAny) return () => true;
  }
  if (templates.length === 0) return ({ path }) => plain(path);
  return ({ path }) => plain(path) || templates.some((test) => test(path));
}

function audienceTest(values: readonly StringMatch[]): RequestTest {
  const test = textTestOf(values);
  return ({ token }) => token?.audiences.some(test) === true;
}

function headerTest(headers: readonly NamedValues[]): RequestTest {
  const tests = headers.map(({ name, values }) => ({ name, test: textTestOf(values) }));
  return (request) =>
    tests.some(({ name, test }) => {
      const value = request.headers.get(name);
      return value !== null && test(value);
    });
}

function claimTest(claims: readonly ClaimValues[]): RequestTest {
  const tests = claims.map(({ path, values }) => ({ path, test: textTestOf(values) }));
  return ({ token }) =>
    token !== null && tests.some(({ path, test }) => claimTexts(token.claims, path).some((text) => test(text)));
}
