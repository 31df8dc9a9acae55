// What a real Prometheus makes of the shop with its waypoint: every target is up, every exposition is in order and in
// the catalogue, and every expression of our dashboards and alerts, and of Istio's and Kiali's, finds its series.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { alerts, runbookPage } from '../../native-free/dashboards/alerts.ts';
import { dashboards } from '../../native-free/dashboards/dashboards.ts';
import { projectFile } from '../../src/base/project-files.ts';
import { helpOf, metricCatalogue } from '../../src/telemetry/metric-catalogue.ts';
import { anchorsOf } from './anchors.ts';
import { foreignQueries } from './istio-queries.ts';
import { rulesFile, type Scene, until } from './scene.ts';

const timeout = { timeout: 90_000 };
const openMetrics = 'application/openmetrics-text; version=1.0.0';

interface Question {
  readonly what: string;
  readonly expr: string;
  readonly quiet?: boolean;
}

/** Declares the tests; `scene` is there when they run. */
export function metricsRows(scene: () => Scene): void {
  /** Expressions with no series yet; throws for one that cannot be evaluated. */
  async function without(queries: readonly Question[]): Promise<string[]> {
    const results = await scene().prometheus.query(queries.map(({ expr }) => expr));
    return queries.flatMap(({ what, expr, quiet = false }, at) => {
      const { error, series } = results[at]!;
      assert.equal(error, null, `${what}: ${expr}: ${error}`);
      return series.length > 0 || quiet ? [] : [`nothing of ${what}: ${expr}`];
    });
  }

  test('every target is up', timeout, async () => {
    await until(async () => {
      const targets = await scene().prometheus.targets();
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

  test('alerts can be evaluated, and their rules are in order', timeout, async () => {
    assert.match(execFileSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' }), /SUCCESS: \d+ rules/);
    await without(alerts.map(({ alert, expr }) => ({ what: alert, expr, quiet: true })));
    // Whatever an alert is about is exported by somebody.
    const names = new Set(alerts.flatMap(({ expr }) => expr.match(/\b(ambient|istio)_[a-z_]+/g) ?? []));
    for (const name of names) assert(metricCatalogue().has(name.replace(/_bucket$/, '')), name);
  });

  test('the runbook has the place that each alert links to', () => {
    const page = readFileSync(projectFile('docs/runbook.md'), 'utf8');
    const anchors = anchorsOf(page);
    const links = readFileSync(rulesFile, 'utf8').matchAll(/runbook_url: (\S+)#(\S+)$/gm);
    let count = 0;
    for (const [, url, anchor = ''] of links) {
      assert.equal(url, runbookPage);
      assert(anchors.includes(anchor), `there is no #${anchor}`);
      count++;
    }
    assert.equal(count, alerts.length);
    for (const { alert } of alerts) assert(page.includes(`\`${alert}\``), `${alert} is not on the page`);
  });
}

/** Of each program. */
export function expositionRows(scene: () => Scene): void {
  for (const exporter of ['node', 'waypoint', 'controller'] as const) {
    test(`what the ${exporter} exports is in order, and what the catalogue says`, timeout, async () => {
      const url = `http://${scene().addresses[exporter][0]!}/metrics`;
      const [plain, open] = await scene().prometheus.fetch([{ url }, { url, accept: openMetrics }]);
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
}
