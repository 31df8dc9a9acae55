// The Pod objects of the controller and of the node proxies, as the DaemonSet `ambient-node` of a cluster has them: on
// the host's network, with a uid that their tokens are bound to. The lab runs the programs itself, so no kubelet takes
// them up.
import type { NodePlan } from './addresses.ts';
import { unmanagedAnnotation } from './kubelet.ts';
import type { Pod } from './objects.ts';
import { withCondition } from './pods.ts';
import { rfc3339 } from './store.ts';
import { nodeAccount, systemNamespace } from './system-config.ts';

export const controllerPodName = 'ambient-controller';
/** The pod of a node's proxy. */
export const nodePodName = (nodeName: string) => `ambient-node-${nodeName}`;

/** The object of a node proxy that has not started yet. */
export function nodeProxyPod(node: NodePlan, nowMs: number): Pod {
  return systemPod({ name: nodePodName(node.name), part: 'ambient-node', account: nodeAccount, node, nowMs });
}

/**
 * The object of the controller, for who looks for it through the API. It is said to be on a node, though it lives in
 * the fabric: a pod that is nowhere would be scheduled.
 */
export function controllerPod(node: NodePlan, nowMs: number): Pod {
  return systemPod({ name: controllerPodName, part: controllerPodName, account: controllerPodName, node, nowMs });
}

/** True for the object of the controller. */
export function isControllerPod({ metadata }: Pod): boolean {
  return metadata.namespace === systemNamespace && metadata.name === controllerPodName;
}

function systemPod(of: { name: string; part: string; account: string; node: NodePlan; nowMs: number }): Pod {
  const { name, part, account, node, nowMs } = of;
  const ips = node.addresses.map((ip) => ({ ip }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: systemNamespace,
      labels: { app: part, 'app.kubernetes.io/name': part },
      annotations: { [unmanagedAnnotation]: 'true' },
    },
    spec: {
      nodeName: node.name,
      serviceAccountName: account,
      hostNetwork: true,
      containers: [{ name: part, image: part.replace('-', '/') }],
    },
    status: {
      phase: 'Running',
      hostIP: node.addresses[0],
      hostIPs: ips,
      podIP: node.addresses[0],
      podIPs: ips,
      startTime: rfc3339(nowMs),
      conditions: [],
    },
  };
}

/** The pod with its condition `Ready`. */
export function withReadiness(pod: Pod, ready: boolean, nowMs: number): Pod {
  const told = withCondition(withCondition(pod, 'ContainersReady', ready, nowMs), 'Ready', ready, nowMs);
  const state = { running: { startedAt: pod.status.startTime ?? rfc3339(nowMs) } };
  const containerStatuses = pod.spec.containers.map(({ name, image = '' }) => {
    return { name, image, ready, started: true, restartCount: 0, state };
  });
  return { ...told, status: { ...told.status, containerStatuses } };
}
