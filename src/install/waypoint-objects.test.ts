// What is made for a Gateway: the program takes its file, and authors choose what they may and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWaypointConfig } from '../config/waypoint.ts';
import { waypointObjects } from './waypoint-objects.ts';
import { readWaypointParameters } from './waypoint-parameters.ts';

const gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  name: 'w',
  namespace: 'shop',
  uid: 'u',
  gatewayClassName: 'ambient-waypoint',
  annotations: {},
  infrastructure: { labels: { team: 'a' }, annotations: {}, parametersRef: null },
};
const settings = {
  image: 'registry/ambient:1',
  pullPolicy: 'Always',
  pullSecrets: ['registry'],
  resources: { cpu: '100m', memory: '128Mi', memoryLimit: '512Mi' },
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  controllerUrl: 'https://ambient-controller.ambient-system.svc:15012',
  config: { threads: 2 },
};
const env = { POD_NAME: 'w-1', NODE_NAME: 'n1' };

function made(data: Readonly<Record<string, string>> = {}, annotations: Readonly<Record<string, string>> = {}) {
  const objects = waypointObjects(
    { ...gateway, annotations },
    settings,
    readWaypointParameters(data, 'ConfigMap shop/p'),
  );
  const of = (kind: string) => objects.find((one) => one.kind === kind) as unknown as Made;
  const kinds = objects.map(({ kind }) => kind);
  return { kinds, of, pod: podOf(of('Deployment')) };
}

function podOf(deployment: unknown) {
  const { spec } = deployment as { spec: { replicas?: number; template: { metadata: object; spec: Pod } } };
  return { replicas: spec.replicas, ...spec.template.spec, metadata: spec.template.metadata };
}

interface Made {
  readonly data: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

interface Pod {
  readonly containers: readonly { readonly image: string; readonly resources: object }[];
  readonly securityContext: object;
  readonly nodeSelector?: object;
  readonly topologySpreadConstraints: readonly object[];
}

test('the program takes the file that it is given; the pod is nobody, and can write nowhere', () => {
  const { kinds, of, pod } = made({ config: 'timeouts: { drain: 5s }\nthreads: 3\n' });
  assert.deepEqual(kinds, ['ServiceAccount', 'ConfigMap', 'Service', 'Deployment']);
  const text = of('ConfigMap').data['config.yaml']!;
  const config = parseWaypointConfig(text, 'config.yaml', env);
  assert.deepEqual([config.namespace, config.name, config.threads], ['shop', 'w', 3]);
  assert.equal(config.timeouts.drainMs, 5_000);
  const [container] = pod.containers as [Pod['containers'][0]];
  assert.equal(container.image, 'registry/ambient:1');
  assert.deepEqual(container.resources, {
    requests: { cpu: '100m', memory: '128Mi' },
    limits: { memory: '512Mi' },
  });
  const { runAsNonRoot, seccompProfile } = pod.securityContext as Record<string, unknown>;
  assert.deepEqual([runAsNonRoot, seccompProfile], [true, { type: 'RuntimeDefault' }]);
});

test('pods are replaced for what they do not take over as they run', () => {
  const digest = (config: string): unknown => made({ config }).pod.metadata;
  assert.deepEqual(digest('log: { level: debug }\n'), digest('timeouts: { drain: 5s }\n'));
  assert.notDeepEqual(digest('threads: 4\n'), digest('log: { level: debug }\n'));
});

test('replicas, a budget, an autoscaler', () => {
  const annotated = made({}, { 'ambient.mesh/replicas': '3' });
  assert.equal(annotated.pod.replicas, 3);
  assert(annotated.kinds.includes('PodDisruptionBudget'));
  const deployment = 'spec: { replicas: 1 }\n';
  const chosen = made({ deployment }, { 'ambient.mesh/replicas': '3' });
  assert.equal(chosen.pod.replicas, 1);
  assert(!chosen.kinds.includes('PodDisruptionBudget'));
  const budget = made({ podDisruptionBudget: 'spec: { minAvailable: 50% }\n' }).of('PodDisruptionBudget');
  const { minAvailable, maxUnavailable } = budget.spec;
  assert.deepEqual([minAvailable, maxUnavailable], ['50%', undefined]);
  const scaled = made({ horizontalPodAutoscaler: 'spec: { minReplicas: 2, maxReplicas: 4 }\n' });
  assert.equal(scaled.pod.replicas, undefined, 'two would speak of the number');
  assert(scaled.kinds.includes('PodDisruptionBudget') && scaled.kinds.includes('HorizontalPodAutoscaler'));
});

const inPod = (text: string): Record<string, string> => ({ deployment: `spec: {template: {spec: {${text}}}}\n` });
const refused: readonly (readonly [data: Readonly<Record<string, string>>, says: RegExp])[] = [
  [inPod('hostNetwork: true'), /p deployment:1:\d+: spec\.template\.spec\.hostNetwork is no known field/],
  [inPod('volumes: []'), /volumes is no known field/],
  [inPod('serviceAccountName: admin'), /serviceAccountName is no known field/],
  [inPod('containers: [{name: other}]'), /containers\.0\.name must be one of waypoint, istio-proxy/],
  [inPod('containers: [{name: waypoint, image: evil}]'), /containers\.0\.image is no known field/],
  [inPod('containers: [{name: waypoint, resources: {limits: {cpu: much}}}]'), /must be a quantity/],
  [{ deploymnt: '' }, /deploymnt is no known key; did you mean deployment\?/],
  [{ service: 'spec: {externalIPs: [10.0.0.1]}' }, /externalIPs is no known field/],
  [{ podDisruptionBudget: 'spec: {minAvailable: 1, maxUnavailable: 1}' }, /either minAvailable or maxUnavailable/],
  [{ horizontalPodAutoscaler: 'spec: {minReplicas: 2}' }, /must name the field maxReplicas/],
  [{ config: 'controllerUrl: https://elsewhere' }, /p config:1:1: controllerUrl is no known field/],
  [{ config: 'timeouts: {drain: soon}' }, /p config:1:19: timeouts\.drain/],
];
for (const [data, says] of refused) {
  test(`refused: ${says.source}`, () => assert.throws(() => readWaypointParameters(data, 'ConfigMap shop/p'), says));
}
