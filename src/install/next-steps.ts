// What is to be done when everything has been applied; `ambientctl install` and the notes of the chart say the same.
import { nodeName } from './parts.ts';
import type { InstallValues } from './values.ts';

/** Commands, in their order. */
export function nextSteps({ namespace }: InstallValues): string[] {
  return [
    `kubectl -n ${namespace} rollout status daemonset/${nodeName}`,
    'kubectl label namespace NAME ambient.mesh/dataplane-mode=ambient',
  ];
}

/** What is missing in the values before node proxies can start, or ''. */
export function missingValue({ node }: InstallValues): string {
  const { backend = 'host' } = (node.config.capture ?? {}) as { backend?: unknown };
  return backend === 'host' && node.config.podCidrs === undefined ? missingNetworks : '';
}

export const missingNetworks =
  'node.config.podCidrs is not set, and node proxies do not start without the pod networks of their node';
