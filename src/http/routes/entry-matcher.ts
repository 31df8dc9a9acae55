// One entry of a table as a test of a request: everything but the path, which the index of the table looks at.
import type { NamedMatch, RouteMatch } from '../../model/route-types.ts';
import type { Headers } from '../message.ts';
import { invertedTest, type ValueTest, valueTest } from './value-matcher.ts';

/** What matching needs of a request; a `RequestHead` is one. */
export interface MatchRequest {
  readonly method: string;
  /** With its query. */
  readonly target: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Pick<Headers, 'get'>;
}

/** Who asks, as its identity and the mesh say. */
export interface MatchClient {
  /** '' when it is not known. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Claims of the verified token; null without one. */
export type MatchClaims = Readonly<Record<string, unknown>> | null;

/** `queryAt` is the place of the `?` in the target, or its length. */
export type RequestTest = (request: MatchRequest, queryAt: number, client: MatchClient, claims: MatchClaims) => boolean;

/** The test of an entry without its path; null when it asks for nothing else. */
export function requestTest(match: RouteMatch): RequestTest | null {
  const tests = testsOf(match);
  const [first, second] = tests;
  if (first === undefined) return null;
  if (second === undefined) return first;
  if (tests.length === 2) {
    return (request, queryAt, client, claims) =>
      first(request, queryAt, client, claims) && second(request, queryAt, client, claims);
  }
  return (request, queryAt, client, claims) => {
    for (const test of tests) if (!test(request, queryAt, client, claims)) return false;
    return true;
  };
}

/** The cheap ones first. */
function testsOf(match: RouteMatch): RequestTest[] {
  const tests: RequestTest[] = [];
  const { sourceNamespace, sourceLabels } = match;
  if (sourceNamespace !== '') tests.push((_request, _at, client) => client.namespace === sourceNamespace);
  if (match.method !== null) tests.push(on((request) => request.method, valueTest(match.method)));
  if (match.scheme !== null) tests.push(on((request) => request.scheme, valueTest(match.scheme)));
  if (match.authority !== null) tests.push(on((request) => request.authority, valueTest(match.authority)));
  for (const header of match.headers) tests.push(headerTest(header));
  for (const one of match.query) {
    const test = one.invert ? invertedTest(one.match) : valueTest(one.match);
    tests.push((request, queryAt) => test(queryValue(request.target, queryAt, one.name)));
  }
  const labels = Object.entries(sourceLabels);
  if (labels.length > 0) {
    tests.push((_request, _at, client) => labels.every(([key, value]) => client.labels[key] === value));
  }
  for (const { path, match: value, invert } of match.claims) {
    const test = claimTest(path, valueTest(value));
    tests.push((_request, _at, _client, claims) => test(claims) !== invert);
  }
  return tests;
}

function on(read: (request: MatchRequest) => string, test: ValueTest): RequestTest {
  return (request) => test(read(request));
}

const pseudo: Readonly<Record<string, (request: MatchRequest) => string>> = {
  ':method': (request) => request.method,
  ':path': (request) => request.target,
  ':scheme': (request) => request.scheme,
  ':authority': (request) => request.authority,
  host: (request) => request.authority,
};

function headerTest({ name, match, invert }: NamedMatch): RequestTest {
  const test = invert ? invertedTest(match) : valueTest(match);
  const read = Object.hasOwn(pseudo, name) ? pseudo[name] : undefined;
  return read === undefined ? (request) => test(request.headers.get(name)) : on(read, test);
}

/** The value of the first parameter of that name, as it came; null for none. */
export function queryValue(target: string, queryAt: number, name: string): string | null {
  let at = queryAt + 1;
  while (at < target.length) {
    let end = target.indexOf('&', at);
    if (end < 0) end = target.length;
    if (target.startsWith(name, at)) {
      const after = at + name.length;
      if (after === end) return '';
      if (after < end && target.charCodeAt(after) === equals) return target.slice(after + 1, end);
    }
    at = end + 1;
  }
  return null;
}

const equals = 0x3d;

/** A list matches when one of its values does. */
function claimTest(path: readonly string[], test: ValueTest): (claims: MatchClaims) => boolean {
  return (claims) => {
    let value: unknown = claims;
    for (const key of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
      value = (value as Record<string, unknown>)[key];
    }
    const values = Array.isArray(value) ? value : [value];
    return values.some((one) => one !== null && typeof one !== 'object' && test(String(one)));
  };
}
