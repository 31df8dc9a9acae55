// Selectors that select nothing, and policies on pods whose traffic no proxy of ours carries.
import { thereIs } from '../base/nearest-name.ts';
import type { Labels } from '../model/resources.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';
import type { Analyzer } from './analyzer.ts';
import { type Change, renamed } from './changes.ts';

const kinds = ['AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'] as const;

/** A policy that holds for no pod, or for none that is enrolled. */
export const selectors: Analyzer = (mesh, report) => {
  for (const policy of kinds.flatMap((kind) => mesh.of(kind))) {
    if ('targets' in policy && policy.targets.length > 0) continue;
    const selector = policy.selector ?? {};
    const reach = mesh.reachOf(policy.namespace);
    const pods = mesh.selected(reach, selector);
    const isWide = Object.keys(selector).length === 0;
    if (pods.length === 0 && !isWide) {
      const where = reach === null ? '' : `in namespace ${reach} `;
      const message = `selects no pod: none ${where}has ${labelsText(selector)}`;
      const path = ['spec', 'selector', 'matchLabels'];
      const { hint, change } = nearLabel(mesh, reach, selector, path);
      report(policy, 'AMB1001', path, message, `correct the labels, or delete it${hint}`, change);
    }
    if (pods.length > 0 && !pods.some((pod) => pod.isEnrolled) && policy.kind !== 'RequestAuthentication') {
      const path = isWide ? ['spec'] : ['spec', 'selector', 'matchLabels'];
      const message = `is enforced nowhere: ${podsText(pods)} not in the mesh`;
      report(policy, 'AMB1002', path, message, `label the namespace: ambient.mesh/dataplane-mode=ambient`);
    }
  }
};

/** `app=web, tier=front`. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

function podsText(pods: readonly PodLike[]): string {
  const [first] = pods;
  const name = `${first?.resource.kind} ${first?.namespace}/${first?.resource.name}`;
  return pods.length === 1
    ? `${name}, the only one that it selects, is`
    : `${name} and the other ${pods.length - 1} that it selects are`;
}

/** What pods have for the first label that none has as it is asked for, in words; and the change when it is a slip. */
export function nearLabel(
  mesh: AnalyzedMesh,
  reach: string | null,
  selector: Labels,
  path: readonly (string | number)[],
): { readonly hint: string; readonly change: Change | null } {
  for (const [key, value] of Object.entries(selector)) {
    const values = new Set(mesh.selected(reach, {}).flatMap(({ labels }) => labels[key] ?? []));
    if (values.has(value)) continue;
    if (values.size === 0) return { hint: '', change: null };
    const hint = `; ${thereIs(value, values, `${key} of pods is`)}`;
    return { hint, change: renamed(value, values, [...path, key]) };
  }
  return { hint: '', change: null };
}
