// What a Gateway of the waypoint class becomes in a cluster, as data: a service account, the configuration, a
// Deployment of the program, and the Service at which node proxies find it (l7 §5.1).
import { gatewayNameLabel, waypointPort } from '../model/waypoints.ts';
import type { KubeObject, WorkloadObject } from './objects.ts';
import { ownerReferenceTo } from './pods.ts';
import { merged } from './system-config.ts';

export const waypointContainer = 'waypoint';
export const waypointImage = 'ambient/waypoint';
/** Where the pod's own folders are mounted. */
const home = '/run/ambient';
export const accessLogVolume = 'log';
export const accessLogName = 'access.log';
export const restartedAnnotation = 'kubectl.kubernetes.io/restartedAt';
const replicasAnnotation = 'ambient.mesh/replicas';
const readinessPort = 15021;
const tokenSeconds = 3_600;

export interface WaypointSettings {
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly controllerUrl: string;
  readonly tokenAudience: string;
  /** PEM of what verifies the controller. */
  readonly rootsPem: string;
  /** Folder of the lab where compiled code is kept. */
  readonly compiled: string;
  /** Fields of the configuration that differ from their defaults. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

interface GatewaySpec {
  readonly gatewayClassName?: string;
  readonly infrastructure?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** The objects, in the order in which they are applied. `restartedAt` changes when every pod is to be replaced. */
export function waypointObjects(gateway: KubeObject, settings: WaypointSettings, restartedAt: string): KubeObject[] {
  const { name, namespace = '' } = gateway.metadata;
  const spec = (gateway.spec ?? {}) as GatewaySpec;
  const labels = {
    ...spec.infrastructure?.labels,
    [gatewayNameLabel]: name,
    'gateway.networking.k8s.io/gateway-class-name': spec.gatewayClassName ?? '',
  };
  const meta = { name, namespace, labels, ownerReferences: [ownerReferenceTo(gateway)] };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta },
    configMap(gateway, { ...meta, name: configName(name) }, settings),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta,
      spec: {
        type: 'ClusterIP',
        ipFamilyPolicy: 'PreferDualStack',
        selector: { [gatewayNameLabel]: name },
        ports: [
          { name: 'status-port', port: readinessPort, targetPort: readinessPort, appProtocol: 'tcp' },
          { name: 'mesh', port: waypointPort, targetPort: waypointPort, appProtocol: 'hbone' },
        ],
      },
    },
    deployment(gateway, meta, settings, restartedAt),
  ];
}

/** How many pods a waypoint has: its Gateway's annotation, or one. */
export function replicasOf(gateway: KubeObject): number {
  const text = gateway.metadata.annotations?.[replicasAnnotation] ?? '';
  return /^\d{1,2}$/.test(text) ? Number(text) : 1;
}

const configName = (name: string) => `${name}-waypoint`;

function configMap(gateway: KubeObject, metadata: KubeObject['metadata'], settings: WaypointSettings): KubeObject {
  const { name, namespace = '' } = gateway.metadata;
  const { trustDomain, clusterId, controllerUrl, rootsPem, overrides } = settings;
  const config = {
    namespace,
    name,
    trustDomain,
    clusterId,
    controllerUrl,
    controllerRootsFile: `${home}/config/roots.pem`,
    tokenFile: `${home}/token/token`,
    stateDir: `${home}/state`,
    log: { level: 'info', format: 'text', access: 'on', accessFile: `${home}/${accessLogVolume}/${accessLogName}` },
  };
  const data = { 'waypoint.yaml': JSON.stringify(merged(config, overrides), null, 2), 'roots.pem': rootsPem };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data } as KubeObject;
}

function deployment(
  gateway: KubeObject,
  metadata: KubeObject['metadata'],
  { tokenAudience, compiled }: WaypointSettings,
  restartedAt: string,
): WorkloadObject {
  const { name } = gateway.metadata;
  const { infrastructure } = (gateway.spec ?? {}) as GatewaySpec;
  // It speaks the tunnel protocol itself: nothing of it is captured.
  const modes = { 'ambient.mesh/dataplane-mode': 'none', 'istio.io/dataplane-mode': 'none' };
  const labels = { ...metadata.labels, ...modes };
  const annotations = {
    ...infrastructure?.annotations,
    ...(restartedAt === '' ? {} : { [restartedAnnotation]: restartedAt }),
  };
  const mounts = ['config', 'token', 'state', accessLogVolume, 'compiled'];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: replicasOf(gateway),
      selector: { matchLabels: { [gatewayNameLabel]: name } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels, annotations },
        spec: {
          serviceAccountName: name,
          automountServiceAccountToken: false,
          containers: [
            {
              name: waypointContainer,
              image: waypointImage,
              args: ['--config', `${home}/config/waypoint.yaml`],
              env: [
                { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                { name: 'NODE_COMPILE_CACHE', value: `${home}/compiled` },
              ],
              ports: [{ name: 'mesh', containerPort: waypointPort }],
              readinessProbe: { httpGet: { path: '/healthz/ready', port: readinessPort }, periodSeconds: 1 },
              volumeMounts: mounts.map((each) => ({ name: each, mountPath: `${home}/${each}` })),
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: configName(name) } },
            { name: 'token', projected: { sources: [{ serviceAccountToken: tokenOf(tokenAudience) }] } },
            { name: 'state', emptyDir: {} },
            { name: accessLogVolume, emptyDir: {} },
            { name: 'compiled', hostPath: { path: compiled } },
          ],
        },
      },
    },
  };
}

function tokenOf(audience: string) {
  return { audience, expirationSeconds: tokenSeconds, path: 'token' };
}
