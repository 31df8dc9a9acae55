import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateView, ProxyStateView, StatusView } from '../../model/views.ts';
import { nowMs } from '../testing-fixtures.ts';
import { type AskedProxy, proxyOnPath } from './proxies.ts';
import { ago, askedOf, stateOf, statusOf, webIdentity } from './testing-facts.ts';

const hour = 3_600_000;
const certificate = (endsInMs: number, given: Partial<CertificateView> = {}): CertificateView => ({
  identity: webIdentity,
  state: 'available',
  reason: null,
  chain: [{ type: 'leaf', serial: '1', notBefore: ago(24 * hour), notAfter: ago(-endsInMs) }],
  ...given,
});
const withState = (given: Partial<ProxyStateView>): AskedProxy => askedOf({ state: stateOf(given) });
const slowThread = (p99: number): Partial<ProxyStateView> => {
  const [thread] = stateOf().threads;
  return { threads: [{ ...thread!, loopDelayMs: { p50: 1, p99, max: 2 * p99 } }] };
};
const gone = { connected: false, ready: false, inStep: false, behindSince: ago(90_000) };
const silent = askedOf({ state: null, problem: 'connect ECONNREFUSED' });
const cut = { connected: false, since: ago(40_000), lastUpdateAt: null, lastError: 'no route', fromDisk: false };
const refused = { types: [{ type: 't', applied: '3', refused: [{ resource: 'shop/x', reason: 'no rule' }] }] };

// [what, what the proxy says, what the controller says, severity and words; null where all is well]
const rows: readonly (readonly [string, AskedProxy, StatusView | null, 'error' | 'warning' | null, RegExp])[] = [
  ['all is well', askedOf(), statusOf(), null, /^$/],
  ['a certificate with days to go', withState({ certificates: [certificate(20 * hour)] }), statusOf(), null, /^$/],
  ['down', silent, statusOf(gone), 'error', /node-1 is down: .* the controller has not heard of it for 90s/],
  ['stopped', silent, statusOf(), 'error', /node-1 does not answer: it is stopped/],
  ['never heard of', silent, { ...statusOf(), proxies: [] }, 'error', /node-1 is down/],
  [
    'cut off from the controller',
    withState({ discovery: cut }),
    statusOf(),
    'error',
    /no configuration since 40s: no route/,
  ],
  ['out of step', askedOf(), statusOf({ inStep: false, behindSince: ago(42_000) }), 'error', /out of step for 42s/],
  ['refused configuration', askedOf(), statusOf(refused), 'error', /has refused shop\/x: no rule/],
  [
    'no certificate',
    withState({ certificates: [certificate(0, { state: 'unavailable', reason: 'not allowed', chain: [] })] }),
    statusOf(),
    'error',
    /has no certificate for spiffe:.*: not allowed/,
  ],
  [
    'a certificate that is not renewed',
    withState({ certificates: [certificate(hour, { reason: 'the controller cannot sign' })] }),
    statusOf(),
    'error',
    /cannot renew the certificate of .*: the controller cannot sign; it ends in 60m/,
  ],
  [
    'a certificate near its end',
    withState({ certificates: [certificate(hour)] }),
    statusOf(),
    'warning',
    /ends in 60m/,
  ],
  [
    "another pod's certificate",
    withState({ certificates: [certificate(hour, { identity: 'spiffe://other', reason: 'x' })] }),
    statusOf(),
    null,
    /^$/,
  ],
  ['late', withState(slowThread(90)), statusOf(), 'warning', /is overloaded: events wait 90 ms \(p99\), up to 180 ms/],
  ['very late', withState(slowThread(900)), statusOf(), 'error', /is overloaded: events wait 900 ms/],
  [
    'at a limit',
    withState({ limits: [{ limit: 'connectionsMax', value: 100, use: 97 }] }),
    statusOf(),
    'error',
    /at its limit connectionsMax: 97 of 100/,
  ],
  [
    'no capture',
    withState({ capture: { state: 'failed', reason: 'no nft' } }),
    null,
    'error',
    /cannot capture.*no nft/,
  ],
  ['not ready', withState({ ready: false, pending: ['the mesh'] }), null, 'warning', /is not ready: the mesh/],
  ['an earlier version', askedOf({ state: null }), statusOf(), null, /^$/],
];
for (const [what, asked, status, severity, words] of rows) {
  test(`a proxy on the path: ${what}`, () => {
    const { problems } = proxyOnPath(asked, status, nowMs);
    assert.deepEqual(
      problems.map((one) => one.severity),
      severity === null ? [] : [severity],
    );
    if (severity !== null) assert.match(problems[0]!.text, words);
  });
}
