// What Grafana and the Prometheus operator pick up when it is wished for: dashboards and alerts, as they stand under
// deploy/grafana and deploy/prometheus.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { projectFile } from '../base/project-files.ts';
import { readYaml } from '../config/yaml.ts';
import { type Manifest, metaOf } from './parts.ts';
import type { InstallValues } from './values.ts';

const dashboardsDir = projectFile('deploy/grafana');
const rulesFile = projectFile('deploy/prometheus/rules.yaml');
const partName = 'ambient';
/** By default Grafana's sidecar takes what has it. */
const sidecarLabel = { grafana_dashboard: '1' };

/** One ConfigMap for each dashboard, with the label that Grafana's sidecar looks for, and one PrometheusRule. */
export function monitoringObjects(values: InstallValues): Manifest[] {
  return [
    ...(values.dashboards.enabled ? dashboardObjects(values) : []),
    ...(values.alerts.enabled ? [alertsObject(values)] : []),
  ];
}

function dashboardObjects({ namespace, dashboards }: InstallValues): Manifest[] {
  return readdirSync(dashboardsDir)
    .sort()
    .map((file) => {
      const meta = metaOf(`ambient-dashboard-${path.basename(file, '.json')}`, partName, namespace);
      return {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...meta, labels: { ...meta.labels, ...sidecarLabel, ...dashboards.labels } },
        data: { [file]: readFileSync(path.join(dashboardsDir, file), 'utf8') },
      };
    });
}

function alertsObject({ namespace, alerts }: InstallValues): Manifest {
  const rules = readYaml(readFileSync(rulesFile, 'utf8'), rulesFile)[0]!.value as Manifest;
  const meta = metaOf(partName, partName, namespace);
  const { groups } = rules['spec'] as { readonly groups: readonly RuleGroup[] };
  const spec = {
    groups: groups.map((group) => ({ ...group, rules: group.rules.map(withRunbook(alerts.runbookUrl)) })),
  };
  return { ...rules, metadata: { ...meta, labels: { ...meta.labels, ...alerts.labels } }, spec };
}

interface RuleGroup {
  readonly name: string;
  readonly rules: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

/** The page is where the installation says; the place on it stays. */
function withRunbook(page: string) {
  return (rule: RuleGroup['rules'][number]) => {
    const anchor = rule.annotations['runbook_url']?.replace(/^[^#]*/, '');
    return { ...rule, annotations: { ...rule.annotations, runbook_url: `${page}${anchor}` } };
  };
}
