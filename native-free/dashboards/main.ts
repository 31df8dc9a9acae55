// `npm run dashboards`: writes deploy/grafana and deploy/prometheus, which `npm run generate` does too.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ruleGroups } from './alerts.ts';
import { dashboards } from './dashboards.ts';
import { dashboardJson } from './panels.ts';

const projectRoot = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const head = '# Made by `npm run dashboards`; change native-free/dashboards/alerts.ts instead.\n';

/** Writes every dashboard, and the alerts: plain, and as an object for the Prometheus operator. */
export function writeDashboards(): void {
  const folders = ['grafana', 'prometheus'].map((name) => path.join(projectRoot, 'deploy', name)) as [string, string];
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  for (const one of dashboards) {
    writeFileSync(path.join(folders[0], `${one.name}.json`), `${JSON.stringify(dashboardJson(one), null, 2)}\n`);
  }
  const groups = stringify(ruleGroups(), { lineWidth: 0 });
  writeFileSync(path.join(folders[1], 'alerts.yaml'), head + groups);
  const metadata = { name: 'ambient', namespace: 'ambient-system', labels: { 'app.kubernetes.io/name': 'ambient' } };
  const object = { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata, spec: ruleGroups() };
  writeFileSync(path.join(folders[1], 'rules.yaml'), head + stringify(object, { lineWidth: 0 }));
}

if (import.meta.main || process.argv[1] === import.meta.filename) {
  writeDashboards();
  process.stderr.write('ambient: wrote deploy/grafana and deploy/prometheus\n');
}
