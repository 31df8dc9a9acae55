// The table against an oracle that tries every entry in turn, and draws by weight.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchAnything } from '../../model/route-resources.ts';
import type { NamedMatch, PathMatch, RouteMatch, ServiceRoutes, ValueMatch } from '../../model/route-types.ts';
import { defaultDestination, plainRule } from '../../model/routes/route-defaults.ts';
import { workloadOf } from '../../model/testing-mesh.ts';
import { drawBackend } from '../exchange/backend-draw.ts';
import { compileRoutes } from './route-table.ts';
import { requestOf } from './testing-routes.ts';

const segment = fc.constantFrom('a', 'b', 'ab', 'A', '');
const pathText = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const path: fc.Arbitrary<PathMatch | null> = fc.option(
  fc.record({
    kind: fc.constantFrom('exact', 'segments', 'prefix'),
    value: fc.oneof(
      pathText,
      pathText.map((text) => text.slice(0, 3)),
    ),
    ignoreCase: fc.boolean(),
  }),
);
const value: fc.Arbitrary<ValueMatch> = fc.record({
  kind: fc.constantFrom('exact', 'prefix', 'suffix', 'present'),
  value: fc.constantFrom('a', 'ab', 'B', ''),
  ignoreCase: fc.boolean(),
});
const named: fc.Arbitrary<NamedMatch> = fc.record({
  name: fc.constantFrom('x', 'y'),
  match: value,
  invert: fc.boolean(),
});
const match: fc.Arbitrary<RouteMatch> = fc
  .record({
    path,
    method: fc.option(fc.constantFrom<ValueMatch>({ kind: 'exact', value: 'GET', ignoreCase: false })),
    headers: fc.array(named, { maxLength: 2 }),
    query: fc.array(
      named.map((one) => ({ ...one, invert: false })),
      { maxLength: 1 },
    ),
    sourceNamespace: fc.constantFrom('', '', 'a', 'b'),
  })
  .map((given) => ({ ...matchAnything, ...given }));
const request = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  path: pathText,
  query: fc.constantFrom('', '?x=a', '?y=ab&x=B', '?x', '?xx=a&x='),
  headers: fc.subarray(['x: a', 'x: AB', 'y: ', 'y: b']),
  namespace: fc.constantFrom('a', 'b', 'c'),
});
type Asked = typeof request extends fc.Arbitrary<infer One> ? One : never;

/** As slowly and plainly as the rules are told. */
function holds(one: RouteMatch, asked: Asked): boolean {
  const headers = requestOf('/', asked.headers).headers;
  const first = new URLSearchParams(asked.query.slice(1));
  return (
    (one.path === null || pathHolds(one.path, asked.path)) &&
    (one.method === null || one.method.value === asked.method) &&
    (one.sourceNamespace === '' || one.sourceNamespace === asked.namespace) &&
    one.headers.every((each) => namedHolds(each, headers.get(each.name))) &&
    one.query.every((each) => namedHolds(each, first.get(each.name)))
  );
}

function pathHolds(wanted: PathMatch, actual: string): boolean {
  const fold = (text: string): string => (wanted.ignoreCase ? text.toLowerCase() : text);
  const [want, got] = [fold(wanted.value), fold(actual)];
  if (wanted.kind === 'exact') return got === want;
  if (wanted.kind === 'prefix') return got.startsWith(want);
  const bare = want.replace(/\/$/, '');
  return got === bare || got.startsWith(`${bare}/`);
}

function namedHolds({ match: wanted, invert }: NamedMatch, actual: string | null): boolean {
  if (wanted.kind === 'present') return (actual !== null) !== invert;
  if (actual === null && !invert) return false;
  const fold = (text: string): string => (wanted.ignoreCase ? text.toLowerCase() : text);
  const [want, got] = [fold(wanted.value), fold(actual ?? '')];
  const isHit =
    wanted.kind === 'exact' ? got === want : wanted.kind === 'prefix' ? got.startsWith(want) : got.endsWith(want);
  return isHit !== invert;
}

function routesOf(matches: readonly RouteMatch[]): ServiceRoutes {
  const origin = { kind: 'Service', namespace: 'a', name: 's', ruleName: null, place: null } as const;
  const rules = matches.map((_, rule) => plainRule({ ...origin, rule }, []));
  const entries = matches.map((one, rule) => ({ match: one, rule }));
  const port = { port: 80, protocol: 'http1', rules, entries, attached: true, tcpBackends: [] } as const;
  const destination = defaultDestination('a/s', null);
  return { service: 'a/s', ports: [port], destination, otherDestinations: [], serverTiming: false };
}

for (const [what, minLength, maxLength] of [
  ['short tables, tried in turn', 0, 8],
  ['long tables, looked up', 12, 60],
] as const) {
  test(`the first entry that holds: ${what}`, () => {
    fc.assert(
      fc.property(
        fc.array(match, { minLength, maxLength, size: 'max' }),
        fc.array(request, { minLength: 5, maxLength: 5 }),
        (matches, requests) => {
          const table = compileRoutes(routesOf(matches));
          for (const asked of requests) {
            const expected = matches.findIndex((one) => holds(one, asked));
            const line = requestOf(`${asked.method} ${asked.path}${asked.query}`, asked.headers);
            const hit = table.match(80, line, line.target, { workload: workloadOf(`${asked.namespace}/x`) }, null);
            assert.equal(hit?.rule.origin.rule ?? -1, expected);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
}

test('20,000 draws are within one point of the weights, and zero is never drawn', () => {
  let seed = 42;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  const backends = [70, 0, 25, 5].map((weight) => ({ weight }));
  const counts = new Map(backends.map((one) => [one, 0]));
  const draws = 20_000;
  for (let at = 0; at < draws; at++) {
    const one = drawBackend(backends, random())!;
    counts.set(one, counts.get(one)! + 1);
  }
  for (const [{ weight }, count] of counts) {
    const share = (count / draws) * 100;
    assert.ok(Math.abs(share - weight) < 1, `weight ${weight} got ${share} %`);
    if (weight === 0) assert.equal(count, 0);
  }
});
