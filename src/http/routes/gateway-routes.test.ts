// HTTPRoute and GRPCRoute from manifest to match: the tables of Gateway API's conformance tests (l7.md §1.3, §1.4).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRouteText, hitOf, outcomeOf, requestOf, serviceText } from './testing-routes.ts';

const services = ['echo', 'v1', 'v2', 'v3']
  .map((name) => serviceText(name, ['80/http', '8080/http-alt', '7070/grpc']))
  .join('');

/** An HTTPRoute on `echo`; each rule as `MATCHES => BACKEND` in flow style. */
function routeText(rules: readonly string[], kind = 'HTTPRoute', name = 'route', more = ''): string {
  const list = rules.map((rule) => {
    const [matches = '', backend = ''] = rule.split(' => ');
    return `    - {${matches === '' ? '' : `matches: [${matches}], `}backendRefs: [{name: ${backend}, port: 8080}]}`;
  });
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}${more}}
spec:
  parentRefs: [{group: "", kind: Service, name: echo}]
  rules:
${list.join('\n')}
`;
}

const prefix = (value: string): string => `path: {type: PathPrefix, value: ${value}}`;
const exact = (value: string): string => `path: {type: Exact, value: ${value}}`;
const header = (value: string): string =>
  `headers: [${value
    .split(',')
    .map((one) => `{name: ${one.split(':')[0]}, value: ${one.split(':')[1]}}`)
    .join(', ')}]`;
const query = (value: string): string =>
  `queryParams: [${value
    .split('&')
    .map((one) => `{name: ${one.split('=')[0]}, value: ${one.split('=')[1]}}`)
    .join(', ')}]`;

const kraken = [prefix('/path4'), header('version:three'), query('animal=kraken')].join(', ');
const tables: readonly [title: string, rules: readonly string[], requests: readonly (readonly string[])[]][] = [
  [
    'matching',
    [`{${prefix('/')}}, {${header('version:one')}} => v1`, `{${prefix('/v2')}}, {${header('version:two')}} => v2`],
    [
      ['/', 'v1'],
      ['/example', 'v1'],
      ['/', 'v1', 'Version: one'],
      ['/v2', 'v2'],
      ['/v2/example', 'v2'],
      ['/', 'v2', 'Version: two'],
      ['/v2/', 'v2'],
      ['/v2example', 'v1'],
      ['/foo/v2/example', 'v1'],
    ],
  ],
  [
    'exact paths',
    [`{${exact('/one')}} => v1`, `{${exact('/two')}} => v2`],
    [
      ['/one', 'v1'],
      ['/two', 'v2'],
      ['/one?a=b', 'v1'],
      ['/', '404'],
      ['/one/example', '404'],
      ['/two/', '404'],
      ['/Two', '404'],
    ],
  ],
  [
    'headers',
    [
      `{${header('version:one')}} => v1`,
      `{${header('version:two')}} => v2`,
      `{${header('version:two,color:orange')}} => v1`,
      `{${header('color:blue')}}, {${header('color:green')}} => v1`,
      `{${header('color:red')}}, {${header('color:yellow')}} => v2`,
    ],
    [
      ['/', 'v1', 'Version: one'],
      ['/', 'v2', 'Version: two'],
      ['/', 'v1', 'Version: two', 'Color: orange'],
      ['/', 'v2', 'Version: two', 'Color: blue'],
      ['/', '404', 'Color: orange'],
      ['/', '404', 'Some-Other-Header: one'],
      ['/', 'v1', 'Color: blue'],
      ['/', 'v1', 'Color: green'],
      ['/', 'v2', 'Color: red'],
      ['/', 'v2', 'Color: yellow'],
      ['/', '404', 'Color: purple'],
    ],
  ],
  [
    'methods',
    [
      '{method: POST} => v1',
      '{method: GET} => v2',
      `{${prefix('/path1')}, method: GET} => v1`,
      `{method: PUT, ${header('version:one')}} => v2`,
      `{${prefix('/path2')}, method: POST, ${header('version:two')}} => v3`,
      `{${prefix('/path3')}, method: PATCH}, {${prefix('/path4')}, method: DELETE, ${header('version:three')}} => v1`,
      `{${prefix('/path5')}} => v1`,
      '{method: PATCH} => v2',
      `{${header('version:four')}} => v3`,
    ],
    [
      ['POST /', 'v1'],
      ['GET /', 'v2'],
      ['HEAD /', '404'],
      ['GET /path1', 'v1'],
      ['PUT /', 'v2', 'version: one'],
      ['POST /path2', 'v3', 'version: two'],
      ['PATCH /path3', 'v1'],
      ['DELETE /path4', 'v1', 'version: three'],
      ['PUT /', '404'],
      ['DELETE /path4', '404'],
      ['PATCH /path5', 'v1'],
      ['PATCH /', 'v2', 'version: four'],
    ],
  ],
  [
    'query parameters',
    [
      `{${query('animal=whale')}} => v1`,
      `{${query('animal=dolphin')}} => v2`,
      `{${query('animal=dolphin&color=blue')}}, {${query('ANIMAL=Whale')}} => v3`,
      `{${prefix('/path1')}, ${query('animal=whale')}} => v1`,
      `{${header('version:one')}, ${query('animal=whale')}} => v2`,
      `{${prefix('/path2')}, ${header('version:two')}, ${query('animal=whale')}} => v3`,
      `{${prefix('/path3')}, ${query('animal=shark')}}, {${kraken}} => v1`,
      `{${prefix('/path5')}} => v1`,
      `{${query('animal=hydra')}} => v2`,
      `{${header('version:four')}} => v3`,
    ],
    [
      ['/?animal=whale', 'v1'],
      ['/?animal=dolphin', 'v2'],
      ['/?animal=whale&otherparam=irrelevant', 'v1'],
      ['/?animal=dolphin&color=yellow', 'v2'],
      ['/?animal=dolphin&color=blue', 'v3'],
      ['/?ANIMAL=Whale', 'v3'],
      ['/?color=blue', '404'],
      ['/?animal=dog', '404'],
      ['/?animal=whaledolphin', '404'],
      ['/', '404'],
      ['/path1?animal=whale', 'v1'],
      ['/?animal=whale', 'v2', 'version: one'],
      ['/path2?animal=whale', 'v3', 'version: two'],
      ['/path3?animal=shark', 'v1'],
      ['/path4?animal=kraken', 'v1', 'version: three'],
      ['/?animal=shark', '404'],
      ['/path4?animal=kraken', '404'],
      ['/path5?animal=hydra', 'v1'],
      ['/?animal=hydra', 'v3', 'version: four'],
      ['/?xanimal=whale', '404'],
      ['/?animal=dog&animal=whale', '404'],
    ],
  ],
  [
    'order of paths',
    [
      `{${exact('/match')}} => v1`,
      `{${exact('/match/exact')}} => v2`,
      `{${exact('/match/exact/one')}} => v3`,
      `{${prefix('/match/')}} => v3`,
      `{${prefix('/match/prefix/')}} => v1`,
      `{${prefix('/match/prefix/one')}} => v2`,
    ],
    [
      ['/match', 'v1'],
      ['/match/exact', 'v2'],
      ['/match/exact/one', 'v3'],
      ['/match/prefix/one/any', 'v2'],
      ['/match/prefix/any', 'v1'],
      ['/match/any', 'v3'],
    ],
  ],
  [
    'kinds of paths',
    [
      '{path: {type: RegularExpression, value: "/a/.*"}} => v1',
      `{${prefix('/a')}, ${header('x:one')}, method: GET} => v2`,
      `{${prefix('/a/b')}} => v3`,
    ],
    [
      ['/a/b', 'v3'],
      ['/a/c', 'v2', 'x: one'],
      ['/a/c', 'v1'],
      ['/a', '404'],
    ],
  ],
];
for (const [title, rules, requests] of tables) {
  test(`HTTPRoute: ${title}`, () => {
    const table = compileRouteText(services + routeText(rules)).table('echo');
    for (const [line = '', expected, ...headers] of requests) {
      assert.equal(outcomeOf(hitOf(table, 80, requestOf(line, headers))), expected, `${line} ${headers.join(', ')}`);
    }
  });
}

test('GRPCRoute: methods, headers, misses', () => {
  const rules = [
    '{method: {service: grpc.Echo, method: Echo}} => v1',
    '{method: {service: grpc.Echo, method: EchoTwo}} => v2',
    '{method: {service: grpc.Other}} => v3',
    '{method: {method: Ping}} => v2',
    '{method: {type: RegularExpression, service: "x\\\\.[a-z]+", method: Get}} => v1',
  ];
  const table = compileRouteText(services + routeText(rules, 'GRPCRoute')).table('echo');
  const outcome = (path: string): string => outcomeOf(hitOf(table, 7070, requestOf(`POST ${path}`)));
  assert.equal(outcome('/grpc.Echo/Echo'), 'v1');
  assert.equal(outcome('/grpc.Echo/EchoTwo'), 'v2');
  assert.equal(outcome('/grpc.Echo/EchoThree'), '404');
  assert.equal(outcome('/grpc.Other/Anything'), 'v3');
  assert.equal(outcome('/a.b.C/Ping'), 'v2');
  assert.equal(outcome('/x.abc/Get'), 'v1');
  assert.equal(outcome('/x-abc/Get'), '404');
  assert.equal(hitOf(table, 7070, requestOf('POST /grpc.Echo/Echo'))?.rule.grpc, true);
});

test('GRPCRoute: characters of the service, then of the method, then headers', () => {
  const rules = [
    `{${header('a:one,b:two')}} => v1`,
    '{method: {method: Ping}} => v2',
    '{method: {service: a.Longer}} => v3',
    `{method: {service: a.Longer, method: Ping}} => v1`,
    `{method: {service: a.Longer, method: Ping}, ${header('a:one')}} => v2`,
  ];
  const table = compileRouteText(services + routeText(rules, 'GRPCRoute')).table('echo');
  const outcome = (path: string, ...headers: string[]): string =>
    outcomeOf(hitOf(table, 7070, requestOf(`POST ${path}`, headers)));
  assert.equal(outcome('/a.Longer/Ping', 'a: one', 'b: two'), 'v2');
  assert.equal(outcome('/a.Longer/Ping'), 'v1');
  assert.equal(outcome('/a.Longer/Pong', 'a: one', 'b: two'), 'v3');
  assert.equal(outcome('/a.B/Ping', 'a: one', 'b: two'), 'v2');
  assert.equal(outcome('/a.B/Pong', 'a: one', 'b: two'), 'v1');
  assert.equal(outcome('/a.B/Pong'), '404');
});

test('age, then name, then order decide between equals', () => {
  const older = ', creationTimestamp: "2026-01-01T00:00:00Z"';
  const newer = ', creationTimestamp: "2026-01-02T00:00:00Z"';
  const outcome = (text: string): string =>
    outcomeOf(hitOf(compileRouteText(services + text).table('echo'), 80, requestOf('/')));
  assert.equal(
    outcome(routeText([' => v1'], 'HTTPRoute', 'a', newer) + routeText([' => v2'], 'HTTPRoute', 'b', older)),
    'v2',
  );
  assert.equal(
    outcome(routeText([' => v1'], 'HTTPRoute', 'b', older) + routeText([' => v2'], 'HTTPRoute', 'a', older)),
    'v2',
  );
  assert.equal(outcome(routeText([' => v1', ' => v2'])), 'v1');
});

test('a service without routes is its own backend, on every port', () => {
  const compiled = compileRouteText(services);
  assert.deepEqual(compiled.compiler.mesh().routes, []);
  const table = compiled.table('echo');
  for (const port of [80, 8080, 7070]) assert.equal(outcomeOf(hitOf(table, port, requestOf('/any'))), 'echo');
  assert.equal(table.port(80)?.attached, false);
  assert.equal(hitOf(table, 9999, requestOf('/')), null);
});
