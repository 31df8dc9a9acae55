// The alerts with the times that they really have, told made-up series by promtool: they fire for who is meant, and not
// during a rolling restart, for what was always refused, or for those who only wait.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { projectFile } from '../../src/base/project-files.ts';

const node = 'job="ambient-node",instance="n1"';
const build = [`ambient_build_info{${node},component="ambient-node",node="node-1",version="1"}`, '1x60'] as const;
const pair = 'source_workload_namespace="shop",source_workload="web"';
const toCart = `${pair},destination_workload_namespace="shop",destination_workload="cart"`;
const denied = `reporter="destination",response_flags="DENY",source_principal="spiffe://x",${toCart}`;
const refused = `istio_tcp_connections_failed_total{${denied}}`;
const carried = `istio_tcp_received_bytes_total{reporter="destination",${toCart}}`;
const ends = (from: string, to: string) =>
  [
    `source_workload_namespace="shop",source_workload="${from}"`,
    `destination_workload_namespace="shop",destination_workload="${to}"`,
    `destination_service_namespace="shop",destination_service_name="${to}"`,
  ].join(',');
const segment = (from: string, to: string, le: string) =>
  `ambient_request_segment_seconds_bucket{segment="application",${ends(from, to)},le="${le}"}`;
const duration = (from: string, to: string, le: string) =>
  `istio_request_duration_milliseconds_bucket{reporter="waypoint",${ends(from, to)},le="${le}"}`;
const slow = (from: string, to: string): (readonly [string, string])[] => [
  [segment(from, to, '1'), '0x60'],
  [segment(from, to, '2.5'), '0+60x60'],
  [segment(from, to, '+Inf'), '0+60x60'],
  [duration(from, to, '1000'), '0x60'],
  [duration(from, to, '2500'), '0+60x60'],
  [duration(from, to, '+Inf'), '0+60x60'],
];
const certificate = (leftS: number): (readonly [string, string])[] => [
  [`ambient_certificate_expiry_timestamp_seconds{${node},identity="spiffe://x"}`, `${leftS}x60`],
  [`ambient_certificate_lifetime_seconds{${node},identity="spiffe://x"}`, '86400x60'],
  build,
];

interface Row {
  readonly name: string;
  readonly alert: string;
  /** Series, a value a minute. */
  readonly series: readonly (readonly [string, string])[];
  /** Labels of who fires, looked at after half an hour; [] for nobody. */
  readonly fires: readonly Readonly<Record<string, string>>[];
}

const rows: readonly Row[] = [
  {
    name: 'a node proxy that is replaced',
    alert: 'AmbientNodeProxyDown',
    series: [[`up{${node}}`, '1x29 0 1x30'], build],
    fires: [],
  },
  {
    name: 'a node proxy that stays away',
    alert: 'AmbientNodeProxyDown',
    series: [
      [`up{${node}}`, '1x20 0x40'],
      [build[0], '1x20 stale'],
    ],
    fires: [{ severity: 'critical', sign: 'silent', job: 'ambient-node', instance: 'n1', node: 'node-1' }],
  },
  {
    name: 'a proxy that comes back to the controller',
    alert: 'AmbientProxyOutOfStep',
    series: [[`ambient_discovery_connected{${node}}`, '1x28 0 0 1x30'], build],
    fires: [],
  },
  {
    name: 'who was refused from the beginning',
    alert: 'AmbientPolicyRefuses',
    series: [[refused, '0+60x60']],
    fires: [],
  },
  {
    name: 'who was let through, and is refused',
    alert: 'AmbientPolicyRefuses',
    series: [
      [carried, '0+100x15 1500x45'],
      [refused, '0x15 0+60x45'],
    ],
    fires: [
      {
        severity: 'warning',
        sign: 'connections',
        source_workload_namespace: 'shop',
        source_workload: 'web',
        destination_workload_namespace: 'shop',
        destination_workload: 'cart',
      },
    ],
  },
  {
    name: 'a chain of which the last is slow',
    alert: 'AmbientApplicationSlow',
    series: [...slow('web', 'cart'), ...slow('cart', 'stock')],
    fires: [
      {
        severity: 'warning',
        destination_workload_namespace: 'shop',
        destination_workload: 'stock',
        destination_service_namespace: 'shop',
        destination_service_name: 'stock',
      },
    ],
  },
  {
    name: 'a certificate at half of its life',
    alert: 'AmbientCertificateExpires',
    series: certificate(45_000),
    fires: [],
  },
  {
    name: 'a certificate that was not renewed at half of its life',
    alert: 'AmbientCertificateExpires',
    series: certificate(35_000),
    fires: [
      {
        severity: 'critical',
        job: 'ambient-node',
        instance: 'n1',
        identity: 'spiffe://x',
        node: 'node-1',
        component: 'ambient-node',
      },
    ],
  },
];

test('alerts fire for who is meant, and for nobody else', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-rules-'));
  const tests = rows.map(({ name, alert, series, fires }) => ({
    name,
    interval: '1m',
    input_series: series.map(([one, values]) => ({ series: one, values })),
    // Labels alone: texts are those of the rules, and would only be said twice.
    promql_expr_test: [
      {
        expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
        eval_time: '30m',
        exp_samples: fires.map((who) => ({ labels: alertSeries(alert, who), value: 1 })),
      },
    ],
  }));
  try {
    const file = path.join(folder, 'tests.yaml');
    writeFileSync(file, stringify({ rule_files: [projectFile('deploy/prometheus/alerts.yaml')], tests }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function alertSeries(alertname: string, who: Readonly<Record<string, string>>): string {
  const labels = Object.entries({ alertname, alertstate: 'firing', ...who });
  return `ALERTS{${labels.map(([name, value]) => `${name}="${value}"`).join(',')}}`;
}
