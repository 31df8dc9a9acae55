// Policies of waypoints, compiled as they come and go, against a compile from scratch.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MeshCompiler } from './compiler.ts';
import type { Resource, ResourceMeta, WaypointTarget } from './resources.ts';
import type { ServiceRoutes } from './route-types.ts';
import { compileBySteps, compileStep, routeFollower } from './testing-incremental.ts';
import { jwtRuleOf } from './testing-jwt.ts';

const options = {
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  rootNamespaces: ['ambient-system', 'istio-system'],
  expandTemplates: false,
};

function meta(namespace: string, name: string, labels: Readonly<Record<string, string>> = {}): ResourceMeta {
  return {
    apiVersion: 'v1',
    namespace,
    name,
    uid: '',
    labels,
    annotations: {},
    creationTimestamp: null,
    deletionTimestamp: null,
    owners: [],
    places: { object: null, at: () => null },
    raw: {},
  };
}

// Few names, so that things meet.
const namespace = fc.constantFrom('a', 'a', 'b', 'ambient-system');
const name = fc.constantFrom('x', 'y');
const use = fc.constantFrom({}, { 'ambient.mesh/use-waypoint': 'x' }, { 'istio.io/use-waypoint': 'y' });
const space = fc
  .tuple(namespace, use)
  .map(([title, labels]): Resource => ({ ...meta('', title, labels), kind: 'Namespace' }));
const service = fc.tuple(namespace, name, use, fc.constantFrom(80, 81)).map(
  ([within, title, labels, port]): Resource => ({
    ...meta(within, title, labels),
    kind: 'Service',
    type: 'ClusterIP',
    clusterIps: ['10.96.0.1'],
    headless: false,
    selector: { app: title },
    ports: [{ name: 'http', port, protocol: 'TCP', targetPort: 8080, appProtocol: null, nodePort: 0 }],
    ipFamilies: ['IPv4'],
    trafficDistribution: null,
    internalTrafficPolicy: 'Cluster',
    publishNotReadyAddresses: false,
  }),
);
const traffic = fc.constantFrom(
  {},
  { 'ambient.mesh/waypoint-for': 'all' },
  { 'ambient.mesh/waypoint-for': 'workload' },
);
const gatewayClass = fc.constantFrom('ambient-waypoint', 'istio-waypoint', 'other');
const gateway = fc.tuple(namespace, name, gatewayClass, traffic).map(
  ([within, title, gatewayClassName, labels]): Resource => ({
    ...meta(within, title, labels),
    kind: 'Gateway',
    gatewayClassName,
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', from: 'Same', selector: {} }],
    infrastructure: { labels: {}, annotations: {}, parametersRef: null },
    addresses: ['10.96.0.9'],
  }),
);
const target: fc.Arbitrary<WaypointTarget> = fc.oneof(
  name.map((title) => ({ group: '', kind: 'Service', name: title, namespace: null })),
  name.map((title) => ({ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: title, namespace: null })),
  fc.constant({ group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio-waypoint', namespace: null }),
  fc.constant({ group: '', kind: 'Service', name: 'x', namespace: 'b' }),
);
const targets = fc.array(target, { maxLength: 2 });
const authorization = fc
  .tuple(namespace, name, targets, fc.constantFrom('ALLOW', 'DENY', 'AUDIT'), fc.constantFrom('GET', 'POST'))
  .map(
    ([within, title, where, action, method]): Resource => ({
      ...meta(within, title),
      kind: 'AuthorizationPolicy',
      selector: null,
      targets: where,
      action,
      rules: [{ from: null, to: [{ methods: [method] }], when: null }],
    }),
  );
const authentication = fc.tuple(namespace, name, targets, fc.constantFrom('https://a', '')).map(
  ([within, title, where, issuer]): Resource => ({
    ...meta(within, title),
    kind: 'RequestAuthentication',
    selector: null,
    targets: where,
    rules: [{ ...jwtRuleOf({ issuers: [issuer] }), outputClaimToHeaders: [] }],
  }),
);
const resource = fc.oneof(
  { weight: 3, arbitrary: service },
  { weight: 2, arbitrary: gateway },
  space,
  { weight: 3, arbitrary: authorization },
  { weight: 2, arbitrary: authentication },
);
const tablesOf = (routes: Iterable<ServiceRoutes>) =>
  Object.fromEntries([...routes].map((one) => [one.service, one]).sort());

function told(compiler: MeshCompiler) {
  const statuses = compiler.statuses().map((one) => `${one.kind} ${one.namespace}/${one.name} ${JSON.stringify(one)}`);
  const issues = compiler.issues().map((one) => `${one.kind} ${one.namespace}/${one.name}: ${one.message}`);
  return { statuses: statuses.sort(), issues: issues.sort() };
}

test('the incremental compile of waypoint policies equals one from scratch, for who follows it too', () => {
  fc.assert(
    fc.property(fc.array(compileStep(resource), { minLength: 1, maxLength: 50, size: 'max' }), (steps) => {
      const { follow, tables } = routeFollower();
      const { compiler, scratch } = compileBySteps(steps, options, follow);
      const wanted = tablesOf(scratch.mesh().routes ?? []);
      assert.deepEqual(tablesOf(compiler.mesh().routes ?? []), wanted);
      assert.deepEqual(tablesOf(tables.values()), wanted);
      assert.deepEqual(told(compiler), told(scratch));
    }),
    { numRuns: 200 },
  );
});
