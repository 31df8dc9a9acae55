// Routes: the incremental compile against one from scratch, over generated changes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MeshCompiler } from '../model/compiler.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import { compileBySteps, compileStep, routeFollower } from '../model/testing-incremental.ts';
import { readManifests } from './manifests.ts';

const options = {
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  rootNamespaces: ['ambient-system', 'istio-system'],
  expandTemplates: true,
};

/** Reads an object as a manifest; few names, so that things meet. */
function read(
  apiVersion: string,
  kind: string,
  namespace: string,
  name: string,
  spec: object,
  more: object = {},
): Resource {
  const object = { apiVersion, kind, metadata: { namespace, name, ...more }, spec };
  return readManifests([{ text: JSON.stringify(object), file: 'test.json' }]).resources[0]!;
}

const namespace = fc.constantFrom('a', 'a', 'b', 'istio-system');
const name = fc.constantFrom('x', 'y');
const time = fc.constantFrom({}, { creationTimestamp: '2026-01-01T00:00:00Z' }, { generation: 3 });
const port = fc.constantFrom(80, 90);
const host = fc.constantFrom('x', 'y', 'x.b', 'x.a.svc.cluster.local', '*.a.svc.cluster.local', '*', 'other.example');

const service = fc
  .tuple(
    fc.constantFrom('a', 'a', 'b'),
    name,
    fc.subarray([80, 90], { minLength: 1 }),
    fc.constantFrom({}, { clusterIP: 'None' }, { trafficDistribution: 'PreferClose' }),
    fc.constantFrom({}, { annotations: { 'ambient.mesh/server-timing': 'true' } }),
  )
  .map(([space, title, ports, spec, more]) => {
    const list = ports.map((one) => ({ name: `http-${one}`, port: one }));
    return read('v1', 'Service', space, title, { ports: list, selector: { app: 'x' }, ...spec }, more);
  });
const shares = fc.constantFrom({}, { 'ambient.mesh/trace-sampling-percent': '5' });
const spaceObject = fc
  .tuple(fc.constantFrom('a', 'b'), shares)
  .map(([title, annotations]) => read('v1', 'Namespace', '', title, {}, { annotations }));
const pod = fc
  .tuple(fc.constantFrom('a', 'b'), name, fc.constantFrom({}, { app: 'x' }, { app: 'x', version: 'v1' }))
  .map(([space, title, labels]) => read('v1', 'Pod', space, title, { containers: [] }, { labels }));
const backend = fc.record({ name, namespace: fc.constantFrom('a', 'b'), port, weight: fc.nat(1) });
const gatewayMatch = fc.record({
  path: fc.constantFrom({ value: '/' }, { value: '/one' }, { type: 'Exact', value: '/two' }),
});
const parent = fc.record({
  group: fc.constant(''),
  kind: fc.constant('Service'),
  name,
  namespace: fc.constantFrom('a', 'b'),
});
const gatewayRoute = fc
  .tuple(
    fc.constantFrom('HTTPRoute', 'HTTPRoute', 'GRPCRoute'),
    namespace,
    name,
    fc.array(parent, { minLength: 1, maxLength: 2 }),
    fc.array(
      fc.record({
        matches: fc.array(gatewayMatch, { maxLength: 2 }),
        backendRefs: fc.array(backend, { maxLength: 2 }),
      }),
      {
        minLength: 1,
        maxLength: 2,
      },
    ),
    time,
  )
  .map(([kind, space, title, parentRefs, rules, more]) => {
    const own = kind === 'GRPCRoute' ? rules.map(({ backendRefs }) => ({ backendRefs })) : rules;
    return read('gateway.networking.k8s.io/v1', kind, space, title, { parentRefs, rules: own }, more);
  });
const grant = fc
  .tuple(fc.constantFrom('a', 'b'), name, fc.constantFrom('a', 'b'), fc.boolean())
  .map(([space, title, from, named]) =>
    read('gateway.networking.k8s.io/v1beta1', 'ReferenceGrant', space, title, {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: from }],
      to: [{ group: '', kind: 'Service', ...(named ? { name: 'x' } : {}) }],
    }),
  );
const destination = fc.record({ host, subset: fc.constantFrom('', 'v1', 'v2') });
const virtualRule = fc.oneof(
  fc
    .record({ destination, prefix: fc.constantFrom('/', '/one'), sourceLabels: fc.constantFrom({}, { app: 'x' }) })
    .map((one) => ({
      match: [{ uri: { prefix: one.prefix }, sourceLabels: one.sourceLabels }],
      route: [{ destination: one.destination }],
    })),
  fc.record({ destination }).map((one) => ({ route: [one] })),
  fc.record({ name, namespace: fc.constantFrom('a', 'b') }).map((delegate) => ({ delegate })),
);
const virtual = fc
  .tuple(
    namespace,
    name,
    fc.array(host, { minLength: 1, maxLength: 2 }),
    fc.array(virtualRule, { minLength: 1, maxLength: 3 }),
    time,
  )
  .map(([space, title, hosts, http, more]) =>
    read('networking.istio.io/v1', 'VirtualService', space, title, { hosts, http }, more),
  );
const delegate = fc
  .tuple(namespace, name, destination)
  .map(([space, title, one]) =>
    read('networking.istio.io/v1', 'VirtualService', space, title, { http: [{ route: [{ destination: one }] }] }),
  );
const rule = fc
  .tuple(namespace, name, host, fc.subarray(['v1', 'v2']), fc.boolean(), time)
  .map(([space, title, one, subsets, hasPolicy, more]) =>
    read(
      'networking.istio.io/v1beta1',
      'DestinationRule',
      space,
      title,
      {
        host: one,
        subsets: subsets.map((each) => ({ name: each, labels: { version: each } })),
        ...(hasPolicy ? { trafficPolicy: { outlierDetection: {} } } : {}),
      },
      more,
    ),
  );
const target = fc.oneof(
  name.map((one) => ({ kind: 'Service', name: one })),
  name.map((one) => ({ kind: 'HTTPRoute', name: one })),
  name.map((one) => ({ kind: 'VirtualService', name: one })),
);
const policy = fc
  .tuple(fc.constantFrom('a', 'b'), name, target, fc.boolean(), time)
  .map(([space, title, one, isLimit, more]) =>
    isLimit
      ? read(
          'ambient.mesh/v1alpha1',
          'RateLimitPolicy',
          space,
          title,
          { targetRefs: [one], limits: [{ requests: 5 }] },
          more,
        )
      : read(
          'ambient.mesh/v1alpha1',
          'TrafficPolicy',
          space,
          title,
          { targetRefs: [one], retries: { nonIdempotent: true } },
          more,
        ),
  );
const resource = fc.oneof(
  { weight: 3, arbitrary: service },
  spaceObject,
  { weight: 2, arbitrary: pod },
  { weight: 3, arbitrary: gatewayRoute },
  { weight: 3, arbitrary: virtual },
  delegate,
  { weight: 2, arbitrary: rule },
  grant,
  policy,
);
function stateOf(compiler: MeshCompiler): unknown {
  return {
    labels: Object.fromEntries(compiler.mesh().workloads.map((one) => [one.uid, one.labels])),
    routes: byService(compiler.mesh().routes ?? []),
    issues: compiler
      .issues()
      .map((one) => `${one.kind} ${one.namespace}/${one.name}: ${one.message}`)
      .sort(),
    statuses: Object.fromEntries(compiler.statuses().map((one) => [resourceKey(one), one])),
  };
}

function byService(routes: Iterable<ServiceRoutes>): Record<string, unknown> {
  return Object.fromEntries([...routes].map((one) => [one.service, JSON.parse(JSON.stringify(one))]));
}

test('the incremental compile of routes equals one from scratch', () => {
  fc.assert(
    fc.property(fc.array(compileStep(resource), { minLength: 1, maxLength: 40, size: 'max' }), (steps) => {
      const { follow, tables } = routeFollower();
      const { compiler, scratch } = compileBySteps(steps, options, follow);
      assert.deepEqual(stateOf(compiler), stateOf(scratch));
      assert.deepEqual(byService(tables.values()), byService(scratch.mesh().routes ?? []));
    }),
    { numRuns: 400 },
  );
});
