// From manifests to workloads and services.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from './manifests.ts';
import { compileText, podText } from './testing-compile.ts';

const ours = 'ambient.mesh/dataplane-mode';
const theirs = 'istio.io/dataplane-mode';

// [what, labels of the namespace, metadata of the pod, spec of the pod, enrolled, issues]
const enrolmentRows = [
  ['nothing said', '', '', '', false, 0],
  ['namespace', `${ours}: ambient`, '', '', true, 0],
  ["Istio's label on the namespace", `${theirs}: ambient`, '', '', true, 0],
  ['pod', '', `labels: {${ours}: ambient}`, '', true, 0],
  ["Istio's label on the pod", '', `labels: {${theirs}: ambient}`, '', true, 0],
  ['pod opts out', `${ours}: ambient`, `labels: {${ours}: none}`, '', false, 0],
  ["pod opts out with Istio's label", `${ours}: ambient`, `labels: {${theirs}: none}`, '', false, 0],
  ['pod opts in', `${ours}: none`, `labels: {${ours}: ambient}`, '', true, 0],
  ['our label before theirs', '', `labels: {${ours}: none, ${theirs}: ambient}`, '', false, 0],
  ['a misspelt value on the pod', `${ours}: ambient`, `labels: {${ours}: Ambient}`, '', true, 1],
  ['a misspelt value on the namespace', `${ours}: enabled`, '', '', false, 1],
  ['host network', `${ours}: ambient`, '', 'hostNetwork: true', false, 0],
  ['a sidecar', `${ours}: ambient`, 'annotations: {sidecar.istio.io/status: "{}"}', '', false, 0],
] as const;
for (const [what, labels, metadata, spec, enrolled, issues] of enrolmentRows) {
  test(`enrolment: ${what}`, () => {
    const space = `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {${labels}}}\n`;
    const mesh = compileText(space + podText('shop/web', '10.1.0.1', metadata, spec));
    assert.equal(mesh.workload('web').tunnelProtocol, enrolled ? 'HBONE' : 'NONE');
    assert.equal(mesh.issues.length, issues);
  });
}

test('the mesh does not enrol its own parts', () => {
  const space = `apiVersion: v1\nkind: Namespace\nmetadata: {name: ambient-system, labels: {${ours}: ambient}}\n`;
  const mesh = compileText(space + podText('ambient-system/ambient-controller', '10.1.0.1'));
  assert.equal(mesh.workload('ambient-controller').tunnelProtocol, 'NONE');
});

test('a pod becomes a workload', () => {
  const node = `---
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}}
`;
  const mesh = compileText(node + podText('shop/web', 'FD00:0::1', 'labels: {app: shopweb, version: v2}'));
  assert.deepEqual(mesh.workload('web'), {
    uid: 'Kubernetes//Pod/shop/web',
    name: 'web',
    namespace: 'shop',
    addresses: ['fd00::1'],
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: 'cluster.local',
    serviceAccount: 'web',
    node: 'node-1',
    canonicalName: 'shopweb',
    canonicalRevision: 'v2',
    workloadType: 'pod',
    workloadName: 'web',
    nativeTunnel: false,
    policies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    locality: { region: 'eu', zone: 'eu-1', subzone: '' },
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {},
  });
});

// [what, owner kind, owner name, pod labels, type, name]
const ownerRows = [
  ['a ReplicaSet with its hash', 'ReplicaSet', 'web-5d8f', 'pod-template-hash: 5d8f', 'deployment', 'web'],
  ['a ReplicaSet without the label', 'ReplicaSet', 'web-7d4b95c6', '', 'deployment', 'web'],
  ['a ReplicaSet of its own', 'ReplicaSet', 'web-server', '', 'pod', 'web-server'],
  ['a Deployment', 'Deployment', 'web', '', 'deployment', 'web'],
  ['a StatefulSet', 'StatefulSet', 'db', '', 'pod', 'db'],
  ['a Job', 'Job', 'import', '', 'job', 'import'],
  ['a CronJob', 'Job', 'nightly-28391040', '', 'cronjob', 'nightly'],
] as const;
for (const [what, kind, name, labels, type, workload] of ownerRows) {
  test(`owner: ${what}`, () => {
    const metadata = `labels: {${labels}}, ownerReferences: [{kind: ${kind}, name: ${name}, controller: true}]`;
    const { workloadType, workloadName } = compileText(podText('shop/web-x', '10.1.0.1', metadata)).workload('web-x');
    assert.deepEqual([workloadType, workloadName], [type, workload]);
  });
}

test('pods that are finished or have no address are no workloads; those going down are not healthy', () => {
  const going = podText('a/going', '10.1.0.1', 'deletionTimestamp: "2026-01-01T00:00:00Z"');
  const done = podText('a/done', '10.1.0.2').replace('phase: Running', 'phase: Succeeded');
  const failed = podText('a/failed', '10.1.0.3').replace('phase: Running', 'phase: Failed');
  const pending = podText('a/pending', '').replace('podIPs: [{ip: ""}]', 'podIPs: []');
  const unready = podText('a/unready', '10.1.0.4').replace('status: "True"', 'status: "False"');
  const { compiler } = compileText([going, done, failed, pending, unready].join(''), false);
  const { workloads } = compiler.mesh();
  assert.deepEqual(workloads.map((one) => [one.name, one.healthy]).sort(), [
    ['going', false],
    ['unready', false],
  ]);
  assert.equal(compiler.pod('a', 'done')?.phase, 'Succeeded');
  assert.equal(compiler.pod('a', 'nobody'), null);
  assert.equal(compiler.hasIdentityOnNode('spiffe://cluster.local/ns/a/sa/pending', 'node-1'), true);
  assert.equal(compiler.hasIdentityOnNode('spiffe://cluster.local/ns/a/sa/done', 'node-1'), false);
  assert.equal(compiler.hasIdentityOnNode('spiffe://cluster.local/ns/a/sa/pending', 'node-2'), false);
});

function serviceText(spec: string, metadata = ''): string {
  const more = metadata === '' ? '' : `, ${metadata}`;
  return `---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: web${more}}\nspec: {${spec}}\n`;
}
const key = 'shop/web.shop.svc.cluster.local';

// [what, spec, expected part of the service]
const serviceRows = [
  ['one address', 'clusterIP: 10.96.0.1, ports: [{port: 80}]', { addresses: ['10.96.0.1'], ipFamilies: 'automatic' }],
  [
    'two addresses',
    'clusterIPs: [10.96.0.1, "FD00::1"], ipFamilies: [IPv4, IPv6]',
    { addresses: ['10.96.0.1', 'fd00::1'], ipFamilies: 'dual' },
  ],
  ['headless', 'clusterIP: None, ipFamilies: [IPv6]', { addresses: [], ipFamilies: 'ipv6' }],
  [
    'target ports',
    'ports: [{name: a, port: 80}, {name: b, port: 81, targetPort: 8081}, {name: c, port: 82, targetPort: http}, {name: d, port: 53, protocol: UDP}]',
    {
      ports: [
        { servicePort: 80, targetPort: 80, appProtocol: 'unknown' },
        { servicePort: 81, targetPort: 8081, appProtocol: 'unknown' },
        { servicePort: 82, targetPort: 0, appProtocol: 'unknown' },
      ],
    },
  ],
  [
    'protocols',
    'ports: [{name: http-a, port: 1}, {name: grpc, port: 2}, {name: x, port: 3, appProtocol: kubernetes.io/h2c}, {name: https, port: 4}, {name: constructor, port: 5}, {name: grpc-web-a, port: 6}]',
    {
      ports: ['http1', 'grpc', 'http2', 'tls', 'unknown', 'http1'].map((appProtocol, at) => ({
        servicePort: at + 1,
        targetPort: at + 1,
        appProtocol,
      })),
    },
  ],
  [
    'PreferClose',
    'trafficDistribution: PreferClose',
    {
      loadBalancing: {
        mode: 'failover',
        routingPreference: ['network', 'region', 'zone'],
        healthPolicy: 'onlyHealthy',
      },
    },
  ],
  [
    'PreferSameZone',
    'trafficDistribution: PreferSameZone',
    {
      loadBalancing: {
        mode: 'failover',
        routingPreference: ['network', 'region', 'zone'],
        healthPolicy: 'onlyHealthy',
      },
    },
  ],
  [
    'PreferSameNode',
    'trafficDistribution: PreferSameNode',
    {
      loadBalancing: {
        mode: 'failover',
        routingPreference: ['network', 'region', 'zone', 'subzone', 'node'],
        healthPolicy: 'onlyHealthy',
      },
    },
  ],
  [
    'internalTrafficPolicy',
    'internalTrafficPolicy: Local',
    { loadBalancing: { mode: 'strict', routingPreference: ['node'], healthPolicy: 'onlyHealthy' } },
  ],
  [
    'publishNotReadyAddresses',
    'publishNotReadyAddresses: true',
    { loadBalancing: { mode: 'unspecified', routingPreference: [], healthPolicy: 'allowAll' } },
  ],
] as const;
for (const [what, spec, expected] of serviceRows) {
  test(`service: ${what}`, () => {
    const service = compileText(serviceText(spec)).index.serviceByKey(key);
    const picked = Object.fromEntries(Object.keys(expected).map((name) => [name, service?.[name as 'ports']]));
    assert.deepEqual(picked, expected);
  });
}

test('a service that is exported to its namespace alone is seen there alone; an ExternalName is none', () => {
  const text = serviceText('clusterIP: 10.96.0.1', 'annotations: {networking.istio.io/exportTo: "."}');
  const { index } = compileText(text);
  assert.equal(index.serviceByVip('10.96.0.1', 'other'), null);
  assert.equal(index.serviceByVip('10.96.0.1', 'shop')?.name, 'web');
  assert.equal(compileText(serviceText('type: ExternalName, externalName: example.com')).index.serviceByKey(key), null);
});

const pods =
  podText('shop/a', '10.1.0.1', 'labels: {app: web}', 'containers: [{ports: [{name: http, containerPort: 8080}]}]') +
  podText('shop/b', '10.1.0.2', 'labels: {app: web}', 'containers: [{ports: [{name: http, containerPort: 9090}]}]') +
  podText('shop/c', '10.1.0.3', 'labels: {app: web}') +
  podText('other/d', '10.1.0.4', 'labels: {app: web}');
const named = serviceText('selector: {app: web}, ports: [{name: web, port: 80, targetPort: http}]');

function endpointsIn(text: string): string[] {
  const { index } = compileText(text);
  return index
    .endpointsOf(key)
    .map(({ workload, ports }) => `${workload.name} ${ports.map((one) => one.targetPort).join()} ${workload.healthy}`)
    .sort();
}

test('without slices a selector finds the endpoints, and a named port is what each pod calls so', () => {
  assert.deepEqual(endpointsIn(pods + named), ['a 8080 true', 'b 9090 true']);
});

function sliceText(endpoints: string, ports = '[{name: web, port: 7070}]'): string {
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: ${ports}
endpoints: ${endpoints}
`;
}

// [what, endpoints, expected]
const sliceRows = [
  ['the pods it names', '[{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a}}]', ['a 7070 true']],
  [
    'not those that are not ready',
    '[{addresses: [10.1.0.1], conditions: {ready: false}, targetRef: {kind: Pod, name: a}}]',
    [],
  ],
  [
    'not those that end',
    '[{addresses: [10.1.0.1], conditions: {ready: true, terminating: true}, targetRef: {kind: Pod, name: a}}]',
    [],
  ],
  ['an address without a pod', '[{addresses: [192.0.2.1], nodeName: node-1}]', ['web-1 7070 true']],
  [
    'an address without a pod that is not ready',
    '[{addresses: [192.0.2.1], conditions: {ready: false}}]',
    ['web-1 7070 false'],
  ],
  ['nothing', '[]', []],
] as const;
for (const [what, endpoints, expected] of sliceRows) {
  test(`with slices a service has as endpoints: ${what}`, () => {
    assert.deepEqual(endpointsIn(pods + named + sliceText(endpoints)), expected);
  });
}

test('ports of a slice are found by name', () => {
  const endpoint = '[{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a}}]';
  assert.deepEqual(endpointsIn(pods + named + sliceText(endpoint, '[{name: other, port: 1}]')), []);
});

const deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: cart}
spec:
  template:
    metadata: {labels: {app: web, ambient.mesh/dataplane-mode: ambient}}
    spec: {serviceAccountName: cart, containers: [{ports: [{name: http, containerPort: 8080}]}]}
`;

test('offline a template without pods stands as one workload, until it owns a pod', () => {
  const alone = compileText(deployment + named);
  const { uid, addresses, healthy, serviceAccount, workloadType, tunnelProtocol } = alone.workload('cart');
  assert.deepEqual(
    { uid, addresses, healthy, serviceAccount, workloadType, tunnelProtocol },
    {
      uid: 'Kubernetes/apps/Deployment/shop/cart',
      addresses: [],
      healthy: true,
      serviceAccount: 'cart',
      workloadType: 'deployment',
      tunnelProtocol: 'HBONE',
    },
  );
  assert.deepEqual(endpointsIn(deployment + named), ['cart 8080 true']);
  const owned = podText(
    'shop/cart-1',
    '10.1.0.9',
    'ownerReferences: [{kind: ReplicaSet, name: cart-7d4b95c6, controller: true}]',
  );
  const names = (text: string, expand: boolean): string[] =>
    compileText(text, expand)
      .compiler.mesh()
      .workloads.map((one) => one.name);
  assert.deepEqual(names(deployment + owned, true), ['cart-1']);
  assert.deepEqual(names(deployment, false), []);
  assert.deepEqual(names(deployment.replace('  template:', '  replicas: 0\n  template:'), true), []);
});

test('offline a pod without a status is taken for a healthy one', () => {
  const text = 'apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: web}\n';
  assert.equal(compileText(text).workload('web').healthy, true);
  assert.equal(compileText(text, false).compiler.mesh().workloads.length, 0);
});

test('a change of one pod in a mesh of ten thousand is one workload, in a millisecond or so', () => {
  const pod = (at: number, status: 'True' | 'False'): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: `ns${at % 100}`, name: `pod${at}`, labels: { app: `app${at % 1000}` } },
      spec: { nodeName: `n${at % 50}` },
      status: {
        phase: 'Running',
        podIP: `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`,
        conditions: [{ type: 'Ready', status }],
      },
    });
  const { compiler } = compileText('', false);
  const upsert = (at: number, status: 'True' | 'False'): void => {
    for (const one of readManifests([{ text: pod(at, status), file: 'pod.json' }]).resources) compiler.upsert(one);
  };
  for (let at = 0; at < 10_000; at++) upsert(at, 'True');
  assert.equal(compiler.flush().update.workloads.length, 10_000);
  const rounds = 200;
  // Time on the processor: what else the machine does must not count.
  const start = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    upsert(round * 7, 'False');
    assert.equal(compiler.flush().update.workloads.length, 1);
  }
  const { user, system } = process.cpuUsage(start);
  const perChangeMs = (user + system) / 1000 / rounds;
  assert.ok(perChangeMs < 5, `${perChangeMs} ms per change`);
});
