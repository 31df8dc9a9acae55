// The incremental compile against one from scratch, over generated changes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CompilerOptions, MeshCompiler } from './compiler.ts';
import { MeshIndex } from './mesh-index.ts';
import type { Labels, Resource, ResourceMeta, TemplateKind } from './resources.ts';
import { compileBySteps, compileStep } from './testing-incremental.ts';
import type { MeshUpdate, ResourceIssue } from './types.ts';

const options: CompilerOptions = {
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  rootNamespaces: ['ambient-system', 'istio-system'],
  expandTemplates: false,
};

function meta(namespace: string, name: string, given: Partial<ResourceMeta> = {}): ResourceMeta {
  return {
    apiVersion: 'v1',
    namespace,
    name,
    uid: '',
    labels: {},
    annotations: {},
    creationTimestamp: null,
    deletionTimestamp: null,
    owners: [],
    places: { object: null, at: () => null },
    raw: {},
    ...given,
  };
}

// Few names and labels, so that things meet.
const namespace = fc.constantFrom('a', 'a', 'b', 'ambient-system');
const name = fc.constantFrom('x', 'y');
const node = fc.constantFrom('', 'n1', 'n2');
const labels = fc.constantFrom<Labels>({}, { app: 'p' }, { app: 'p' }, { app: 'p', tier: 'q' }, { tier: 'q' });
const selector = fc.constantFrom<Labels | null>(
  null,
  { app: 'p' },
  { app: 'p' },
  { tier: 'q' },
  { app: 'p', tier: 'q' },
);
const mode = fc.constantFrom('ambient', 'none', 'maybe');
const enrolment = fc.dictionary(fc.constantFrom('ambient.mesh/dataplane-mode', 'istio.io/dataplane-mode'), mode);
const time = fc.constantFrom(null, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z');
const mtls = fc.constantFrom('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT');
const ip = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1');
const podSpec = fc.record({
  serviceAccount: name,
  node,
  hostNetwork: fc.boolean(),
  ports: fc.subarray([
    { name: 'http', port: 8080, protocol: 'TCP' },
    { name: 'http', port: 8081, protocol: 'TCP' },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ]),
});
const templateKind = fc.constantFrom<TemplateKind>('Deployment', 'ReplicaSet', 'StatefulSet');
const owner = fc.record({ kind: templateKind, name, uid: fc.constant(''), controller: fc.constant(true) });

const pod = fc
  .tuple(
    namespace,
    name,
    labels,
    enrolment,
    podSpec,
    fc.uniqueArray(ip, { minLength: 1, maxLength: 2 }),
    fc.option(owner),
  )
  .chain(([space, title, own, enrolled, spec, addresses, by]) =>
    fc
      .record({
        phase: fc.constantFrom(...(['Pending', 'Running', 'Running', 'Running', 'Succeeded', 'Failed'] as const)),
        ready: fc.boolean(),
        hasStatus: fc.boolean(),
      })
      .map((status): Resource => {
        const owners = by === null ? [] : [by];
        return {
          ...meta(space, title, { labels: { ...own, ...enrolled }, owners }),
          kind: 'Pod',
          spec,
          addresses,
          ...status,
        };
      }),
  );
const space = fc
  .tuple(namespace, enrolment)
  .map(([title, own]): Resource => ({ ...meta('', title, { labels: own }), kind: 'Namespace' }));
const nodes = fc
  .tuple(fc.constantFrom('n1', 'n2'), fc.constantFrom({}, { 'topology.kubernetes.io/zone': 'z' }))
  .map(
    ([title, own]): Resource => ({ ...meta('', title, { labels: own }), kind: 'Node', podCidrs: [], addresses: [] }),
  );
const template = fc.tuple(templateKind, namespace, name, labels, podSpec, fc.nat(1)).map(
  ([kind, space, title, templateLabels, spec, replicas]): Resource => ({
    ...meta(space, title),
    kind,
    replicas,
    templateLabels,
    templateAnnotations: {},
    template: spec,
  }),
);
const service = fc
  .record({
    selector,
    publishNotReadyAddresses: fc.boolean(),
    type: fc.constantFrom('ClusterIP', 'ClusterIP', 'ExternalName'),
    targetPort: fc.constantFrom<number | string>(8080, 'http', 'none'),
  })
  .chain(({ targetPort, ...given }) =>
    fc.tuple(namespace, name).map(
      ([space, title]): Resource => ({
        ...meta(space, title),
        kind: 'Service',
        clusterIps: ['10.96.0.1'],
        headless: false,
        ports: [{ name: 'web', port: 80, protocol: 'TCP', targetPort, appProtocol: null, nodePort: 0 }],
        ipFamilies: [],
        trafficDistribution: null,
        internalTrafficPolicy: 'Cluster',
        ...given,
      }),
    ),
  );
const sliceEndpoint = fc.record({
  addresses: fc.uniqueArray(ip, { minLength: 1, maxLength: 2 }),
  ready: fc.boolean(),
  terminating: fc.boolean(),
  node,
  zone: fc.constant(''),
  pod: fc.option(fc.tuple(namespace, name).map((parts) => parts.join('/'))),
});
const slice = fc
  .tuple(
    namespace,
    name,
    fc.oneof({ weight: 4, arbitrary: name }, { weight: 1, arbitrary: fc.constant('') }),
    fc.array(sliceEndpoint, { maxLength: 3 }),
    fc.boolean(),
  )
  .map(
    ([space, title, of, endpoints, isNamed]): Resource => ({
      ...meta(space, title),
      kind: 'EndpointSlice',
      service: of,
      addressType: 'IPv4',
      ports: [{ name: isNamed ? 'web' : 'other', port: 9090, protocol: 'TCP' }],
      endpoints,
    }),
  );
const peer = fc
  .record({
    selector,
    mtls,
    portLevelMtls: fc.array(fc.record({ port: fc.constant(80), mode: mtls }), { maxLength: 1 }),
  })
  .chain((given) =>
    fc.tuple(namespace, name, time).map(
      ([space, title, creationTimestamp]): Resource => ({
        ...meta(space, title, { creationTimestamp }),
        kind: 'PeerAuthentication',
        ...given,
      }),
    ),
  );
const authorization = fc
  .record({
    selector,
    targets: fc.constantFrom([], [{ group: '', kind: 'Service', name: 'a', namespace: null }]),
    action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    rules: fc.constantFrom(
      [],
      [{ from: [{ namespaces: ['a'] }], to: null, when: null }],
      [{ from: null, to: [{ paths: ['/'] }], when: null }],
    ),
  })
  .chain((given) =>
    fc
      .tuple(namespace, name)
      .map(([space, title]): Resource => ({ ...meta(space, title), kind: 'AuthorizationPolicy', ...given })),
  );

const resource: fc.Arbitrary<Resource> = fc.oneof(
  { weight: 4, arbitrary: pod },
  space,
  nodes,
  template,
  { weight: 2, arbitrary: service },
  { weight: 2, arbitrary: slice },
  peer,
  authorization,
);
function sorted(update: Pick<MeshUpdate, 'workloads' | 'services' | 'policies'>) {
  const byName = <T>(items: readonly T[], nameOf: (item: T) => string) =>
    Object.fromEntries(items.map((item) => [nameOf(item), item]));
  return {
    workloads: byName(update.workloads, (one) => one.uid),
    services: byName(update.services, (one) => `${one.namespace}/${one.hostname}`),
    policies: byName(update.policies, (one) => `${one.namespace}/${one.name}`),
  };
}

function texts(issues: readonly ResourceIssue[]): string[] {
  return issues.map((issue) => `${issue.kind} ${issue.namespace}/${issue.name}: ${issue.message}`).sort();
}

const variants = [
  ['all kinds', false, resource],
  ['templates standing for pods', true, fc.oneof(pod, template, service, space)],
  ['pods and what secures them', false, fc.oneof(pod, { weight: 2, arbitrary: peer }, authorization)],
  ['services and slices', false, fc.oneof(pod, service, slice, nodes)],
] as const;
for (const [what, expandTemplates, resources] of variants) {
  test(`the incremental compile equals one from scratch: ${what}`, () => {
    fc.assert(
      fc.property(fc.array(compileStep(resources), { minLength: 1, maxLength: 60, size: 'max' }), (steps) => {
        const follower = new MeshIndex();
        const { compiler, scratch, present } = compileBySteps(steps, { ...options, expandTemplates }, (update) => {
          follower.apply(update);
        });
        assert.deepEqual(sorted(compiler.mesh()), sorted(scratch.mesh()));
        assert.deepEqual(texts(compiler.issues()), texts(scratch.issues()));
        // Who only follows the updates holds the same mesh, with no policy missing and no endpoint left over.
        const followed = {
          workloads: [...follower.workloads()],
          services: [...follower.services()],
          policies: [...follower.policies()],
        };
        assert.deepEqual(sorted(followed), sorted(scratch.mesh()));
        for (const workload of followed.workloads) assert.deepEqual(follower.policiesFor(workload).missing, []);
        for (const each of ['n1', 'n2']) {
          for (const account of ['x', 'y']) {
            const id = `spiffe://cluster.local/ns/a/sa/${account}`;
            assert.equal(compiler.hasIdentityOnNode(id, each), hasPod(present, each, account));
          }
        }
      }),
      { numRuns: 500 },
    );
  });
}

function hasPod(resources: readonly Resource[], onNode: string, account: string): boolean {
  return resources.some(
    (one) =>
      one.kind === 'Pod' &&
      one.namespace === 'a' &&
      one.spec.node === onNode &&
      one.spec.serviceAccount === account &&
      one.phase !== 'Failed' &&
      one.phase !== 'Succeeded',
  );
}

test('nothing changed is nothing to send, and an equal object changes nothing', () => {
  const compiler = new MeshCompiler(options);
  const [one] = fc.sample(pod, { numRuns: 1, seed: 1 });
  compiler.upsert(one!);
  compiler.flush();
  compiler.upsert({ ...one! });
  const { update } = compiler.flush();
  assert.deepEqual(
    [update.workloads, update.services, update.policies, update.removedAddresses, update.removedPolicies],
    [[], [], [], [], []],
  );
  assert.equal(update.complete, false);
});
