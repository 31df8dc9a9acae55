// What is to be done when everything has been applied; `ambientctl install` and the notes of the chart say the same.
import { nodeName } from './parts.ts';
import type { InstallValues } from './values.ts';

/** Commands, in their order. */
export function nextSteps({ namespace }: InstallValues): string[] {
  return [
    `kubectl -n ${namespace} rollout status daemonset/${nodeName}`,
    'ambientctl check --wait 5m',
    'ambientctl enroll NAME --wait',
  ];
}
