// Istio's labels of the two ends of a connection or request.
import type { EdgeEnd } from './edge-counters.ts';

/** What a workload is called by its own labels; '' where unknown. */
export interface CanonicalName {
  readonly service: string;
  readonly revision: string;
}

/** What is needed to name an end. */
export interface EndNames {
  readonly clusterId: string;
  readonly canonicalName: (namespace: string, workload: string) => CanonicalName | null;
}

export const unknown = 'unknown';

/** `a="1",b="2"`, escaped as a scrape wants it. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function escaped(value: string): string {
  return /["\\\n]/.test(value) ? value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n') : value;
}

/** The values of an end's labels. */
export function istioEnd(end: EdgeEnd, { clusterId, canonicalName }: EndNames) {
  const name = end.workload === '' ? null : canonicalName(end.namespace, end.workload);
  return {
    workload: end.workload || unknown,
    namespace: end.namespace || unknown,
    principal: end.identity || unknown,
    service: name?.service || unknown,
    revision: name?.revision || unknown,
    cluster: end.workload === '' ? unknown : clusterId,
  };
}
