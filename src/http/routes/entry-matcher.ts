// One entry of a table as a test of a request: everything but the path, which the index of the table looks at.
import type { NamedMatch, RouteMatch } from '../../model/route-types.ts';
import type { Workload } from '../../model/types.ts';
import type { Headers } from '../message.ts';
import { invertedTest, type ValueTest, valueTest } from './value-matcher.ts';

/** What matching needs of a request; a `RequestHead` is one. */
export interface MatchRequest {
  readonly method: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Pick<Headers, 'get'>;
}

/** Who asks; null for one that nobody knows. */
export interface MatchClient {
  readonly workload: Pick<Workload, 'namespace' | 'canonicalName' | 'canonicalRevision' | 'labels'> | null;
}

/** Claims of the verified token; null without one. */
export type MatchClaims = Readonly<Record<string, unknown>> | null;

/** `target` has the query; `queryAt` is the place of the `?` in the target, or its length. */
export type RequestTest = (
  request: MatchRequest,
  target: string,
  queryAt: number,
  client: MatchClient,
  claims: MatchClaims,
) => boolean;

/** The test of an entry without its path; null when it asks for nothing else. */
export function requestTest(match: RouteMatch): RequestTest | null {
  const tests = testsOf(match);
  const [first, second] = tests;
  if (first === undefined) return null;
  if (second === undefined) return first;
  if (tests.length === 2) {
    return (request, target, queryAt, client, claims) =>
      first(request, target, queryAt, client, claims) && second(request, target, queryAt, client, claims);
  }
  return (request, target, queryAt, client, claims) => {
    for (const test of tests) if (!test(request, target, queryAt, client, claims)) return false;
    return true;
  };
}

/** The cheap ones first. */
function testsOf(match: RouteMatch): RequestTest[] {
  const tests: RequestTest[] = [];
  const { sourceNamespace, sourceLabels } = match;
  if (sourceNamespace !== '')
    tests.push((_request, _target, _at, client) => client.workload?.namespace === sourceNamespace);
  if (match.method !== null) tests.push(on((request) => request.method, valueTest(match.method)));
  if (match.scheme !== null) tests.push(on((request) => request.scheme, valueTest(match.scheme)));
  if (match.authority !== null) tests.push(on((request) => request.authority, valueTest(match.authority)));
  for (const header of match.headers) tests.push(headerTest(header));
  for (const one of match.query) {
    const test = one.invert ? invertedTest(one.match) : valueTest(one.match);
    tests.push((_request, target, queryAt) => test(queryValue(target, queryAt, one.name)));
  }
  const labels = Object.entries(sourceLabels);
  if (labels.length > 0) {
    tests.push((_request, _target, _at, client) => labels.every(([key, value]) => labelOf(client, key) === value));
  }
  for (const { path, match: value, invert } of match.claims) {
    const test = claimTest(path, valueTest(value));
    tests.push((_request, _target, _at, _client, claims) => test(claims) !== invert);
  }
  return tests;
}

function on(read: (request: MatchRequest) => string, test: ValueTest): RequestTest {
  return (request) => test(read(request));
}

function headerTest({ name, match, invert }: NamedMatch): RequestTest {
  const test = invert ? invertedTest(match) : valueTest(match);
  switch (name) {
    case ':method':
      return (request) => test(request.method);
    case ':scheme':
      return (request) => test(request.scheme);
    case ':path':
      return (_request, target) => test(target);
    case ':authority':
    case 'host':
      return (request) => test(request.authority);
    default:
      return (request) => test(request.headers.get(name));
  }
}

/** The label of a workload; those by which its canonical service and revision are told are known without it. */
function labelOf({ workload }: MatchClient, key: string): string | undefined {
  if (workload === null) return undefined;
  const said = workload.labels?.[key];
  if (said !== undefined) return said;
  return key === 'app' ? workload.canonicalName : key === 'version' ? workload.canonicalRevision : undefined;
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
