import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeView } from '../model/views.ts';
import { ControllerMetrics, type ControllerReading } from './controller-metrics.ts';
import { helpOf, metricCatalogue } from './metric-catalogue.ts';
import { ProxyMetrics, type ProxyReading } from './registry.ts';
import { vanishedSeriesMs } from './vanished-series.ts';

const edge: EdgeView = {
  reporter: 'source',
  source: { workload: 'web', namespace: 'shop', identity: 'spiffe://cluster.local/ns/shop/sa/web' },
  destination: { workload: '', namespace: '', identity: '', service: 'cart.shop.svc.cluster.local' },
  transport: 'mtls',
  flag: '-',
  decidedBy: null,
  opened: 2,
  closed: 1,
  failed: 0,
  bytesSent: 100,
  bytesReceived: 7,
};

const reading: ProxyReading = {
  clusterId: 'Kubernetes',
  edges: [edge],
  requests: [],
  counters: new Map([
    ['ambient_connections_open', 1],
    ['ambient_tunnel_client_streams_opened_total', 9],
    ['ambient_limit_rejections_total/connectionsMax', 4],
    ['ambient_policy_hits_total/dry-run deny shop/p#0', 3],
    ['ambient_metrics_folded_total/tcp', 6],
    ['ambient_metrics_series/http', 8],
  ]),
  threads: [
    { id: 0, state: 'serving', restarts: 2, loopDelayMs: { p50: 0.25, p99: 4, max: 20 } },
    { id: 1, state: 'dead', restarts: 0, loopDelayMs: { p50: 0, p99: 0, max: 0 } },
  ],
  limits: [
    { limit: 'connectionsMax', value: 50, use: 7 },
    { limit: 'endpointAttempts', value: 3, use: null },
  ],
  capture: { state: 'applied', repairs: 3 },
  clientAddresses: { ipv4: true, ipv6: false },
  discovery: { connected: true, lastUpdateAtMs: 5_000 },
  certificates: [{ identity: 'spiffe://x', notAfterMs: 60_000, lifeMs: 90_000 }],
  ready: true,
  canonicalName: (_namespace, workload) => (workload === 'web' ? { service: 'web-app', revision: 'v1' } : null),
};

const controller: ControllerReading = {
  proxiesConnected: 2,
  proxiesInStep: 1,
  sourcesBroken: 0,
  addresses: 9,
  policies: 3,
  ready: true,
  issuerNotAfterMs: 60_000,
};

function metrics(): ProxyMetrics {
  return new ProxyMetrics(async () => reading, { component: 'ambient-node', version: '1.2.3', node: 'n1' });
}

test('TCP metrics carry the names and labels of Istio', async () => {
  const { text } = await metrics().scrape();
  const line = text.split('\n').find((one) => one.startsWith('istio_tcp_connections_opened_total{')) ?? '';
  for (const label of [
    'reporter="source"',
    'source_workload="web"',
    'source_canonical_service="web-app"',
    'source_app="web-app"',
    'source_version="v1"',
    'source_principal="spiffe://cluster.local/ns/shop/sa/web"',
    'source_cluster="Kubernetes"',
    'destination_workload="unknown"',
    'destination_service="cart.shop.svc.cluster.local"',
    'destination_service_name="cart"',
    'destination_service_namespace="shop"',
    'request_protocol="tcp"',
    'response_flags="-"',
    'connection_security_policy="mutual_tls"',
  ]) {
    assert.ok(line.includes(label), `${label} is not in ${line}`);
  }
  assert.match(line, /} 2$/);
  assert.match(text, /istio_tcp_received_bytes_total\{.*} 100\n/);
  assert.match(text, /istio_tcp_sent_bytes_total\{.*} 7\n/);
  assert.doesNotMatch(text, /istio_tcp_connections_failed_total\{/);
});

test('limits: what they are, how much of each is used, what they refused', async () => {
  const all = metrics();
  await all.scrape();
  const { text } = await all.scrape();
  for (const line of [
    'ambient_limit{limit="connectionsMax"} 50',
    'ambient_limit_use{limit="connectionsMax"} 7',
    'ambient_limit{limit="endpointAttempts"} 3',
    'ambient_limit_rejections_total{limit="connectionsMax"} 4',
    'ambient_policy_hits_total{hit="dry-run deny",rule="shop/p#0"} 3',
    'ambient_metrics_folded_total{family="tcp"} 6',
    'ambient_metrics_series{family="http"} 8',
  ]) {
    assert(text.includes(`${line}\n`), line);
  }
  assert.equal(text.includes('ambient_limit_use{limit="endpointAttempts"}'), false);
});

test('series of a workload that vanished are gone after a while', async () => {
  let nowMs = 0;
  const vanished = { ...reading, canonicalName: () => null };
  const build = { component: 'ambient-node', version: '1', node: 'n1' };
  const all = new ProxyMetrics(
    async () => vanished,
    build,
    () => nowMs,
  );
  assert.match((await all.scrape()).text, /^istio_tcp_connections_opened_total\{/m);
  nowMs = vanishedSeriesMs;
  assert.doesNotMatch((await all.scrape()).text, /^istio_tcp_connections_opened_total\{/m);
});

test('a second scrape shows the same, not the double', async () => {
  const both = metrics();
  await both.scrape();
  const { text } = await both.scrape();
  assert.match(text, /istio_tcp_received_bytes_total\{.*} 100\n/);
  assert.match(text, /ambient_capture_repairs_total 3\n/);
  assert.match(text, /ambient_data_thread_restarts_total\{thread="0"} 2\n/);
  assert.match(text, /ambient_event_loop_delay_seconds\{thread="0",statistic="p99"} 0.004\n/);
});

test('what is ours is there, and said to be unstable', async () => {
  const { text } = await metrics().scrape();
  for (const expected of [
    'ambient_build_info{component="ambient-node",version="1.2.3",node="n1"} 1',
    'ambient_data_threads{state="serving"} 1',
    'ambient_capture_state{state="applied"} 1',
    'ambient_capture_state{state="failed"} 0',
    'ambient_discovery_last_update_timestamp_seconds 5',
    'ambient_certificate_expiry_timestamp_seconds{identity="spiffe://x"} 60',
    'ambient_certificate_lifetime_seconds{identity="spiffe://x"} 90',
    'ambient_tunnel_client_streams_opened_total 9',
    'ambient_connections_open 1',
  ]) {
    assert.ok(text.includes(`${expected}\n`), `${expected} is missing`);
  }
  for (const [, name = '', help = ''] of text.matchAll(/^# HELP ((?:ambient|istio)_\S+) (.*)$/gm)) {
    assert.equal(help.includes('(unstable)'), metricCatalogue().get(name)?.stable === false, `${name}: ${help}`);
  }
});

test('what is exported is in the catalogue, with this type, help and these labels', async () => {
  const scrapes = [
    (await metrics().scrape()).text,
    (await new ControllerMetrics(() => controller, '1.2.3').scrape()).text,
  ];
  for (const text of scrapes) {
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    assert.ok(types.length > 20);
    for (const [, name = '', type = ''] of types) {
      const known = metricCatalogue().get(name);
      assert.equal(known?.type, type, `${name} is a ${type}`);
      assert(text.includes(`# HELP ${name} ${helpOf(name)}\n`), `${name}: ${helpOf(name)}`);
      for (const [, labels = ''] of text.matchAll(new RegExp(`^${name}\\{(.*)\\} `, 'gm'))) {
        const names = Array.from(labels.matchAll(/(\w+)="(?:[^"\\\\]|\\\\.)*"/g), ([, label]) => label);
        assert.deepEqual(names, known?.labels, name);
      }
    }
  }
});
