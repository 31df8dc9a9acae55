import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyStateView, ProxyView, StatusView } from '../../model/views.ts';
import { LastCarried } from './last-carried.ts';
import { MeshMap } from './mesh-map.ts';
import { problemsView } from './problems-view.ts';
import { type ProxiesSources, proxiesDown, proxiesView } from './proxies-view.ts';
import { nowMs, request, smallMesh } from './testing-page.ts';

const identity = 'spiffe://cluster.local/ns/shop/sa/cart';
const timeAt = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();

const proxy: ProxyView = {
  ...{ kind: 'node', name: 'ambient-node-node-1', node: 'node-1', version: '0.1.0' },
  ...{ ready: true, inStep: true, connected: true, behindSince: null, types: [] },
};

function sourcesOf(change: Partial<ProxyView>, state: Partial<ProxyStateView> = {}): ProxiesSources {
  const status: StatusView = {
    proxies: [{ ...proxy, ...change }],
    sources: [],
    issues: [],
    objects: [],
    version: '0.1.0',
  };
  const said: ProxyStateView = {
    ...{
      pid: 1,
      version: '0.1.0',
      ready: true,
      pending: [],
      certificates: [],
      limits: [],
      threads: [],
      configFile: null,
    },
    discovery: { connected: true, lastError: null } as ProxyStateView['discovery'],
    ...state,
  };
  const pod = 'ambient-system/ambient-node-node-1';
  const view = { kind: 'node', name: 'node-1', pod, node: 'node-1', version: '0.1.0', path: '' } as const;
  const states = change.connected === false ? [] : [[pod, { view, state: said, heardAt: timeAt(0) }] as const];
  return { status, replicas: [], mesh: smallMesh, states: new Map(states), carried: new LastCarried(), nowMs };
}

function problemsOf(sources: ProxiesSources) {
  const map = new MeshMap(smallMesh);
  const certificates = {
    ...{ roots: [], servers: [], nextIssuerFrom: null },
    issuer: { serial: '1', subject: 'issuer', notBefore: timeAt(1e9), notAfter: timeAt(-1e10) },
  };
  return problemsView({ ...sources, map, certificates, findings: [], unseen: [] }).problems;
}

test('a certificate that is not renewed is told at its proxy and among the problems, with why', () => {
  const reason = `the certificate authority refused ${identity}: not authenticated`;
  const leaf = { type: 'leaf', serial: '1', notBefore: timeAt(80_000), notAfter: timeAt(-40_000) } as const;
  const sources = sourcesOf({}, { certificates: [{ identity, state: 'available', reason, chain: [leaf] }] });
  const [row] = proxiesView(sources).proxies;
  assert.deepEqual(row?.notes, [
    {
      ...{ severity: 'error', id: 'certificate' },
      text: `The certificate of ${identity} was not renewed in time (ends 2026-01-02 03:04): ${reason}`,
    },
  ]);
  const [problem] = problemsOf(sources);
  assert.equal(problem?.title, 'certificates: every certificate is there, in date, and was renewed in time');
  assert.equal(problem.text, `node/node-1 ${identity} late ${reason}`);
});

test('a proxy that is overloaded is among the problems, as check says it', () => {
  const loopDelayMs = { p50: 1, p99: 84.2, max: 120 };
  const thread = { id: 0, state: 'serving', connections: 1, restarts: 0, tcp: '', resources: {}, loopDelayMs } as const;
  const sources = sourcesOf({}, { threads: [thread] });
  assert.match(proxiesView(sources).proxies[0]?.notes[0]?.text ?? '', /^The proxy of node-1 is overloaded: /);
  const [problem] = problemsOf(sources);
  assert.equal(problem?.title, 'load: no proxy is overloaded');
  assert.equal(problem.text, 'node node-1: events wait 84 ms (p99); under 5 is normal');
});

const lost: readonly (readonly [what: string, flowsAgoMs: readonly number[], note: RegExp, ofItsPods: string])[] = [
  [
    'serves: it is cut off',
    [30_000, 2_000],
    /^The proxy of node-1 cannot reach the controller for 20 s: /,
    'proxy-behind',
  ],
  ['carries nothing: it is down', [90_000, 21_000, 19_000], /^The proxy of node-1 is down for 20 s: /, 'proxy-down'],
  [
    'had no traffic: nobody knows',
    [],
    /^The proxy of node-1 is down or cannot reach the controller for 20 s: /,
    'proxy-down',
  ],
];
for (const [what, flowsAgoMs, text, ofItsPods] of lost) {
  test(`a proxy that the controller has lost, and that ${what}`, () => {
    const carried = new LastCarried();
    const map = new MeshMap(smallMesh);
    for (const agoMs of flowsAgoMs) carried.add(request({ time: timeAt(agoMs) }), map, nowMs);
    carried.add(request({ flag: 'DENY', status: 403, time: timeAt(0) }), map, nowMs);
    const gone = { connected: false, ready: false, inStep: false, behindSince: timeAt(20_000) };
    const view = proxiesView({ ...sourcesOf(gone), carried });
    assert.match(view.proxies[0]?.notes[0]?.text ?? '', text);
    assert.equal(proxiesDown(view).get('node-1')?.id, ofItsPods);
  });
}
