// What the controller writes into a cluster, with no more rights than `ambientctl install` gives it: waypoints of
// Gateways, the roots of the mesh, statuses. `npm run test:kube -- --kubeconfig FILE` runs it against a real one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readControllerConfig } from '../../src/config/controller.ts';
import { type RunningController, startController } from '../../src/controller/controller.ts';
import { controllerConfig, controllerObjects } from '../../src/install/controller-objects.ts';
import { mergedFields, readValues } from '../../src/install/values.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import type { Json } from './api-client.ts';
import { Cluster, soon } from './cluster.ts';
import { foreignDefinition } from './foreign-definitions.ts';

const timeout = { timeout: 120_000 };
const gatewayApi = '/apis/gateway.networking.k8s.io/v1';
const classPath = `${gatewayApi}/gatewayclasses/ambient-waypoint`;

let cluster: Cluster;
let system = '';
let controller: RunningController;
const lines: string[] = [];
const parts = [
  'serviceaccounts/NAME',
  'configmaps/NAME-waypoint',
  'services/NAME',
  'apps/v1 deployments/NAME',
  'policy/v1 poddisruptionbudgets/NAME',
  'autoscaling/v2 horizontalpodautoscalers/NAME',
] as const;

/** The path of something that is made for a Gateway. */
function pathOf(namespace: string, part: (typeof parts)[number], name = 'waypoint'): string {
  const [first = '', second] = part.replace('NAME', name).split(' ');
  const root = second === undefined ? '/api/v1' : `/apis/${first}`;
  return `${root}/namespaces/${namespace}/${second ?? first}`;
}

const deploymentOf = (namespace: string) => pathOf(namespace, 'apps/v1 deployments/NAME');
const budgetOf = (namespace: string) => pathOf(namespace, 'policy/v1 poddisruptionbudgets/NAME');
const gatewayOf = (namespace: string) => `${gatewayApi}/namespaces/${namespace}/gateways/waypoint`;
const rootsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps/ambient-roots`;

async function startOne(tag: string): Promise<RunningController> {
  const values = await readValues({ sets: [`namespace=${system}`, `image.tag=${tag}`] });
  const kubeconfig = await cluster.kubeconfigOf(system, 'ambient-controller');
  const config = mergedFields(controllerConfig(values), {
    kubernetes: { kubeconfig },
    listenHost: '127.0.0.1',
    ports: { discovery: 0, admin: 0, metrics: 0, readiness: 0, webhook: 0, page: 0 },
    caDir: cluster.folder(`ca-${tag}`),
    log: { level: 'info', format: 'text' },
  });
  const read = readControllerConfig(cluster.file(`controller-${tag}.yaml`, JSON.stringify(config)));
  return startController(read, { log: createLogger({ ...read.log, write: (line) => lines.push(line) }) });
}

/** A namespace of the test's own with a Gateway in it. */
async function setUp(title: string, spec: Json = {}): Promise<string> {
  const namespace = `ambient-${title}-${cluster.unique}`;
  await cluster.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await makeGateway(namespace, spec);
  return namespace;
}

async function makeGateway(namespace: string, spec: Json = {}): Promise<void> {
  const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE' }];
  await cluster.admin.json({
    method: 'POST',
    path: `${gatewayApi}/namespaces/${namespace}/gateways`,
    body: {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { name: 'waypoint', namespace },
      spec: { gatewayClassName: 'ambient-waypoint', listeners, ...spec },
    },
  });
}

async function condition(namespace: string, type: string): Promise<Json> {
  const gateway = await cluster.get(gatewayOf(namespace));
  const found = gateway?.status?.conditions?.find((one: Json) => one.type === type);
  assert.ok(found, `no condition ${type}`);
  assert.equal(found.observedGeneration, gateway.metadata.generation, `${type} is about what was`);
  return found;
}

/** Plays the kubelet: pods are ready, where a controller of the cluster makes some. */
async function makeAvailable(namespace: string): Promise<void> {
  if (cluster.server !== null) {
    const status = { replicas: 1, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1, observedGeneration: 1 };
    await cluster.merge(`${deploymentOf(namespace)}/status`, { status });
    return;
  }
  await soon(async () => {
    const { items } = (await cluster.admin.json({ path: `/api/v1/namespaces/${namespace}/pods` })) as Json;
    assert.ok(items.length > 0, 'no pod yet');
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    for (const { metadata } of items) {
      const status = { phase: 'Running', conditions };
      await cluster.merge(`/api/v1/namespaces/${namespace}/pods/${metadata.name}/status`, { status });
    }
  });
}

async function isThere(path: string): Promise<Json> {
  return soon(async () => {
    const object = await cluster.get(path);
    assert.ok(object !== null, `${path} is not there`);
    return object;
  });
}

async function isGone(path: string): Promise<void> {
  await soon(async () => assert.equal(await cluster.get(path), null, `${path} is there`));
}

before(async () => {
  cluster = await Cluster.open();
  system = `ambient-system-${cluster.unique}`;
  for (const kind of ['GatewayClass', 'Gateway', 'HTTPRoute']) {
    await cluster.define(foreignDefinition(kind));
    const plural = kind === 'GatewayClass' ? 'gatewayclasses' : `${kind.toLowerCase()}s`;
    await soon(async () => cluster.admin.json({ path: `${gatewayApi}/${plural}` }));
  }
  await cluster.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: system } });
  // As it is shipped, under a name of the test's own where a name is the whole cluster's.
  const own = `ambient-controller-${cluster.unique}`;
  for (const manifest of controllerObjects(await readValues({ sets: [`namespace=${system}`] }))) {
    const { kind, metadata } = manifest;
    const group = '/apis/rbac.authorization.k8s.io/v1';
    if (kind === 'ServiceAccount') await cluster.create(`/api/v1/namespaces/${system}/serviceaccounts`, manifest);
    if (kind === 'ClusterRole' || kind === 'ClusterRoleBinding') {
      const { roleRef } = manifest as Json;
      const named = {
        ...manifest,
        metadata: { ...metadata, name: own },
        ...(roleRef && { roleRef: { ...roleRef, name: own } }),
      };
      await cluster.create(`${group}/${kind.toLowerCase()}s`, named);
    }
    if (kind === 'Role' || kind === 'RoleBinding') {
      await cluster.create(`${group}/namespaces/${system}/${kind.toLowerCase()}s`, manifest);
    }
  }
  if ((await cluster.get(classPath)) === null) cluster.takeAway(classPath);
  controller = await startOne('1.0.0');
}, timeout);

after(async () => {
  await controller?.close();
  await cluster?.close();
}, timeout);

test('a Gateway becomes a waypoint, says how it stands, and takes it along', timeout, async () => {
  const labels = { team: 'payments' };
  const namespace = await setUp('one', { infrastructure: { labels, annotations: { note: 'ours' } } });
  const { metadata } = await isThere(gatewayOf(namespace));
  const made = parts.slice(0, 4).map((part) => pathOf(namespace, part));
  for (const path of made) {
    const object = await isThere(path);
    const { ownerReferences, managedFields } = object.metadata;
    assert.deepEqual(
      ownerReferences.map((one: Json) => [one.kind, one.uid, one.controller]),
      [['Gateway', metadata.uid, true]],
      path,
    );
    const ours = managedFields.filter((one: Json) => one.operation === 'Apply').map((one: Json) => one.manager);
    assert.deepEqual(ours, ['ambient-controller'], path);
    assert.equal(object.metadata.labels.team, 'payments', path);
    assert.equal(object.metadata.annotations.note, 'ours', path);
  }
  const { spec } = await isThere(deploymentOf(namespace));
  const [container] = spec.template.spec.containers;
  assert.equal(container.image, 'ambient:1.0.0');
  assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  assert.equal(spec.template.metadata.labels['ambient.mesh/dataplane-mode'], 'none');
  assert.equal(await cluster.get(budgetOf(namespace)), null);
  const roots = await isThere(rootsOf(namespace));
  assert.match(roots.data['ca.crt'], /^-----BEGIN CERTIFICATE-----/);
  const gatewayClass = await isThere(classPath);
  assert.equal(gatewayClass.spec.controllerName, 'ambient.mesh/controller');
  await soon(async () => {
    const [accepted] = (await cluster.get(classPath))?.status?.conditions ?? [];
    assert.deepEqual([accepted?.status, accepted?.observedGeneration], ['True', gatewayClass.metadata.generation]);
  });
  // No pod yet.
  await soon(async () => {
    const { status, reason } = await condition(namespace, 'Programmed');
    assert.deepEqual([status, reason], ['False', 'Pending']);
    assert.equal((await condition(namespace, 'Accepted')).status, 'True');
  });
  await makeAvailable(namespace);
  await soon(async () => assert.equal((await condition(namespace, 'Programmed')).status, 'True'));
  const { status } = await isThere(gatewayOf(namespace));
  const { spec: service } = await isThere(pathOf(namespace, 'services/NAME'));
  assert.deepEqual(
    status.addresses,
    service.clusterIPs.map((value: string) => ({ type: 'IPAddress', value })),
  );
  const [listener] = status.listeners;
  assert.deepEqual([listener.name, listener.attachedRoutes], ['mesh', 0]);
  assert.deepEqual(listener.conditions.map((one: Json) => [one.type, one.status]).sort(), [
    ['Accepted', 'True'],
    ['Programmed', 'True'],
    ['ResolvedRefs', 'True'],
  ]);
  await cluster.delete(gatewayOf(namespace));
  for (const path of [...made, rootsOf(namespace)]) await isGone(path);
});

test('what is edited away or deleted comes back', timeout, async () => {
  const namespace = await setUp('heal');
  const deployment = deploymentOf(namespace);
  await isThere(deployment);
  const { metadata } = await isThere(pathOf(namespace, 'services/NAME'));
  const edits: readonly (readonly [string, Json, (object: Json) => boolean])[] = [
    [deployment, { spec: { replicas: 0 } }, ({ spec }) => spec.replicas === 1],
    [
      deployment,
      { spec: { template: { spec: { automountServiceAccountToken: null } } } },
      ({ spec }) => spec.template.spec.automountServiceAccountToken === false,
    ],
    [
      pathOf(namespace, 'configmaps/NAME-waypoint'),
      { data: { 'config.yaml': 'x: 1' } },
      ({ data }) => data['config.yaml'].includes('controllerUrl'),
    ],
    [
      pathOf(namespace, 'services/NAME'),
      { metadata: { labels: null, ownerReferences: null } },
      ({ metadata: { labels = {}, ownerReferences = [] } }) =>
        labels['gateway.networking.k8s.io/gateway-name'] === 'waypoint' && ownerReferences.length === 1,
    ],
    [rootsOf(system), { data: { 'ca.crt': 'nothing' } }, ({ data }) => data['ca.crt'].startsWith('-----BEGIN')],
  ];
  for (const [path, edit, isHealed] of edits) {
    await cluster.merge(path, edit);
    await soon(async () => {
      const object = await cluster.get(path);
      assert.ok(object !== null && isHealed(object), `${path}: ${JSON.stringify(object)}`);
    });
  }
  for (const path of [deployment, pathOf(namespace, 'services/NAME'), rootsOf(namespace), rootsOf(system)]) {
    const { metadata: before } = await isThere(path);
    await cluster.delete(path);
    await soon(async () => {
      const now = await cluster.get(path);
      assert.ok(now !== null && now.metadata.uid !== before.uid, `${path} is not back`);
    });
  }
  assert.notEqual((await isThere(pathOf(namespace, 'services/NAME'))).metadata.uid, metadata.uid);
});

test(
  'parameters: what is chosen is made so, what cannot be chosen is refused and nothing changes',
  timeout,
  async () => {
    const parametersRef = { group: '', kind: 'ConfigMap', name: 'chosen' };
    const namespace = await setUp('chosen', { infrastructure: { parametersRef } });
    await soon(async () => {
      const { status, reason, message } = await condition(namespace, 'Accepted');
      assert.deepEqual([status, reason], ['False', 'InvalidParameters']);
      assert.match(message, /^ConfigMap .*\/chosen is not there/);
    });
    assert.equal(await cluster.get(deploymentOf(namespace)), null);
    const data = {
      deployment: `spec:
  replicas: 2
  template:
    spec:
      nodeSelector: { pool: mesh }
      tolerations: [{ key: mesh, operator: Exists }]
      containers:
        - { name: istio-proxy, resources: { requests: { cpu: 250m } } }
`,
      service: 'metadata: { annotations: { note: service } }\n',
      config: 'timeouts: { drain: 10s }\n',
    };
    const maps = `/api/v1/namespaces/${namespace}/configmaps`;
    await cluster.create(maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'chosen' }, data });
    await soon(async () => assert.equal((await condition(namespace, 'Accepted')).status, 'True'));
    const { spec } = await isThere(deploymentOf(namespace));
    const pod = spec.template.spec;
    assert.deepEqual([spec.replicas, pod.nodeSelector, pod.tolerations.length], [2, { pool: 'mesh' }, 1]);
    assert.equal(pod.containers[0].resources.requests.cpu, '250m');
    assert.equal((await isThere(budgetOf(namespace))).spec.maxUnavailable, 1);
    assert.match((await isThere(pathOf(namespace, 'configmaps/NAME-waypoint'))).data['config.yaml'], /"drain": "10s"/);
    assert.equal((await isThere(pathOf(namespace, 'services/NAME'))).metadata.annotations.note, 'service');
    const uid = (await isThere(deploymentOf(namespace))).metadata.uid;
    // What would be a way to more rights than a Gateway's author has.
    const volumes = data.deployment.replace('nodeSelector', 'volumes: []\n      nodeSelector');
    await cluster.merge(`${maps}/chosen`, { data: { deployment: volumes } });
    await soon(async () => {
      const { reason, message } = await condition(namespace, 'Accepted');
      assert.equal(reason, 'InvalidParameters');
      assert.match(message, /chosen deployment:5:7: spec\.template\.spec\.volumes is no known field/);
    });
    assert.equal((await isThere(deploymentOf(namespace))).spec.replicas, 2);
    // One replica, and the budget goes.
    await cluster.merge(`${maps}/chosen`, { data: { deployment: 'spec: { replicas: 1 }\n' } });
    await isGone(budgetOf(namespace));
    const after = await isThere(deploymentOf(namespace));
    assert.deepEqual([after.spec.replicas, after.metadata.uid], [1, uid]);
    assert.equal(after.spec.template.spec.nodeSelector, undefined);
    // An autoscaler says how many there are.
    const horizontalPodAutoscaler = 'spec: { minReplicas: 2, maxReplicas: 5 }\n';
    await cluster.merge(`${maps}/chosen`, { data: { deployment: null, horizontalPodAutoscaler } });
    const scaler = await isThere(pathOf(namespace, 'autoscaling/v2 horizontalpodautoscalers/NAME'));
    assert.equal(scaler.spec.scaleTargetRef.name, 'waypoint');
    await isThere(budgetOf(namespace));
  },
);

test('Gateways of one name: in two namespaces, and made again', timeout, async () => {
  const [one, other] = [await setUp('left'), await setUp('right')];
  const first = await isThere(deploymentOf(one));
  const elsewhere = await isThere(deploymentOf(other));
  await cluster.delete(gatewayOf(one));
  await makeGateway(one);
  const { metadata } = await isThere(gatewayOf(one));
  await soon(async () => {
    const now = await cluster.get(deploymentOf(one));
    assert.equal(now?.metadata.ownerReferences[0].uid, metadata.uid);
  });
  for (const part of parts.slice(0, 4)) {
    await soon(async () => {
      const owners = (await cluster.get(pathOf(one, part)))?.metadata.ownerReferences ?? [];
      assert.deepEqual(
        owners.map((each: Json) => each.uid),
        [metadata.uid],
        part,
      );
    });
  }
  assert.notEqual((await isThere(deploymentOf(one))).metadata.uid, first.metadata.uid);
  assert.equal((await isThere(deploymentOf(other))).metadata.uid, elsewhere.metadata.uid);
});

test("somebody else's account of that name is not used, and it is said until it goes", timeout, async () => {
  const namespace = `ambient-taken-${cluster.unique}`;
  await cluster.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'waypoint', namespace } };
  await cluster.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, account);
  await makeGateway(namespace);
  await soon(async () => {
    const { status, message } = await condition(namespace, 'Programmed');
    assert.equal(status, 'False');
    assert.match(message, /^ServiceAccount .*\/waypoint is there already/);
  });
  assert.equal(await cluster.get(deploymentOf(namespace)), null);
  const there = await isThere(pathOf(namespace, 'serviceaccounts/NAME'));
  assert.equal(there.metadata.ownerReferences, undefined);
  await cluster.delete(pathOf(namespace, 'serviceaccounts/NAME'));
  await isThere(deploymentOf(namespace));
});

test('another class: what was made goes, and the Gateway is not spoken of', timeout, async () => {
  const namespace = await setUp('class');
  await isThere(deploymentOf(namespace));
  await cluster.create(`${gatewayApi}/gatewayclasses`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: `other-${cluster.unique}` },
    spec: { controllerName: 'example.com/other' },
  });
  await cluster.merge(gatewayOf(namespace), { spec: { gatewayClassName: `other-${cluster.unique}` } });
  for (const part of parts.slice(0, 4)) await isGone(pathOf(namespace, part));
});

test('with the rights as they are shipped nothing was refused', timeout, () => {
  assert.deepEqual(
    lines.filter((line) => /\b403\b|forbidden/i.test(line)),
    [],
  );
});

test(
  'another version: waypoints get its image; a right that is missing is named, and the rest is done',
  timeout,
  async () => {
    const namespace = await setUp('next');
    await isThere(deploymentOf(namespace));
    await controller.close();
    const rolePath = `/apis/rbac.authorization.k8s.io/v1/clusterroles/ambient-controller-${cluster.unique}`;
    const { rules } = await isThere(rolePath);
    const left = rules.map((rule: Json) =>
      rule.apiGroups.includes('policy') ? { ...rule, verbs: ['list', 'watch', 'get'] } : rule,
    );
    await cluster.merge(rolePath, { rules: left });
    controller = await startOne('1.1.0');
    await soon(async () => {
      const [container] = (await isThere(deploymentOf(namespace))).spec.template.spec.containers;
      assert.equal(container.image, 'ambient:1.1.0');
    });
    await cluster.merge(gatewayOf(namespace), { metadata: { annotations: { 'ambient.mesh/replicas': '2' } } });
    await soon(async () => {
      assert.equal((await cluster.get(deploymentOf(namespace)))?.spec.replicas, 2);
      const { status, message } = await condition(namespace, 'Programmed');
      assert.equal(status, 'False');
      assert.match(message, /poddisruptionbudgets\/waypoint.* 403 /);
    });
    await cluster.merge(rolePath, { rules });
    await isThere(budgetOf(namespace));
  },
);
