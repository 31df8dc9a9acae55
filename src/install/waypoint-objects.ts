// What a Gateway of the waypoint class becomes in a cluster, as data: a service account, the configuration, a
// Deployment of the program, and the Service at which node proxies find it (l7 §5.1). The lab's waypoints are these
// objects too.
import type { WantedObject } from '../kube/object-keeper.ts';
import type { GatewayResource } from '../model/resources.ts';
import { gatewayNameLabel, waypointPort } from '../model/waypoints.ts';
import { liveFields } from './node-objects.ts';
import {
  configDir,
  configText,
  containerOf,
  digestOf,
  type ImageUse,
  type Resources,
  readinessPort,
  rootsKey,
  rootsName,
  tokenVolume,
  tracingMount,
  tracingVolume,
} from './parts.ts';
import { mergedFields } from './values.ts';
import { type WaypointParameters, waypointContainer } from './waypoint-parameters.ts';

/** A Gateway as far as its waypoint follows from it. */
export type WaypointRequest = Pick<
  GatewayResource,
  'apiVersion' | 'name' | 'namespace' | 'uid' | 'gatewayClassName' | 'annotations' | 'infrastructure'
>;

export interface WaypointSettings extends ImageUse {
  readonly pullSecrets: readonly string[];
  readonly resources: Resources;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly controllerUrl: string;
  /** Fields of the waypoint's file that differ from their defaults. */
  readonly config: Readonly<Record<string, unknown>>;
}

export const waypointProgram = 'ambient-waypoint';
const rootsDir = '/var/run/secrets/ambient';
const tokenDir = '/var/run/secrets/tokens';
const stateDir = '/run/ambient/state';
const replicasAnnotation = 'ambient.mesh/replicas';
/** On everything that a waypoint is made of. */
export const classLabel = 'gateway.networking.k8s.io/gateway-class-name';
/** Beyond `timeouts.drain`. */
const graceSeconds = 35;
/** Nobody: every image has it, and it owns nothing. */
const userId = 65_532;

type Labels = Readonly<Record<string, string>>;
interface Chosen {
  readonly metadata?: { readonly labels: Labels; readonly annotations: Labels };
}

/** The objects, in the order in which they are applied. */
export function waypointObjects(
  gateway: WaypointRequest,
  settings: WaypointSettings,
  parameters: WaypointParameters = {},
): WantedObject[] {
  const { name } = gateway;
  const meta = (chosen: Chosen = {}, title = name) => metaOfPart(gateway, chosen, title);
  const { service, serviceAccount, horizontalPodAutoscaler } = parameters;
  const config = waypointConfig(gateway, settings, parameters);
  const data = { 'config.yaml': configText(config) };
  const { labels, annotations, ...metadata } = meta();
  return [
    { kind: 'ServiceAccount', metadata: meta(serviceAccount), automountServiceAccountToken: false },
    { kind: 'ConfigMap', metadata: { ...metadata, name: configName(name), labels, annotations }, data },
    {
      kind: 'Service',
      metadata: meta(service),
      spec: {
        type: 'ClusterIP',
        ipFamilyPolicy: 'PreferDualStack',
        ...defined(service?.spec),
        selector: { [gatewayNameLabel]: name },
        ports: [
          { name: 'status-port', port: readinessPort, protocol: 'TCP', targetPort: readinessPort, appProtocol: 'tcp' },
          { name: 'mesh', port: waypointPort, protocol: 'TCP', targetPort: waypointPort, appProtocol: 'hbone' },
        ],
      },
    },
    deployment(gateway, settings, parameters, config),
    ...budget(gateway, parameters),
    ...(horizontalPodAutoscaler === undefined
      ? []
      : [
          {
            kind: 'HorizontalPodAutoscaler' as const,
            metadata: meta(horizontalPodAutoscaler),
            spec: {
              scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
              ...defined(horizontalPodAutoscaler.spec),
            },
          },
        ]),
  ];
}

/** What the file of a waypoint says; its pod's and node's names are in variables. */
function waypointConfig(
  { name, namespace }: WaypointRequest,
  { trustDomain, clusterId, controllerUrl, config }: WaypointSettings,
  parameters: WaypointParameters,
): Readonly<Record<string, unknown>> {
  const chosen = {
    namespace,
    name,
    trustDomain,
    clusterId,
    controllerUrl,
    controllerRootsFile: `${rootsDir}/${rootsKey}`,
    tokenFile: `${tokenDir}/ambient-token`,
    stateDir,
  };
  return mergedFields(mergedFields(chosen, config), parameters.config ?? {});
}

function deployment(
  gateway: WaypointRequest,
  settings: WaypointSettings,
  parameters: WaypointParameters,
  config: Readonly<Record<string, unknown>>,
): WantedObject {
  const { name } = gateway;
  const { template } = parameters.deployment?.spec ?? {};
  const meta = metaOfPart(gateway, template ?? {}, name);
  // It speaks the tunnel protocol itself: nothing of it is captured.
  const modes = { 'ambient.mesh/dataplane-mode': 'none', 'istio.io/dataplane-mode': 'none' };
  const fixed = Object.fromEntries(Object.entries(config).filter(([field]) => !liveFields.includes(field)));
  const annotations = { ...meta.annotations, ...digestOf(fixed) };
  const { replicas } = scaleOf(gateway, parameters);
  return {
    kind: 'Deployment',
    metadata: metaOfPart(gateway, parameters.deployment ?? {}, name),
    spec: {
      ...(replicas === null ? {} : { replicas }),
      selector: { matchLabels: { [gatewayNameLabel]: name } },
      // The next one is there before the last one goes.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { ...meta.labels, ...modes }, annotations },
        spec: podSpec(name, settings, parameters),
      },
    },
  };
}

function podSpec(name: string, settings: WaypointSettings, parameters: WaypointParameters): object {
  const { containers = [], imagePullSecrets, ...placed } = parameters.deployment?.spec.template.spec ?? {};
  const own = containerOf(waypointProgram, settings, settings.resources);
  const chosen = containers.map(({ resources }) => defined(resources)).at(-1) ?? {};
  const secrets = imagePullSecrets ?? settings.pullSecrets.map((each) => ({ name: each }));
  const mounts = [
    { name: 'config', mountPath: configDir, readOnly: true },
    { name: 'roots', mountPath: rootsDir, readOnly: true },
    { name: 'token', mountPath: tokenDir, readOnly: true },
    tracingMount,
    { name: 'state', mountPath: stateDir },
    { name: 'tmp', mountPath: '/tmp' },
  ];
  const field = (fieldPath: string) => ({ fieldRef: { apiVersion: 'v1', fieldPath } });
  const container = {
    ...own,
    name: waypointContainer,
    env: [
      { name: 'POD_NAME', valueFrom: field('metadata.name') },
      { name: 'NODE_NAME', valueFrom: field('spec.nodeName') },
    ],
    ports: [{ name: 'mesh', containerPort: waypointPort, protocol: 'TCP' }],
    resources: { ...own.resources, ...chosen },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: mounts,
  };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { [gatewayNameLabel]: name } },
  };
  return {
    serviceAccountName: name,
    // It asks the controller alone, never the API server.
    automountServiceAccountToken: false,
    ...(secrets.length === 0 ? {} : { imagePullSecrets: secrets }),
    terminationGracePeriodSeconds: graceSeconds,
    topologySpreadConstraints: [spread],
    ...defined(placed),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: userId,
      runAsGroup: userId,
      fsGroup: userId,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
    volumes: [
      { name: 'config', configMap: { name: configName(name) } },
      { name: 'roots', configMap: { name: rootsName } },
      tokenVolume,
      tracingVolume,
      // The keys in it never get to a disk.
      { name: 'state', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
      { name: 'tmp', emptyDir: {} },
    ],
  };
}

/** From two replicas on, or where somebody asks for one. */
function budget(gateway: WaypointRequest, parameters: WaypointParameters): WantedObject[] {
  const { podDisruptionBudget: chosen } = parameters;
  if (scaleOf(gateway, parameters).least < 2 && chosen === undefined) return [];
  const asked = defined(chosen?.spec);
  const isBounded = 'minAvailable' in asked || 'maxUnavailable' in asked;
  const selector = { matchLabels: { [gatewayNameLabel]: gateway.name } };
  const metadata = metaOfPart(gateway, chosen ?? {}, gateway.name);
  return [
    {
      kind: 'PodDisruptionBudget',
      metadata,
      spec: { ...(isBounded ? {} : { maxUnavailable: 1 }), ...asked, selector },
    },
  ];
}

/** How many pods there are: `replicas` null where an autoscaler says so. */
function scaleOf(
  { annotations }: WaypointRequest,
  { deployment: chosen, horizontalPodAutoscaler: scaler }: WaypointParameters,
): { readonly replicas: number | null; readonly least: number } {
  if (scaler !== undefined) return { replicas: null, least: scaler.spec.minReplicas ?? 1 };
  const text = annotations[replicasAnnotation] ?? '';
  const replicas = chosen?.spec.replicas ?? (/^\d{1,2}$/.test(text) ? Number(text) : 1);
  return { replicas, least: replicas };
}

const configName = (name: string) => `${name}-waypoint`;

function metaOfPart(gateway: WaypointRequest, chosen: Chosen, name: string) {
  const { apiVersion, namespace, uid, gatewayClassName, infrastructure } = gateway;
  return {
    name,
    namespace,
    labels: {
      ...infrastructure.labels,
      ...chosen.metadata?.labels,
      'app.kubernetes.io/name': waypointProgram,
      'service.istio.io/canonical-name': gateway.name,
      'app.kubernetes.io/part-of': 'ambient',
      [gatewayNameLabel]: gateway.name,
      [classLabel]: gatewayClassName,
    },
    annotations: { ...infrastructure.annotations, ...chosen.metadata?.annotations },
    ownerReferences: [{ apiVersion, kind: 'Gateway', name: gateway.name, uid, controller: true }],
  };
}

/** The fields that somebody has chosen. */
function defined(fields: object | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields ?? {}).filter(([, value]) => value !== undefined));
}
