// Istio's Telemetry, which nobody reads here: what it asks for, and where that is said instead.
import { traceSamplingAnnotation } from '../model/trace-sampling.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import { mappingOf } from './probes.ts';
import { finding } from './unused-finding.ts';

const parts = {
  tracing: 'set `tracing` in the files of waypoints and node proxies (docs/traces.md)',
  metrics: 'take it away: metrics are those of docs/metrics.md',
  accessLogging: 'set `log.access` in the files of waypoints and node proxies',
} as const;

/** A finding for each part of a Telemetry. */
export function telemetry(mesh: AnalyzedMesh): ResourceIssue[] {
  return mesh.unused
    .filter(({ kind }) => kind === 'Telemetry')
    .flatMap((object) => {
      const spec = mappingOf(object.object['spec']);
      return Object.entries(parts)
        .filter(([part]) => Array.isArray(spec[part]) && spec[part].length > 0)
        .map(([part, fix]) => {
          const percent = part === 'tracing' ? shareOf((spec['tracing'] as unknown[])[0]) : null;
          const annotate = `annotate Namespace ${object.namespace} with ${traceSamplingAnnotation}: "${percent}"`;
          const message = `${part} of a Telemetry is not read: nothing comes of it`;
          return finding(
            object,
            'AMB0004',
            ['spec', part],
            message,
            percent === null ? fix : `${annotate}, and ${fix}`,
          );
        });
    });
}

/** What it samples, in percent; null where it does not say. */
function shareOf(tracing: unknown): unknown {
  const { disableSpanReporting, randomSamplingPercentage } = mappingOf(tracing);
  return disableSpanReporting === true ? 0 : (randomSamplingPercentage ?? null);
}
