// Routes that are invalid, meet each other, or come from another namespace: answers and conditions (l7.md §1.4.3, §1.6,
// §1.7).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from '../../kube/manifests.ts';
import { workloadOf } from '../../model/testing-mesh.ts';
import { compileRouteText, hitOf, outcomeOf, requestOf, serviceText } from './testing-routes.ts';

const services = ['echo', 'v1', 'v2', 'v1.other'].map((name) => serviceText(name, ['80/http', '7070/grpc'])).join('');

function route(given: {
  kind?: string;
  name?: string;
  namespace?: string;
  parent?: string;
  rules: string;
  group?: string;
}): string {
  const { kind = 'HTTPRoute', name = 'route', namespace = 'default', parent = 'name: echo', rules } = given;
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {namespace: ${namespace}, name: ${name}, generation: 4}
spec: {parentRefs: [{group: "", kind: Service, ${parent}}], rules: [${rules}]}
`;
}

const to = (name: string, more = ''): string => `{backendRefs: [{name: ${name}, port: 80${more}}]}`;

// [what, rule, status or backend, ResolvedRefs]
const invalidRows = [
  ['a backend that is not there', to('gone'), '500', 'BackendNotFound'],
  ['a port that is not there', '{backendRefs: [{name: v1, port: 81}]}', '500', 'BackendNotFound'],
  ['an unknown kind', '{backendRefs: [{group: x.io, kind: Bucket, name: v1}]}', '500', 'InvalidKind'],
  ['no backend', '{}', '500', 'ResolvedRefs'],
  ['all weights zero', to('v1', ', weight: 0'), '500', 'ResolvedRefs'],
  ['another namespace', to('v1', ', namespace: other'), 'v1', 'ResolvedRefs'],
  [
    'an extension filter',
    '{filters: [{type: ExtensionRef, extensionRef: {group: x.io, kind: Y, name: z}}], backendRefs: [{name: v1, port: 80}]}',
    '500',
    'InvalidKind',
  ],
] as const;
/** Filters that lead nowhere, on the rule or on the backend: [what, filter, status or backend, ResolvedRefs]. */
const extension = '{type: ExtensionRef, extensionRef: {group: x.io, kind: Y, name: z}}';
const mirrorOf = (name: string): string =>
  `{type: RequestMirror, requestMirror: {backendRef: {name: ${name}, port: 80}}}`;
const onBackend = (filter: string): string => `{backendRefs: [{name: v1, port: 80, filters: [${filter}]}]}`;
const filterRows = [
  ['a mirror that leads nowhere', `{filters: [${mirrorOf('gone')}], ${to('v1').slice(1)}`, 'v1', 'BackendNotFound'],
  ['a mirror of a backend that leads nowhere', onBackend(mirrorOf('gone')), 'v1', 'BackendNotFound'],
  ['an extension filter on a backend', onBackend(extension), '500', 'InvalidKind'],
] as const;
for (const [what, rule, expected, resolved] of [...invalidRows, ...filterRows]) {
  test(`HTTPRoute with ${what}`, () => {
    const compiled = compileRouteText(services + route({ rules: rule }));
    assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), expected);
    const [parent] = compiled.status('HTTPRoute', 'default/route').parents;
    const [accepted, refs] = parent!.conditions;
    assert.deepEqual([accepted?.type, accepted?.status, accepted?.observedGeneration], ['Accepted', 'True', 4]);
    assert.deepEqual([refs?.type, refs?.reason], ['ResolvedRefs', resolved]);
  });
}

const grants = (from: string): string => `---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {namespace: other, name: grant}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: ${from}}]
  to: [{group: "", kind: Service}]
`;

test('a namespace that grants references to some refuses others, until the grant goes', () => {
  const across = services + route({ rules: to('v1', ', namespace: other') });
  const outcome = (text: string): string => outcomeOf(hitOf(compileRouteText(text).table('echo'), 80, requestOf('/')));
  assert.equal(outcome(across + grants('default')), 'v1');
  assert.equal(outcome(across + grants('elsewhere')), '500');
  const refused = compileRouteText(across + grants('elsewhere')).status('HTTPRoute', 'default/route');
  assert.equal(refused.parents[0]?.conditions[1]?.reason, 'RefNotPermitted');
});

test('a weight of zero makes an invalid backend harmless; else its share alone suffers', () => {
  const mixed = (weight: number): string =>
    route({ rules: `{backendRefs: [{name: v1, port: 80, weight: 70}, {name: gone, port: 80, weight: ${weight}}]}` });
  const action = hitOf(compileRouteText(services + mixed(30)).table('echo'), 80, requestOf('/'))?.rule.action;
  assert.ok(action?.kind === 'forward');
  assert.deepEqual(
    action.backends.map((one) => [one.weight, one.invalid?.status ?? null]),
    [
      [70, null],
      [30, 500],
    ],
  );
});

const parentRows = [
  ['an unknown service', 'name: gone', 'NoMatchingParent'],
  ['an unknown port', 'name: echo, port: 81', 'NoMatchingParent'],
  ['an unknown port name', 'name: echo, sectionName: web', 'NoMatchingParent'],
] as const;
for (const [what, parent, reason] of parentRows) {
  test(`a parent: ${what}`, () => {
    const compiled = compileRouteText(services + route({ parent, rules: to('v1') }));
    const [accepted] = compiled.status('HTTPRoute', 'default/route').parents[0]!.conditions;
    assert.deepEqual([accepted?.status, accepted?.reason], ['False', reason]);
    assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), 'echo');
  });
}

for (const [what, spec] of [
  ['headless', '{clusterIP: None, selector: {app: odd}, ports: [{port: 80}]}'],
  ['ExternalName', '{type: ExternalName, externalName: a.example, ports: [{port: 80}]}'],
] as const) {
  test(`a Service that is ${what} is no parent`, () => {
    const odd = `---\n{apiVersion: v1, kind: Service, metadata: {name: odd}, spec: ${spec}}\n`;
    const compiled = compileRouteText(services + odd + route({ parent: 'name: odd', rules: to('v1') }));
    const [accepted] = compiled.status('HTTPRoute', 'default/route').parents[0]!.conditions;
    assert.deepEqual([accepted?.status, accepted?.reason], ['False', 'NoMatchingParent']);
    assert.match(accepted?.message ?? '', new RegExp(what));
  });
}

test('a new version of an object is what every condition is about', () => {
  const first = compileRouteText(services + route({ rules: to('v1') }));
  const [again] = readManifests([
    { text: route({ rules: to('v1') }).replace('generation: 4', 'generation: 5'), file: 'a' },
  ]).resources;
  first.compiler.upsert(again!);
  first.compiler.flush();
  const { parents } = first.compiler.statuses().find((one) => one.kind === 'HTTPRoute')!;
  assert.deepEqual(
    parents.flatMap((parent) => parent.conditions.map((one) => one.observedGeneration)),
    [5, 5, 5, 5],
  );
});

test('ports by number and by name', () => {
  const byName = compileRouteText(services + route({ parent: 'name: echo, sectionName: grpc', rules: to('v1') })).table(
    'echo',
  );
  assert.equal(outcomeOf(hitOf(byName, 7070, requestOf('/'))), 'v1');
  assert.equal(outcomeOf(hitOf(byName, 80, requestOf('/'))), 'echo');
});

test('a filter that is not supported refuses the route as a whole, by name', () => {
  const rules = `{filters: [{type: ExternalAuth, externalAuth: {}}], backendRefs: [{name: v1, port: 80}]}`;
  const compiled = compileRouteText(services + route({ rules }));
  const [accepted] = compiled.status('HTTPRoute', 'default/route').parents[0]!.conditions;
  assert.deepEqual([accepted?.status, accepted?.reason], ['False', 'UnsupportedValue']);
  assert.match(accepted?.message ?? '', /ExternalAuth/);
  assert.equal(compiled.issues.find((one) => one.severity === 'error')?.place?.line, 24 + 1);
  assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), 'echo');
});

test('a GRPCRoute has its ports to itself', () => {
  const both =
    route({ rules: to('v1') }) +
    route({ kind: 'GRPCRoute', name: 'calls', parent: 'name: echo, port: 7070', rules: to('v2') });
  const compiled = compileRouteText(services + both);
  assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), 'v1');
  assert.equal(outcomeOf(hitOf(compiled.table('echo'), 7070, requestOf('POST /a.B/C'))), 'v2');
  const losing =
    route({ parent: 'name: echo, port: 7070', rules: to('v1') }) +
    route({ kind: 'GRPCRoute', name: 'calls', rules: to('v2') });
  const [accepted] = compileRouteText(services + losing).status('HTTPRoute', 'default/route').parents[0]!.conditions;
  assert.equal(accepted?.reason, 'Conflicted');
});

test('a route of another namespace is for the clients there, and all they get', () => {
  const producer = route({ rules: `{matches: [{path: {value: /a}}], ${to('v1').slice(1)}` });
  const consumer = route({
    namespace: 'web',
    parent: 'name: echo, namespace: default',
    rules: `{matches: [{path: {value: /b}}], ${to('v2', ', namespace: default').slice(1)}`,
  });
  const outcome = (text: string, namespace: string, path: string): string =>
    outcomeOf(
      hitOf(compileRouteText(services + text).table('echo'), 80, requestOf(path), {
        workload: workloadOf(`${namespace}/x`),
      }),
    );
  assert.equal(outcome(producer + consumer, 'web', '/b'), 'v2');
  assert.equal(outcome(producer + consumer, 'web', '/a'), '404');
  assert.equal(outcome(producer + consumer, 'default', '/a'), 'v1');
  assert.equal(outcome(producer + consumer, 'default', '/b'), '404');
  assert.equal(outcome(consumer, 'default', '/b'), 'echo');
});

test('our own policies: limits add up, the older TrafficPolicy counts, each says what becomes of it', () => {
  const policy = (kind: string, name: string, spec: string, more = ''): string => `---
apiVersion: ambient.mesh/v1alpha1
kind: ${kind}
metadata: {name: ${name}${more}}
spec: ${spec}
`;
  const text = [
    route({ rules: to('v1') }),
    policy(
      'RateLimitPolicy',
      'all',
      '{targetRefs: [{kind: Service, name: echo}], limits: [{requests: 100, per: Minute, burst: 20}]}',
    ),
    policy(
      'RateLimitPolicy',
      'each',
      '{targetRefs: [{kind: HTTPRoute, name: route}], limits: [{requests: 5, by: [{type: Header, name: X-User}, {type: Identity}]}]}',
    ),
    policy(
      'TrafficPolicy',
      'new',
      '{targetRefs: [{kind: Service, name: echo}], healthPaths: [/new]}',
      ', creationTimestamp: "2026-01-02T00:00:00Z"',
    ),
    policy(
      'TrafficPolicy',
      'old',
      '{targetRefs: [{kind: Service, name: echo}], healthPaths: [/healthz], retryBudget: {percent: 10}, retries: {nonIdempotent: true}}',
      ', creationTimestamp: "2026-01-01T00:00:00Z"',
    ),
    policy('TrafficPolicy', 'lost', '{targetRefs: [{kind: HTTPRoute, name: gone}], retries: {nonIdempotent: true}}'),
  ].join('');
  const compiled = compileRouteText(services + text);
  const rule = hitOf(compiled.table('echo'), 80, requestOf('/'))!.rule;
  assert.deepEqual(rule.rateLimits, [
    {
      by: [{ kind: 'header', name: 'x-user' }, { kind: 'identity' }],
      requests: 5,
      perMs: 1000,
      burst: 5,
      policy: 'default/each',
    },
    { by: [{ kind: 'all' }], requests: 100, perMs: 60_000, burst: 20, policy: 'default/all' },
  ]);
  assert.equal(rule.retry.nonIdempotent, true);
  const { policy: called } = compiled.routes('echo').destination;
  assert.deepEqual([called.healthPaths, called.retryBudget.ratio], [['/healthz'], 0.1]);
  const reason = (name: string): string | undefined =>
    compiled.status('TrafficPolicy', `default/${name}`).conditions[0]?.reason;
  assert.deepEqual(['old', 'new', 'lost'].map(reason), ['Accepted', 'Conflicted', 'TargetNotFound']);
});
