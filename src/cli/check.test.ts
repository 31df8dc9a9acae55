// `ambientctl check`: what it makes of a status and of certificates, in every format.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { CertRow } from '../analyze/certificate-rows.ts';
import { type CheckCategory, certificateChecks, loadChecks, statusChecks } from '../analyze/checks.ts';
import { version } from '../base/version.ts';
import type { NodeFinding, ProxyStateView, ProxyView, StatusView } from '../model/views.ts';
import { checkResult } from './check-report.ts';
import { render } from './command.ts';
import { assertGolden } from './testing-golden.ts';

const finding: NodeFinding = {
  id: 'cilium-host-routing',
  severity: 'error',
  text: 'Cilium routes pods past the hooks of this node',
  fix: 'set',
  set: ['bpf.hostLegacyRouting=true'],
  hint: 'docs/node-proxy.md#what-a-node-needs',
};
const proxyOf = (node: string, change: Partial<ProxyView> = {}): ProxyView => ({
  kind: 'node',
  name: `ambient-node-${node}`,
  node,
  version,
  ready: true,
  inStep: true,
  behindSince: null,
  types: [],
  findings: [],
  ...change,
});
const statusOf = (change: Partial<StatusView> = {}): StatusView => ({
  proxies: [proxyOf('node-1'), proxyOf('node-2')],
  sources: [{ path: 'cluster', ok: true, error: null, ignored: [] }],
  issues: [],
  objects: [],
  version,
  ...change,
});
const certOf = (change: Partial<CertRow> = {}): CertRow => ({
  holder: 'node/node-1',
  type: 'leaf',
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  serial: '7f',
  notBefore: '2026-01-01T00:00:00Z',
  notAfter: '2026-01-02T00:00:00Z',
  daysLeft: 0.7,
  state: 'ok',
  note: '',
  ...change,
});

test('a mesh that is well: every check holds, exit 0', async () => {
  const result = checkResult([...statusChecks(statusOf(), []), certificateChecks([certOf()])]);
  assert.equal(result.exitCode, 0);
  assertGolden('check-well.txt', await render(result, 'table'));
  assert.equal(await render(result, 'short'), '√ all is well\n');
});

const bad = () => {
  const place = { file: 'routes.yaml', line: 3, column: 5 };
  const issue = { kind: 'HTTPRoute', namespace: 'shop', name: 'cart', message: 'the rule has no backendRefs', fix: '' };
  const status = statusOf({
    proxies: [
      proxyOf('node-1', { findings: [finding] }),
      proxyOf('node-2', { findings: [finding], ready: false, inStep: false, version: '0.0.9' }),
    ],
    sources: [{ path: 'mesh', ok: false, error: { ...place, message: 'is no YAML' }, ignored: [] }],
    issues: [{ ...issue, code: 'AMB0407', severity: 'warning', place, field: '' }],
  });
  const expired = certOf({ state: 'expired', daysLeft: -1 });
  const root = certOf({ holder: 'controller', type: 'root', identity: 'root', state: 'ends soon' });
  return checkResult([...statusChecks(status, ['node-3']), certificateChecks([expired, root])]);
};

for (const format of ['table', 'short', 'json']) {
  test(`a mesh that is not well, as ${format}: what, where, and what to do`, async () => {
    const result = bad();
    assert.equal(result.exitCode, 1);
    assertGolden(`check-bad.${format}.txt`, (await render(result, format)).replaceAll(version, 'VERSION'));
  });
}

test('warnings alone are no failure', () => {
  const root = certOf({ state: 'ends soon' });
  assert.equal(checkResult([certificateChecks([root])]).exitCode, 0);
});

test('every hint is a heading of a page that is there', () => {
  const { categories } = bad().data as { readonly categories: readonly CheckCategory[] };
  for (const { hint } of categories.flatMap(({ checks }) => checks)) {
    if (hint === undefined) continue;
    const [file = '', anchor] = hint.split('#');
    const headings = readFileSync(path.join(import.meta.dirname, '../..', file), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('#'))
      .map((line) =>
        line
          .replace(/^#+ /, '')
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      );
    assert.ok(anchor === undefined || headings.includes(anchor), hint);
  }
});

test('proxies that are late, full or silent are named', () => {
  const stateOf = (p99: number, use: number) =>
    ({
      threads: [{ loopDelayMs: { p50: 1, p99, max: 200 } }],
      limits: [{ limit: 'connectionsMax', value: 100, use }],
    }) as unknown as ProxyStateView;
  const well = { who: 'node node-1', state: stateOf(4, 90), problem: null };
  const late = { who: 'node node-2', state: stateOf(163.5, 95), problem: null };
  const silent = { who: 'waypoint shop/waypoint', state: null, problem: 'no answer in 2000 ms' };
  assert.deepEqual(
    loadChecks([well, late, silent]).checks.map(({ error }) => error),
    [
      'waypoint shop/waypoint: no answer in 2000 ms',
      'node node-2: events wait 164 ms (p99); under 5 is normal',
      'node node-2: connectionsMax 95 of 100',
    ],
  );
  assert(loadChecks([well]).checks.every(({ result }) => result === 'success'));
});
