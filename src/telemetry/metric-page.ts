// The text of docs/metrics.md, made of the catalogue.
import { metricGroups } from './metric-catalogue.ts';
import type { MetricEntry } from './metric-entry.ts';

const intro = `# Metrics

<!-- Made by \`npm run generate\` from src/telemetry/metric-catalogue.ts, which is to be changed instead. -->

Every program answers \`GET /metrics\` on port 15020, in Prometheus's text format, or in OpenMetrics for who asks
with \`Accept: application/openmetrics-text\`; there the durations of requests have exemplars with the \`trace_id\` of
sampled traces. Through the controller: \`GET /proxies/node/NODE/metrics\`
([what it can be asked](controller.md#what-it-can-be-asked)). Dashboards are in \`deploy/grafana\`, alerts in
\`deploy/prometheus\`, what to do about each in [the runbook](runbook.md).

Names without *stable* may still change between releases, and HELP says "(unstable)". A proxy keeps so many sets of
labels and no more: what is beyond is counted under \`unknown\` ends, and in \`ambient_metrics_folded_total\`.
Series of a workload that is no more are left out of scrapes 15 minutes after their last change.
`;

/** Markdown, one table for each group. */
export function metricPage(): string {
  const groups = Object.entries(metricGroups).map(([title, rows]) => {
    const lines = Object.entries<MetricEntry>(rows).map(([name, row]) => rowOf(name, row));
    return `## ${title}\n\n${heads}\n${lines.join('\n')}\n`;
  });
  return [intro, ...groups, labelsText()].join('\n');
}

const heads = '| name | type | unit | from | labels | meaning | normal |\n|---|---|---|---|---|---|---|';

function rowOf(name: string, { type, by, labels, help, normal, stable }: MetricEntry): string {
  const shown = labels.length > 8 ? "[Istio's](#labels)" : labels.map((label) => `\`${label}\``).join(' ');
  const from = by.length === 3 ? 'all' : by.join(', ');
  const kind = stable ? `${type}, stable` : type;
  return `| \`${name}\` | ${kind} | ${unitOf(name)} | ${from} | ${shown} | ${help} | ${normal} |`;
}

/** By the name's end, as Prometheus wants it. */
export function unitOf(name: string): string {
  const [, unit] = /_(seconds|milliseconds|bytes)(_total)?$/.exec(name) ?? [];
  return unit ?? (name.endsWith('_info') ? '' : '1');
}

function labelsText(): string {
  const of = (name: keyof (typeof metricGroups)["Istio's, of connections and requests"]) =>
    metricGroups["Istio's, of connections and requests"][name].labels.map((label) => `\`${label}\``).join(', ');
  return `## Labels

Of TCP: ${of('istio_tcp_connections_opened_total')}.

Of requests: ${of('istio_requests_total')}.

\`reporter\` is \`source\` or \`destination\` for a node proxy, \`waypoint\` for a waypoint (with
\`destinationReporter\` also \`destination\`). \`connection_security_policy\` is \`mutual_tls\` or \`unknown\`.
\`app\` is the canonical service, \`version\` the canonical revision.
`;
}
