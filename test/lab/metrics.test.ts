// What a real Prometheus makes of the shop with its waypoint: every target is up, every exposition is in order and in
// the catalogue, and every expression of our dashboards and alerts, and of Istio's and Kiali's, finds its series.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { alerts } from '../../native-free/dashboards/alerts.ts';
import { dashboards } from '../../native-free/dashboards/dashboards.ts';
import { linesOf } from '../../src/base/line-streams.ts';
import { projectFile } from '../../src/base/project-files.ts';
import { LabMesh } from '../../src/cli/mesh.ts';
import { PageRelay } from '../../src/cli/page-relay.ts';
import {
  type DetailsView,
  type GraphView,
  type ProblemsView,
  type ProxiesView,
  segmentOrder,
} from '../../src/model/page-views.ts';
import { helpOf, metricCatalogue } from '../../src/telemetry/metric-catalogue.ts';
import type { Exporter } from '../../src/telemetry/metric-entry.ts';
import type { ReceivedSpan } from '../../src/telemetry/traces/testing-receiver.ts';
import { node1, startLab, type TestLab } from './harness.ts';
import { foreignQueries } from './istio-queries.ts';
import { Prometheus } from './prometheus.ts';
import { startReceiver } from './trace-receiver.ts';

const timeout = { timeout: 90_000 };
const deadlineMs = 60_000;
const openMetrics = 'application/openmetrics-text; version=1.0.0';
/** Of `node-1`, where the receiver of traces is. */
const receiverUrl = 'http://10.80.0.11:4318';
const tracing = { endpoint: receiverUrl, samplingPercent: 100 };
const rulesFile = projectFile('deploy/prometheus/alerts.yaml');

describe('metrics', () => {
  let lab: TestLab;
  let prometheus: Prometheus;
  let receiver: { close(): Promise<void> };
  let addresses: Record<Exporter, readonly string[]>;

  before(async () => {
    const nodeConfig = { log: { format: 'json' }, tracing: { ...tracing, connections: true } };
    const waypointConfig = { log: { format: 'json' }, tracing };
    lab = await startLab('', { paths: [projectFile('deploy/samples/shop')], nodeConfig, waypointConfig });
    receiver = await startReceiver(lab, node1, receiverUrl);
    const { refused } = await lab.client.apply([projectFile('deploy/samples/shop-waypoint')]);
    assert.deepEqual(refused, []);
    const { pods } = await lab.client.status();
    const waypoint = pods.find((pod) => pod.namespace === 'shop' && pod.serviceAccount === 'waypoint')!;
    const waypointAddress = waypoint.addresses.find((address) => !address.includes(':'))!;
    addresses = {
      node: ['10.80.0.11:15020', '10.80.0.12:15020'],
      waypoint: [`${waypointAddress}:15020`],
      controller: ['10.80.0.1:15020'],
    };
    prometheus = new Prometheus(lab, node1);
    const { node, waypoint: waypoints, controller } = addresses;
    const jobs = { 'ambient-node': node, 'ambient-waypoint': waypoints, 'ambient-controller': controller };
    await prometheus.start(jobs, rulesFile);
  });
  after(async () => {
    await prometheus?.close();
    await receiver?.close();
    await lab?.close();
  });

  /** Asks again until `done` has nothing left to say. */
  async function until(done: () => Promise<readonly string[]>): Promise<void> {
    const endMs = Date.now() + deadlineMs;
    for (;;) {
      const left = await done();
      if (left.length === 0) return;
      assert(Date.now() < endMs, left.join('\n'));
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Expressions with no series yet; throws for one that cannot be evaluated. */
  async function without(queries: readonly { what: string; expr: string; quiet?: boolean }[]): Promise<string[]> {
    const results = await prometheus.query(queries.map(({ expr }) => expr));
    return queries.flatMap(({ what, expr, quiet = false }, at) => {
      const { error, series } = results[at]!;
      assert.equal(error, null, `${what}: ${expr}: ${error}`);
      return series.length > 0 || quiet ? [] : [`nothing of ${what}: ${expr}`];
    });
  }

  test('every target is up', timeout, async () => {
    await until(async () => {
      const targets = await prometheus.targets();
      if (targets.length < 4) return [`${targets.length} targets`];
      return targets.filter(({ health }) => health !== 'up').map((one) => `${one.scrapeUrl}: ${one.lastError}`);
    });
  });

  test('every panel of every dashboard has data', timeout, async () => {
    const panels = dashboards.flatMap(({ title, rows }) =>
      rows.flatMap((row) =>
        row.panels.flatMap((panel) =>
          panel.queries.map(([expr]) => ({
            what: `${title}, ${panel.title}`,
            expr: expr.replaceAll('$__rate_interval', '30s').replaceAll(/\$(namespace|workload)\b/g, '.*'),
            quiet: panel.quiet ?? false,
          })),
        ),
      ),
    );
    assert(panels.length > 40);
    await until(() => without(panels));
  });

  test("queries of Istio's dashboards and of Kiali find their series", timeout, async () => {
    await until(() => without(foreignQueries));
  });

  test('exemplars are of traces that the receiver got', timeout, async () => {
    const url = `http://${addresses.waypoint[0]!}/metrics`;
    await until(async () => {
      const [open, told] = await prometheus.fetch([{ url, accept: openMetrics }, { url: `${receiverUrl}/spans` }]);
      const lines = [
        ...open!.text.matchAll(/^istio_request_duration_\w+_bucket\{.* # \{trace_id="([0-9a-f]{32})"\} /gm),
      ];
      if (told!.status !== 200 || lines.length === 0) return [`${lines.length} exemplars, receiver: ${told!.status}`];
      const spans = JSON.parse(told!.text) as ReceivedSpan[];
      const isThere = lines.some(([, id]) => spans.some(({ traceId }) => traceId === id));
      return isThere ? [] : [`none of ${lines.length} exemplars is among ${spans.length} spans`];
    });
  });

  test('requests and connections of the shop are spans', timeout, async () => {
    await until(async () => {
      const [told] = await prometheus.fetch([{ url: `${receiverUrl}/spans` }]);
      const spans = JSON.parse(told!.text) as ReceivedSpan[];
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      const withParent = spans.flatMap((span) => {
        const parent = byId.get(span.parentId);
        return parent === undefined ? [] : [{ span, parent }];
      });
      const requests = withParent.filter(({ span, parent }) => span.kind === 'client' && parent.kind === 'server');
      const tunnels = withParent.filter(
        ({ span, parent }) => span.name === 'inbound connection' && parent.name === 'outbound connection',
      );
      const whole = requests.filter(({ span, parent }) => {
        const { attributes, resource } = parent;
        return (
          resource['service.name'] === 'waypoint' &&
          resource['k8s.namespace.name'] === 'shop' &&
          typeof attributes['ambient.segment.application_ms'] === 'number' &&
          typeof attributes['ambient.segment.client_proxy_ms'] === 'number' &&
          span.attributes['ambient.destination.workload'] !== undefined
        );
      });
      const acrossNodes = tunnels.filter(
        ({ span, parent }) => span.resource['k8s.node.name'] !== parent.resource['k8s.node.name'],
      );
      return [
        ...(whole.length > 0 ? [] : [`no whole request among ${requests.length}`]),
        ...(acrossNodes.length > 0 ? [] : [`no tunnel among ${spans.length} spans`]),
      ];
    });
  });

  test('the live page is told of real edges, of refusals by name, and of the shares of a split', timeout, async () => {
    const relay = new PageRelay(new LabMesh(lab.client));
    const url = await relay.start(0);
    const stop = new AbortController();
    try {
      const page = await fetch(url);
      assert.match(await page.text(), /<script type="module" src="\/assets\//);
      assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
      const { body } = await fetch(`${url}events`, { signal: stop.signal });
      let left = ['no graph'];
      for await (const line of linesOf(Readable.fromWeb(body!), stop.signal)) {
        if (!line.startsWith('data: ') || !line.includes('"edges"')) continue;
        left = missingFrom(JSON.parse(line.slice('data: '.length)) as GraphView);
        if (left.length === 0) break;
      }
      assert.deepEqual(left, []);
      const edge = encodeURIComponent('shop/web>shop/payments');
      const details = (await (await fetch(`${url}api/details?edge=${edge}`)).json()) as DetailsView;
      assert.match(details.flows[0]?.line ?? '', /shop\/web-.* REFUSED .*payments-never-from-web/);
      assert.deepEqual(
        details.segments.map(({ segment }) => segment),
        segmentOrder,
      );
      const { proxies } = (await (await fetch(`${url}api/proxies`)).json()) as ProxiesView;
      assert.deepEqual(
        proxies.map(({ kind, name, load }) => [kind, name, load !== null]),
        [
          ['node', 'node-1', true],
          ['node', 'node-2', true],
          ['waypoint', 'shop/waypoint', true],
        ],
      );
      const { problems, well } = (await (await fetch(`${url}api/problems`)).json()) as ProblemsView;
      assert.ok(well.includes('every proxy is in step'), well.join());
      assert.ok(problems.some(({ code, node }) => code === 'AMB0411' && node === 'shop/payments'));
    } finally {
      stop.abort();
      await relay.close();
    }
  });

  test('alerts can be evaluated, and their rules are in order', timeout, async () => {
    assert.match(execFileSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' }), /SUCCESS: \d+ rules/);
    await without(alerts.map(({ alert, expr }) => ({ what: alert, expr, quiet: true })));
    // Whatever an alert is about is exported by somebody.
    const names = new Set(alerts.flatMap(({ expr }) => expr.match(/\b(ambient|istio)_[a-z_]+/g) ?? []));
    for (const name of names) assert(metricCatalogue().has(name.replace(/_bucket$/, '')), name);
  });

  test('the runbook has the place that each alert names', () => {
    const page = readFileSync(projectFile('docs/runbook.md'), 'utf8');
    const anchors = Array.from(page.matchAll(/^## (.*)$/gm), ([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const { alert, runbook } of alerts) {
      assert(anchors.includes(runbook), `${alert}: there is no #${runbook}`);
      assert(page.includes(`\`${alert}\``), `${alert} is not on the page`);
    }
  });

  for (const exporter of ['node', 'waypoint', 'controller'] as const) {
    test(`what the ${exporter} exports is in order, and what the catalogue says`, timeout, async () => {
      const url = `http://${addresses[exporter][0]!}/metrics`;
      const [plain, open] = await prometheus.fetch([{ url }, { url, accept: openMetrics }]);
      assert.match(plain!.type, /^text\/plain; version=0\.0\.4/);
      const { stderr } = spawnSync('promtool', ['check', 'metrics'], { input: plain!.text, encoding: 'utf8' });
      // Istio's name of it stays.
      const others = stderr
        .split('\n')
        .filter((line) => !line.startsWith('istio_request_duration_milliseconds use base'));
      assert.deepEqual(others.filter(Boolean), []);
      const seen = new Set<string>();
      for (const [, name = '', type = ''] of plain!.text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
        const known = metricCatalogue().get(name);
        assert.equal(known?.type, type, `${name} is a ${type}`);
        assert(known.by.includes(exporter), `${name} is of ${known.by}`);
        assert(plain!.text.includes(`# HELP ${name} ${helpOf(name)}\n`), name);
        seen.add(name);
      }
      const missing = [...metricCatalogue()].filter(([name, { by }]) => by.includes(exporter) && !seen.has(name));
      assert.deepEqual(
        missing.map(([name]) => name),
        [],
      );
      assert.match(open!.type, /^application\/openmetrics-text; version=1\.0\.0/);
      assert(open!.text.endsWith('\n# EOF\n'));
    });
  }
});

/** What the shop with its waypoint should show, and does not yet. */
function missingFrom({ edges, nodes }: GraphView): string[] {
  const edge = (id: string) => edges.find((one) => one.id === id);
  const refusedBy = (id: string) => edge(id)?.refusals.map(({ by }) => by) ?? [];
  const split = nodes.find(({ id }) => id === 'shop/checkout')?.splits[0];
  const actual = split?.backends.map((one) => one.actual ?? 0) ?? [];
  const wanted = {
    'mTLS and its rate':
      edge('shop/web>shop/catalog')?.transport === 'mtls' && edge('shop/web>shop/catalog')?.success === 1,
    'who is refused by an AuthorizationPolicy': refusedBy('shop/web>shop/payments').includes(
      'AuthorizationPolicy shop/payments-never-from-web',
    ),
    'who is refused for its plaintext': refusedBy('legacy/legacy>shop/payments').includes(
      'PeerAuthentication shop/payments',
    ),
    'an open connection': (edge('shop/web>shop/cart')?.openConnections ?? 0) > 0,
    'weights of the split': split?.backends.map((one) => one.configured).join() === '0.9,0.1',
    'its shares': actual.length === 2 && Math.abs(actual[0]! + actual[1]! - 1) < 0.001 && actual[0]! > 0.5,
  };
  return Object.entries(wanted).flatMap(([what, isThere]) => (isThere ? [] : [what]));
}
