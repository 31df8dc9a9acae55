// What a Gateway of the waypoint class becomes in a lab: what the controller makes of it in a cluster
// (`install/waypoint-objects.ts`), with the lab's own program, its folder of compiled code, and a log that is kept.
// There is no disruption budget, and no probe that ends a waypoint: the lab's faults hold programs up on purpose.
import { configDir, rootsKey } from '../install/parts.ts';
import { mergedFields } from '../install/values.ts';
import { type WaypointSettings, waypointObjects } from '../install/waypoint-objects.ts';
import { apiVersionOf } from '../kube/api/written-kinds.ts';
import type { GatewayInfrastructure } from '../model/resources.ts';
import type { KubeObject, PodSpec, WorkloadObject } from './objects.ts';

/** Where folders of the pod are: the lab makes none on the host, and everything under `/run` is the pod's. */
const home = '/run/ambient';
export const accessLogVolume = 'log';
export const accessLogName = 'access.log';
export const restartedAnnotation = 'kubectl.kubernetes.io/restartedAt';
export const waypointImage = 'ambient/waypoint';
const made: readonly string[] = ['ServiceAccount', 'ConfigMap', 'Service', 'Deployment'];

export interface LabWaypointSettings extends Pick<WaypointSettings, 'trustDomain' | 'clusterId' | 'controllerUrl'> {
  /** PEM of what verifies the controller. */
  readonly rootsPem: string;
  /** Folder of the lab where compiled code is kept. */
  readonly compiled: string;
  /** Fields of the configuration that differ from their defaults. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

interface GatewaySpec {
  readonly gatewayClassName?: string;
  readonly infrastructure?: Partial<GatewayInfrastructure>;
}

/** The objects, in the order in which they are applied. `restartedAt` changes when every pod is to be replaced. */
export function labWaypointObjects(
  gateway: KubeObject,
  { rootsPem, compiled, overrides, ...settings }: LabWaypointSettings,
  restartedAt: string,
): KubeObject[] {
  const { apiVersion, metadata } = gateway;
  const { name, namespace = '', uid = '', annotations = {} } = metadata;
  const { gatewayClassName = '', infrastructure } = (gateway.spec ?? {}) as GatewaySpec;
  const { labels: own = {}, annotations: noted = {} } = infrastructure ?? {};
  const request = {
    ...{ apiVersion, name, namespace, uid, annotations, gatewayClassName },
    infrastructure: { labels: own, annotations: noted, parametersRef: null },
  };
  const access = { access: 'on', accessFile: `${home}/${accessLogVolume}/${accessLogName}` };
  const config = mergedFields({ log: { level: 'info', format: 'text', ...access } }, overrides);
  const none = { cpu: '', memory: '', memoryLimit: '' };
  const use = { image: waypointImage, pullPolicy: 'Never', pullSecrets: [], resources: none };
  return waypointObjects(request, { ...settings, ...use, config })
    .filter(({ kind }) => made.includes(kind))
    .map((object) => ({ apiVersion: apiVersionOf(object.kind), ...object }) as unknown as KubeObject)
    .map((object) => {
      if (object.kind === 'ConfigMap') return withRoots(object, rootsPem);
      return object.kind === 'Deployment' ? adapted(object as WorkloadObject, compiled, restartedAt) : object;
    });
}

/** Beside the configuration, since several waypoints of a namespace share nothing in a lab. */
function withRoots(object: KubeObject, rootsPem: string): KubeObject {
  return { ...object, data: { ...(object as { data?: object }).data, [rootsKey]: rootsPem } } as KubeObject;
}

function adapted(deployment: WorkloadObject, compiled: string, restartedAt: string): WorkloadObject {
  const { spec } = deployment;
  const { metadata, spec: pod } = spec.template;
  const annotations = {
    ...metadata?.annotations,
    ...(restartedAt === '' ? {} : { [restartedAnnotation]: restartedAt }),
  };
  const template = { ...spec.template, metadata: { ...metadata, annotations }, spec: adaptedPod(pod, compiled) };
  return { ...deployment, spec: { ...spec, template } };
}

function adaptedPod(pod: PodSpec, compiled: string): PodSpec {
  const [{ command: _command, livenessProbe: _liveness, ...container }] = pod.containers as [PodSpec['containers'][0]];
  const config = `${home}/config`;
  const moved = (text: string): string => text.replace(configDir, config);
  const [configVolume] = pod.volumes?.filter(({ name }) => name === 'config') ?? [];
  const volumes = pod.volumes?.filter(({ name }) => name !== 'tmp' && name !== 'roots') ?? [];
  const roots = { name: 'roots', ...(configVolume?.configMap && { configMap: configVolume.configMap }) };
  const log = { name: accessLogVolume, emptyDir: {} };
  return {
    ...pod,
    containers: [
      {
        ...container,
        args: container.args?.map(moved) ?? [],
        env: [...(container.env ?? []), { name: 'NODE_COMPILE_CACHE', value: `${home}/compiled` }],
        readinessProbe: { ...container.readinessProbe, periodSeconds: 1 },
        volumeMounts: [
          ...(container.volumeMounts ?? [])
            .filter(({ name }) => name !== 'tmp')
            .map((mount) => ({ ...mount, mountPath: moved(mount.mountPath) })),
          { name: accessLogVolume, mountPath: `${home}/${accessLogVolume}` },
          { name: 'compiled', mountPath: `${home}/compiled` },
        ],
      },
    ],
    volumes: [...volumes, roots, log, { name: 'compiled', hostPath: { path: compiled } }],
  };
}
