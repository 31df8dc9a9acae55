// VirtualService and DestinationRule from manifest to match (l7.md §3).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadOf } from '../../model/testing-mesh.ts';
import { compileRouteText, hitOf, nobody, outcomeOf, requestOf, serviceText } from './testing-routes.ts';

const services = ['echo', 'v1', 'v2'].map((name) => serviceText(name)).join('');

function virtualText(http: string, more = '', name = 'echo', spec = 'hosts: [echo]'): string {
  return `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}${more}}
spec:
  ${spec}
  http:
${http.replace(/^/gm, '  ')}
`;
}

const to = (host: string): string => `route: [{destination: {host: ${host}}}]`;

const rows: readonly [title: string, http: string, requests: readonly (readonly string[])[]][] = [
  [
    'a prefix is one of the string',
    `- {match: [{uri: {prefix: /v1}}], ${to('v1')}}\n- {match: [{uri: {exact: /two}}], ${to('v2')}}`,
    [
      ['/v1', 'v1'],
      ['/v1beta/x', 'v1'],
      ['/two', 'v2'],
      ['/two/', '404'],
      ['/', '404'],
    ],
  ],
  [
    'in order, and what takes everything ends it',
    [
      `- {match: [{uri: {prefix: /a}}], ${to('v1')}}`,
      `- {match: [{uri: {prefix: /a/b}}], ${to('v2')}}`,
      `- {${to('v2')}}`,
      `- {match: [{uri: {prefix: /c}}], ${to('v1')}}`,
    ].join('\n'),
    [
      ['/a/b', 'v1'],
      ['/c', 'v2'],
    ],
  ],
  [
    'case of paths',
    [
      `- {match: [{uri: {prefix: /Api}, ignoreUriCase: true}], ${to('v1')}}`,
      `- {match: [{uri: {exact: /Exact}}], ${to('v2')}}`,
    ].join('\n'),
    [
      ['/aPI/x', 'v1'],
      ['/exact', '404'],
      ['/Exact', 'v2'],
    ],
  ],
  [
    'headers: exact, prefix, regex, presence',
    [
      `- {match: [{headers: {end-user: {exact: jason}}}], ${to('v1')}}`,
      `- {match: [{headers: {x-kind: {prefix: can}}}], ${to('v2')}}`,
      `- {match: [{headers: {cookie: {regex: "^(.*?;)?(user=jason)(;.*)?$"}}}], ${to('v1')}}`,
      `- {match: [{headers: {x-any: {}}}], ${to('v2')}}`,
      `- {match: [{headers: {x-star: {regex: "*"}}}], ${to('v1')}}`,
      `- {match: [{headers: {":method": {exact: DELETE}}}], ${to('v1')}}`,
    ].join('\n'),
    [
      ['/', 'v1', 'End-User: jason'],
      ['/', '404', 'End-User: jasons'],
      ['/', 'v2', 'x-kind: canary'],
      ['/', 'v1', 'cookie: a=b;user=jason'],
      ['/', 'v2', 'x-any:'],
      ['/', 'v1', 'x-star: 1'],
      ['DELETE /', 'v1'],
      ['/', '404'],
    ],
  ],
  [
    'withoutHeaders exact',
    `- {match: [{withoutHeaders: {x-custom: {exact: jason}}}], ${to('v1')}}`,
    [
      ['/', 'v1'],
      ['/', 'v1', 'x-custom: other'],
      ['/', '404', 'x-custom: jason'],
    ],
  ],
  [
    'withoutHeaders presence',
    `- {match: [{withoutHeaders: {x-custom: {regex: "*"}}}], ${to('v1')}}`,
    [
      ['/', 'v1'],
      ['/', '404', 'x-custom:'],
    ],
  ],
  [
    'withoutHeaders with a regex that takes what is missing',
    `- {match: [{withoutHeaders: {x-custom: {regex: ".*"}}}], ${to('v1')}}`,
    [['/', '404']],
  ],
  [
    'query, method, authority, scheme',
    [
      `- {match: [{queryParams: {v: {exact: "1"}}}], ${to('v1')}}`,
      `- {match: [{queryParams: {flag: {}}}], ${to('v2')}}`,
      `- {match: [{method: {exact: PUT}}], ${to('v1')}}`,
      `- {match: [{authority: {prefix: beta.}}], ${to('v2')}}`,
      `- {match: [{scheme: {exact: https}}], ${to('v1')}}`,
    ].join('\n'),
    [
      ['/?v=1', 'v1'],
      ['/?v=12', '404'],
      ['/?a=b&flag', 'v2'],
      ['PUT /', 'v1'],
      ['/', 'v2', 'Host: beta.example'],
      ['/', '404'],
    ],
  ],
  [
    'several branches, of which one has to hold wholly',
    `- {match: [{uri: {prefix: /a}, method: {exact: POST}}, {headers: {b: {exact: c}}}], ${to('v1')}}`,
    [
      ['POST /a', 'v1'],
      ['GET /a', '404'],
      ['GET /', 'v1', 'b: c'],
    ],
  ],
];
for (const [title, http, requests] of rows) {
  test(`VirtualService: ${title}`, () => {
    const table = compileRouteText(services + virtualText(http)).table('echo');
    for (const [line = '', expected, ...headers] of requests) {
      assert.equal(outcomeOf(hitOf(table, 80, requestOf(line, headers))), expected, `${line} ${headers.join(', ')}`);
    }
  });
}

test('claims of a token, one by one or in a list', () => {
  const http = `- {match: [{headers: {"@request.auth.claims[groups]": {exact: admin}}}], ${to('v1')}}
- {match: [{headers: {"@request.auth.claims[nested][key]": {prefix: a}}}], ${to('v2')}}`;
  const table = compileRouteText(services + virtualText(http)).table('echo');
  const outcome = (claims: Record<string, unknown> | null): string =>
    outcomeOf(hitOf(table, 80, requestOf('/'), nobody, claims));
  assert.equal(outcome({ groups: ['user', 'admin'] }), 'v1');
  assert.equal(outcome({ groups: 'admin' }), 'v1');
  assert.equal(outcome({ groups: ['user'], nested: { key: 'abc' } }), 'v2');
  assert.equal(outcome({ groups: 'user' }), '404');
  assert.equal(outcome(null), '404');
});

test('the client: its namespace and labels', () => {
  const http = `- {match: [{sourceNamespace: other}], ${to('v1')}}
- {match: [{sourceLabels: {app: web, version: v7}}], ${to('v2')}}`;
  const table = compileRouteText(services + virtualText(http)).table('echo');
  const outcome = (given: Parameters<typeof workloadOf>[1], title: string): string =>
    outcomeOf(hitOf(table, 80, requestOf('/'), { workload: workloadOf(title, given) }));
  assert.equal(outcome({}, 'other/x'), 'v1');
  assert.equal(outcome({ canonicalName: 'web', canonicalRevision: 'v7' }, 'default/x'), 'v2');
  assert.equal(outcome({ labels: { app: 'web', version: 'v7' } }, 'default/x'), 'v2');
  assert.equal(outcome({ canonicalName: 'web', canonicalRevision: 'v8' }, 'default/x'), '404');
  assert.equal(outcomeOf(hitOf(table, 80, requestOf('/'))), '404');
});

test('all VirtualServices of a host are merged, the oldest first', () => {
  const older = ', creationTimestamp: "2026-01-01T00:00:00Z"';
  const newer = ', creationTimestamp: "2026-01-02T00:00:00Z"';
  const rules = (host: string, path: string): string => `- {match: [{uri: {prefix: ${path}}}], ${to(host)}}`;
  const text =
    virtualText(`${rules('v1', '/a')}\n${rules('v1', '/b')}`, newer, 'one') +
    virtualText(rules('v2', '/a'), older, 'two');
  const table = compileRouteText(services + text).table('echo');
  assert.equal(outcomeOf(hitOf(table, 80, requestOf('/a'))), 'v2');
  assert.equal(outcomeOf(hitOf(table, 80, requestOf('/b'))), 'v1');
});

test('what does not hold within the mesh, and what is not there', () => {
  const outside = virtualText(`- {${to('v1')}}`, '', 'gate', 'hosts: [echo]\n  gateways: [edge]');
  assert.equal(outcomeOf(hitOf(compileRouteText(services + outside).table('echo'), 80, requestOf('/'))), 'echo');
  const gone = compileRouteText(services + virtualText(`- {${to('gone')}}`));
  assert.equal(outcomeOf(hitOf(gone.table('echo'), 80, requestOf('/'))), '503');
  assert.match(gone.issues.map((one) => one.message).join('\n'), /gone.default.svc.cluster.local is no service/);
  assert.equal(gone.issues[0]?.place?.line, 23);
  const reason = (kind: string): string | undefined =>
    gone.status('VirtualService', 'default/echo').conditions.find((one) => one.type === kind)?.reason;
  assert.deepEqual(['Accepted', 'ResolvedRefs', 'WaypointAccepted', 'Programmed'].map(reason), [
    'Accepted',
    'BackendNotFound',
    'AncestorNotBound',
    'NoResources',
  ]);
  const wild = virtualText(`- {${to('v1')}}`, '', 'all', 'hosts: ["*.default.svc.cluster.local"]');
  assert.equal(outcomeOf(hitOf(compileRouteText(services + wild).table('v2'), 80, requestOf('/'))), 'v1');
});

test('ports of matches and of destinations', () => {
  const two = serviceText('two', ['80/http', '90/http-more']);
  const http = `- {match: [{port: 90, uri: {prefix: /}}], ${to('v1')}}\n- {match: [{uri: {prefix: /}}], ${to('two')}}`;
  const table = compileRouteText(services + two + virtualText(http, '', 'two', 'hosts: [two]')).table('two');
  const portOf = (port: number): number | undefined => {
    const action = hitOf(table, port, requestOf('/'))?.rule.action;
    return action?.kind === 'forward' ? action.backends[0]?.port : undefined;
  };
  assert.equal(outcomeOf(hitOf(table, 90, requestOf('/'))), 'v1');
  assert.equal(portOf(90), 80);
  assert.equal(outcomeOf(hitOf(table, 80, requestOf('/'))), 'two');
  assert.equal(portOf(80), 80);
});

const delegated = virtualText(
  '- {match: [{uri: {prefix: /api}}], delegate: {name: child}, timeout: 5s}\n- {route: [{destination: {host: v2}}]}',
);
const childText = (http: string): string => virtualText(http, '', 'child', 'exportTo: ["."]');

test('a delegate: its matches within those of the root, and what it does not say from there', () => {
  const child = childText(
    [
      `- {match: [{uri: {exact: /api/one}}], ${to('v1')}}`,
      `- {match: [{uri: {prefix: /other}}], ${to('v2')}}`,
      `- {match: [{headers: {x: {exact: y}}}], ${to('echo')}, timeout: 1s}`,
      `- {match: [{uri: {regex: "/api/.*"}}], ${to('v2')}}`,
    ].join('\n'),
  );
  const compiled = compileRouteText(services + delegated + child);
  const table = compiled.table('echo');
  const hit = hitOf(table, 80, requestOf('/api/one'));
  assert.equal(outcomeOf(hit), 'v1');
  assert.equal(hit?.rule.timeouts.requestMs, 5000);
  assert.equal(hit?.rule.origin.name, 'child');
  assert.equal(outcomeOf(hitOf(table, 80, requestOf('/other'))), 'v2');
  const inner = hitOf(table, 80, requestOf('/api/x', ['x: y']));
  assert.equal(outcomeOf(inner), 'echo');
  assert.equal(inner?.rule.timeouts.requestMs, 1000);
  assert.equal(hitOf(table, 80, requestOf('/api/zwei'))?.rule.origin.name, 'echo');
  const dropped = compiled.issues.filter((one) => one.message.includes('left out'));
  assert.deepEqual(
    dropped.map((one) => one.message.replace(/.*rule (\d) of the delegate.*/, '$1')),
    ['1', '3'],
  );
});

test('a delegate without matches has those of the root; one that is not there is named', () => {
  const found = compileRouteText(services + delegated + childText(`- {${to('v1')}}`)).table('echo');
  assert.equal(outcomeOf(hitOf(found, 80, requestOf('/api/x'))), 'v1');
  assert.equal(outcomeOf(hitOf(found, 80, requestOf('/x'))), 'v2');
  const missing = compileRouteText(services + delegated);
  assert.match(missing.issues[0]?.message ?? '', /delegate VirtualService default\/child is not there/);
  assert.equal(outcomeOf(hitOf(missing.table('echo'), 80, requestOf('/api/x'))), 'v2');
});
