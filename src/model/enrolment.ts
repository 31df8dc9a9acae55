// Who takes part in the mesh: the label on the pod, then the one on its namespace. Some pods never do.
import { IssueList } from './issues.ts';
import type { Labels, Resource } from './resources.ts';
import { traceSamplingAnnotation, traceSamplingOf } from './trace-sampling.ts';
import type { ResourceIssue } from './types.ts';

/** Ours first: where both are there, it decides. */
export const enrolmentLabels = ['ambient.mesh/dataplane-mode', 'istio.io/dataplane-mode'] as const;
const modes = new Set(['ambient', 'none']);
const sidecarAnnotation = 'sidecar.istio.io/status';

export interface EnrolmentFacts {
  readonly namespace: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly hostNetwork: boolean;
  readonly namespaceLabels: Labels;
  readonly systemNamespace: string;
}

/** True when the traffic of a pod is carried by the mesh. A value that is neither `ambient` nor `none` says nothing. */
export function isEnrolled(facts: EnrolmentFacts): boolean {
  // The mesh's own parts would wait for themselves.
  if (facts.hostNetwork || facts.namespace === facts.systemNamespace) return false;
  if (facts.annotations[sidecarAnnotation] !== undefined) return false;
  return (modeOf(facts.labels) ?? modeOf(facts.namespaceLabels)) === 'ambient';
}

/** What the enrolment labels among some labels say; null when they say nothing. */
export function modeOf(labels: Labels): 'ambient' | 'none' | null {
  for (const name of enrolmentLabels) {
    const value = labels[name];
    if (value === 'ambient' || value === 'none') return value;
  }
  return null;
}

/** Findings for an enrolment label of a pod or namespace, and a share of traces, whose value means nothing. */
export function enrolmentIssues(resource: Resource): readonly ResourceIssue[] {
  const list = new IssueList(resource);
  if (resource.kind !== 'Pod' && resource.kind !== 'Namespace') return list.issues;
  const { labels } = resource;
  const label = enrolmentLabels.find((name) => labels[name] !== undefined && !modes.has(labels[name]));
  if (label !== undefined) {
    const message = `${label} is "${labels[label]}", which says nothing`;
    const path = ['metadata', 'labels', label];
    const sought = { kind: 'name', name: labels[label] ?? '', among: [...modes], path } as const;
    list.add('AMB0101', path, message, 'write ambient or none', sought);
  }
  const share = resource.kind === 'Namespace' ? resource.annotations[traceSamplingAnnotation] : undefined;
  if (share !== undefined && traceSamplingOf(resource.annotations) === null) {
    const message = `${traceSamplingAnnotation} is "${share}", which says nothing`;
    list.add('AMB0104', ['metadata', 'annotations', traceSamplingAnnotation], message, 'write a number from 0 to 100');
  }
  return list.issues;
}
