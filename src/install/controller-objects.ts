// The controller in a cluster: who it is, what it may do, its Deployment and how it is reached.
import { clusterPermissions, systemPermissions } from '../kube/api/permissions.ts';
import { isPageOpen, pageConfig, pagePodParts, pagePort } from './page-parts.ts';
import {
  caSecretName,
  configDir,
  configMapOf,
  containerOf,
  digestOf,
  discoveryPort,
  gatewayClassName,
  imageOf,
  imageUseOf,
  leaseName,
  type Manifest,
  metaOf,
  metricsPort,
  controllerName as name,
  nodeName,
  readinessPort,
  selectorOf,
  tokenAudience,
  tokenDir,
  tokenVolume,
  webhookPort,
} from './parts.ts';
import { type InstallValues, mergedFields } from './values.ts';
import { webhookServicePort } from './webhook-objects.ts';

/** Nobody: every image has it, and it owns nothing. */
const userId = 65_532;
const caDir = '/run/ambient/ca';
const api = 'rbac.authorization.k8s.io';
/** The address at which every proxy finds the controller. */
export const controllerHost = ({ namespace }: Pick<InstallValues, 'namespace'>) => `${name}.${namespace}.svc`;

/** Everything of the controller, in the order in which it is applied. Throws CONFIG_INVALID. */
export function controllerObjects(values: InstallValues): Manifest[] {
  const { namespace, controller } = values;
  const meta = metaOf(name, name, namespace);
  const replicated: Manifest[] =
    controller.replicas < 2
      ? []
      : [
          {
            apiVersion: 'policy/v1',
            kind: 'PodDisruptionBudget',
            metadata: meta,
            spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(name) } },
          },
        ];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta },
    ...clusterRole(values),
    ...systemRole(namespace),
    configMapOf(name, values, controllerConfig(values)),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta,
      spec: {
        selector: selectorOf(name),
        ports: [
          { name: 'discovery', port: discoveryPort, targetPort: 'discovery', appProtocol: 'grpcs' },
          ...(values.webhook.enabled
            ? [{ name: 'webhook', port: webhookServicePort, targetPort: 'webhook', appProtocol: 'https' }]
            : []),
          ...(isPageOpen(values) ? [{ name: 'page', port: pagePort, targetPort: 'page', appProtocol: 'https' }] : []),
        ],
      },
    },
    ...replicated,
    deployment(values),
  ];
}

/** What the file of the controller says. */
export function controllerConfig(values: InstallValues): Readonly<Record<string, unknown>> {
  const { namespace, trustDomain, clusterId, clusterDomain, controller, waypoint, image } = values;
  const { pullPolicy, pullSecrets } = image;
  const chosen = {
    source: 'kubernetes',
    trustDomain,
    clusterId,
    clusterDomain,
    systemNamespace: namespace,
    caDir,
    caSecret: caSecretName,
    serverNames: [
      controllerHost(values),
      `${controllerHost(values)}.${clusterDomain}`,
      'localhost',
      '127.0.0.1',
      '::1',
    ],
    waypoints: {
      image: imageOf(values),
      pullPolicy,
      ...(pullSecrets.length === 0 ? {} : { pullSecrets }),
      resources: waypoint.resources,
      ...(Object.keys(waypoint.config).length === 0 ? {} : { config: waypoint.config }),
    },
    auth: { audiences: [tokenAudience], nodeAccounts: [`${namespace}/${nodeName}`] },
    webhook: { configuration: values.webhook.enabled ? name : '' },
    replicas: { account: `${namespace}/${name}`, tokenFile: `${tokenDir}/ambient-token` },
    page: pageConfig(values),
  };
  return mergedFields(chosen, controller.config);
}

const names = { caSecret: caSecretName, lease: leaseName, gatewayClass: gatewayClassName };

function clusterRole(values: InstallValues): Manifest[] {
  const { namespace } = values;
  const metadata = metaOf(name, name);
  const rules = clusterPermissions({ ...names, webhook: values.webhook.enabled ? name : '' });
  return [
    { apiVersion: `${api}/v1`, kind: 'ClusterRole', metadata, rules },
    binding('ClusterRole', namespace, metadata),
  ];
}

function systemRole(namespace: string): Manifest[] {
  const metadata = metaOf(name, name, namespace);
  const rules = systemPermissions(names);
  return [{ apiVersion: `${api}/v1`, kind: 'Role', metadata, rules }, binding('Role', namespace, metadata)];
}

function binding(kind: 'Role' | 'ClusterRole', namespace: string, metadata: Manifest['metadata']): Manifest {
  const roleRef = { apiGroup: api, kind, name };
  return { apiVersion: `${api}/v1`, kind: `${kind}Binding`, metadata, roleRef, subjects: [account(namespace)] };
}

const account = (namespace: string) => ({ kind: 'ServiceAccount', name, namespace });

function deployment(values: InstallValues): Manifest {
  const { namespace, controller, image } = values;
  const labels = {
    ...metaOf(name, name).labels,
    'ambient.mesh/dataplane-mode': 'none',
    'istio.io/dataplane-mode': 'none',
  };
  const page = pagePodParts(values);
  const container = {
    ...containerOf(name, imageUseOf(values), controller.resources),
    ports: [
      { name: 'discovery', containerPort: discoveryPort },
      ...(values.webhook.enabled ? [{ name: 'webhook', containerPort: webhookPort }] : []),
      ...page.ports,
      { name: 'metrics', containerPort: metricsPort },
      { name: 'readiness', containerPort: readinessPort },
    ],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: [
      { name: 'config', mountPath: configDir, readOnly: true },
      { name: 'ca', mountPath: '/run/ambient' },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'token', mountPath: tokenDir, readOnly: true },
      ...page.volumeMounts,
    ],
  };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(name) },
  };
  const pod = {
    serviceAccountName: name,
    priorityClassName: 'system-cluster-critical',
    ...(image.pullSecrets.length === 0 ? {} : { imagePullSecrets: image.pullSecrets.map((each) => ({ name: each })) }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: userId,
      runAsGroup: userId,
      fsGroup: userId,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    topologySpreadConstraints: [spread],
    containers: [container],
    volumes: [
      { name: 'config', configMap: { name } },
      // The copy of the root's key never gets to a disk.
      { name: 'ca', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
      { name: 'tmp', emptyDir: {} },
      // By which the replicas know each other.
      tokenVolume,
      ...page.volumes,
    ],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metaOf(name, name, namespace),
    spec: {
      replicas: controller.replicas,
      selector: { matchLabels: selectorOf(name) },
      // The next one is there before the last one goes.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels, annotations: digestOf(controllerConfig(values)) }, spec: pod },
    },
  };
}
