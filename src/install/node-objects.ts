// The node proxy in a cluster: one pod per node, on the node's network, with no more rights than capture takes.
import { controllerHost } from './controller-objects.ts';
import {
  configDir,
  configMapOf,
  containerOf,
  digestOf,
  discoveryPort,
  imageUseOf,
  type Manifest,
  metaOf,
  nodeName as name,
  rootsKey,
  rootsName,
  selectorOf,
  tokenDir,
  tokenVolume,
  tracingMount,
  tracingVolume,
} from './parts.ts';
import { type InstallValues, mergedFields } from './values.ts';

const rootsDir = '/var/run/secrets/ambient';
/** In memory on every common distribution, so that keys may be kept across a restart (docs/node-proxy.md). */
const stateDir = '/run/ambient/node';
/** Beyond `timeouts.drain`. */
const graceSeconds = 35;
/** Where containerd and CRI-O keep the network namespaces of pods. */
const namespacesDir = '/run/netns';
/** Fields that proxies take over as they run, and that nobody restarts for. */
export const liveFields: readonly string[] = ['limits', 'timeouts', 'log'];

/** Everything of the node proxies, in the order in which it is applied. Throws CONFIG_INVALID. */
export function nodeObjects(values: InstallValues): Manifest[] {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metaOf(name, name, values.namespace) };
  return [
    // It asks the controller alone, never the API server.
    { ...account, automountServiceAccountToken: false },
    configMapOf(name, values, nodeConfig(values)),
    daemonSet(values),
  ];
}

/** What the file of every node proxy says; its node's name is in the variable NODE_NAME. */
export function nodeConfig(values: InstallValues): Readonly<Record<string, unknown>> {
  const { namespace, trustDomain, clusterId, clusterDomain, node } = values;
  const chosen = {
    trustDomain,
    clusterId,
    clusterDomain,
    systemNamespace: namespace,
    controllerUrl: `https://${controllerHost(values)}:${discoveryPort}`,
    controllerRootsFile: `${rootsDir}/${rootsKey}`,
    tokenFile: `${tokenDir}/ambient-token`,
    stateDir,
    // One per CPU would be many on a large node, each with a heap of its own.
    threads: 2,
    ...(isInPods(values) ? { capture: { backend: 'pod', namespaces: namespacesDir } } : {}),
  };
  return mergedFields(chosen, node.config);
}

/** True where capture is inside of pods. */
export function isInPods({ node }: InstallValues): boolean {
  return node.captureBackend === 'pod';
}

/** What capture takes, and what takes its rules away again. */
export function captureCapabilities(values: InstallValues): Readonly<Record<string, readonly string[]>> {
  return {
    drop: ['ALL'],
    // NET_ADMIN: nftables and the policy route of capture, transparent sockets, marks on packets.
    // SYS_ADMIN: entering the network namespaces of pods (setns); no lesser capability will do.
    add: ['NET_ADMIN', ...(isInPods(values) ? ['SYS_ADMIN'] : [])],
  };
}

/** The folder of the pods' network namespaces: those that come later appear in it too. */
function namespacesMounts(values: InstallValues): readonly object[] {
  const mount = { name: 'namespaces', mountPath: namespacesDir, readOnly: true, mountPropagation: 'HostToContainer' };
  return isInPods(values) ? [mount] : [];
}

/** The volume of `namespacesMounts`. */
function namespacesVolumes(values: InstallValues): readonly object[] {
  const volume = { name: 'namespaces', hostPath: { path: namespacesDir, type: 'DirectoryOrCreate' } };
  return isInPods(values) ? [volume] : [];
}

function daemonSet(values: InstallValues): Manifest {
  const { namespace, node, image } = values;
  const container = {
    ...containerOf(name, imageUseOf(values), node.resources),
    args: ['run', '--config', `${configDir}/config.yaml`],
    env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
    // No ports are named: on the node's network they would count as taken, and an upgrade could not overlap.
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsUser: 0,
      capabilities: captureCapabilities(values),
    },
    volumeMounts: [
      { name: 'config', mountPath: configDir, readOnly: true },
      { name: 'roots', mountPath: rootsDir, readOnly: true },
      { name: 'token', mountPath: tokenDir, readOnly: true },
      tracingMount,
      { name: 'state', mountPath: stateDir },
      { name: 'tmp', mountPath: '/tmp' },
      ...namespacesMounts(values),
    ],
  };
  const pod = {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    hostNetwork: true,
    dnsPolicy: 'ClusterFirstWithHostNet',
    priorityClassName: 'system-node-critical',
    ...(image.pullSecrets.length === 0 ? {} : { imagePullSecrets: image.pullSecrets.map((each) => ({ name: each })) }),
    terminationGracePeriodSeconds: graceSeconds,
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    // Every node, whatever its taints.
    tolerations: [{ operator: 'Exists' }],
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
    volumes: [
      { name: 'config', configMap: { name } },
      // The pod waits until the controller has made it.
      { name: 'roots', configMap: { name: rootsName } },
      tokenVolume,
      tracingVolume,
      { name: 'state', hostPath: { path: stateDir, type: 'DirectoryOrCreate' } },
      { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
      ...namespacesVolumes(values),
    ],
  };
  const fixed = Object.entries(nodeConfig(values)).filter(([field]) => !liveFields.includes(field));
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: metaOf(name, name, namespace),
    spec: {
      selector: { matchLabels: selectorOf(name) },
      // The new proxy takes over while the old one drains.
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: metaOf(name, name).labels, annotations: digestOf(Object.fromEntries(fixed)) },
        spec: pod,
      },
    },
  };
}
