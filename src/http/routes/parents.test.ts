// What a route may name as its parent, and how people write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from '../../kube/manifests.ts';
import { type CompiledRoutes, compileRouteText, hitOf, outcomeOf, requestOf, serviceText } from './testing-routes.ts';

const services = ['echo', 'v1'].map((name) => serviceText(name)).join('');
const gateway = (className: string): string => `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: entry}
spec: {gatewayClassName: ${className}, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
`;

function attached(parent: string, more = ''): CompiledRoutes {
  return compileRouteText(attachedText(`{${parent}}`, more));
}

function attachedText(parent: string, more = ''): string {
  return `${services}${more}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, generation: 3}
spec:
  parentRefs: [${parent}]
  rules: [{backendRefs: [{name: v1, port: 80}]}]
`;
}

const obeyed = [
  ['the core group by its name, which is empty', 'group: "", kind: Service, name: echo', ''],
  // https://gateway-api.sigs.k8s.io/docs/mesh/mesh-overview/
  ['the core group as the documentation of Gateway API calls it', 'group: core, kind: Service, name: echo', 'core'],
  // The tasks of Istio 1.16 to 1.20; an API server fills the default in.
  ['no group', 'kind: Service, name: echo', 'gateway.networking.k8s.io'],
  [
    'the group that is the default',
    'group: gateway.networking.k8s.io, kind: Service, name: echo',
    'gateway.networking.k8s.io',
  ],
] as const;
for (const [what, parent, group] of obeyed) {
  test(`a Service with ${what}`, () => {
    const compiled = attached(parent);
    assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), 'v1');
    assert.deepEqual(compiled.issues, []);
    const [status] = compiled.status('HTTPRoute', 'default/route').parents;
    // Others find the parent by what was written.
    assert.equal(status?.parentRef.group, group);
    assert.equal(status?.conditions[0]?.reason, 'Accepted');
  });
}

const entry = 'name: entry';

test('a waypoint is no parent, and says so in the route’s conditions', () => {
  const compiled = attached(entry, gateway('ambient-waypoint'));
  assert.equal(outcomeOf(hitOf(compiled.table('echo'), 80, requestOf('/'))), 'echo');
  const [status] = compiled.status('HTTPRoute', 'default/route').parents;
  assert.deepEqual(
    status?.conditions.map((one) => `${one.type} ${one.status} ${one.reason} ${one.observedGeneration}`),
    [
      'Accepted False NotAllowedByListeners 3',
      'ResolvedRefs True ResolvedRefs 3',
      'WaypointAccepted False Invalid 3',
      'Programmed False Invalid 3',
    ],
  );
  assert.equal(compiled.issues.find((one) => one.kind === 'HTTPRoute')?.severity, 'warning');
});

const foreign = [
  ['another Gateway', entry, gateway('nginx')],
  ['a Gateway that is not there', entry, ''],
  ['a ServiceImport', 'group: multicluster.x-k8s.io, kind: ServiceImport, name: echo', ''],
  ['a ServiceEntry', 'group: networking.istio.io, kind: ServiceEntry, name: echo', ''],
] as const;
for (const [what, parent, more] of foreign) {
  test(`${what} belongs to somebody else, who sets its conditions`, () => {
    const compiled = attached(parent, more);
    assert.deepEqual(compiled.status('HTTPRoute', 'default/route').parents, []);
    const [said] = compiled.issues.filter((one) => one.kind === 'HTTPRoute');
    assert.equal(said?.severity, 'info');
    assert.match(said?.message ?? '', /is not for the mesh: waypoints obey routes of a Service/);
  });
}

test('a Gateway that turns into a waypoint is noticed', () => {
  const compiled = attached(entry, gateway('nginx'));
  const { compiler } = compiled;
  const [before] = compiler.statuses().filter((one) => one.kind === 'HTTPRoute');
  assert.deepEqual(before?.parents, []);
  const [waypoint] = readManifests([{ text: gateway('ambient-waypoint'), file: 'later.yaml' }]).resources;
  compiler.upsert(waypoint!);
  compiler.flush();
  const [after] = compiler.statuses().filter((one) => one.kind === 'HTTPRoute');
  assert.equal(after?.parents[0]?.conditions[0]?.reason, 'NotAllowedByListeners');
});

test('a route without a parent is told so', () => {
  const text = attachedText('');
  const { issues } = compileRouteText(text);
  assert.deepEqual(
    issues.map((one) => `${one.severity} ${one.message}`),
    ['warning names no parent: it holds for nothing'],
  );
});
