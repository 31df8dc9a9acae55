import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WhyResult } from '../../policy/why.ts';
import { plain } from '../io.ts';
import { nowMs, strain } from '../testing-fixtures.ts';
import { assertGoldenResult } from '../testing-golden.ts';
import { whyResult } from '../why.ts';
import { type CauseFacts, causesOf, verdictCauses } from './causes.ts';
import { ago, answer } from './testing-facts.ts';
import type { WhyEndpoint, WhySeen, WhyView } from './views.ts';

const nothing: CauseFacts = { endpoints: [], refusing: [], seen: null, proxies: [] };
const endpoint = (name: string, given: Partial<WhyEndpoint> = {}): WhyEndpoint => {
  const base = { service: 'cart.shop', workload: name, namespace: 'shop', node: 'node-2', state: 'ready' } as const;
  return { ...base, since: null, until: null, reason: null, ...given };
};
const ejected = endpoint('cart-2', {
  state: 'ejected',
  since: ago(12_000),
  until: ago(-18_000),
  reason: '5 answers of 500 to 599 in a row',
});
const seen = (given: Partial<WhySeen>): WhySeen => ({
  windowMs: 15_000,
  requests: 42,
  connections: 0,
  perS: 2.8,
  success: 1,
  p50Ms: 12,
  p90Ms: 30,
  p99Ms: 40,
  segmentsMs: { clientProxy: 0.1, wire: 1.2, waypoint: 0.4, destinationProxy: 0.3, application: 10 },
  slowest: 'the application itself: 10ms of 12ms',
  lastRefusal: null,
  lastError: null,
  ...given,
});
const lastError = {
  time: ago(3_000),
  flag: '-',
  text: 'the application answered 503',
  decidedBy: null,
  status: 503,
  saidBy: 'waypoint/shop/waypoint',
};
const deniedBy = (kind: 'AuthorizationPolicy' | 'PeerAuthentication', rule: number | null): WhyResult => ({
  ...answer,
  verdict: 'deny',
  decidedBy: { kind, namespace: 'shop', name: 'p', rule },
});
const outside = { workload: 'batch-1', namespace: 'legacy', identity: null, enrolled: false, node: 'node-1' };

// [what, answer, facts, severity and words of the first cause]
const rows: readonly (readonly [string, WhyResult, Partial<CauseFacts>, string, RegExp])[] = [
  [
    'a policy',
    { ...deniedBy('AuthorizationPolicy', 1), decidedAt: 'p.yaml:7:5' },
    {},
    'error',
    /^AuthorizationPolicy shop\/p, rule 1 refuses it \(p.yaml:7:5\); .*speak of cluster.local\/ns\/shop\/sa\/web$/,
  ],
  [
    'STRICT against plaintext',
    { ...deniedBy('PeerAuthentication', null), from: outside },
    {},
    'error',
    /speaks plaintext, and PeerAuthentication shop\/p asks for mutual TLS .*; ambientctl enroll ns\/legacy, or/,
  ],
  [
    'a backend that is gone',
    {
      ...answer,
      verdict: 'unreachable',
      response: { status: 500, location: null },
      reasons: ['it goes there', '100 % of the requests get 500: Service shop/cart-v1 is not there'],
    },
    {},
    'error',
    /^100 % of the requests get 500: Service shop\/cart-v1 is not there; mend the route/,
  ],
  [
    'one endpoint is ejected',
    answer,
    { endpoints: [endpoint('cart-1'), ejected] },
    'warning',
    /cart-2 is ejected for 12s, back in 18s: 5 answers/,
  ],
  [
    'no endpoint is ready',
    answer,
    { endpoints: [endpoint('cart-1', { state: 'unready' })] },
    'error',
    /cart-1 is unready; it gets nothing/,
  ],
  [
    'a storm is held back',
    answer,
    { refusing: strain.refusing },
    'error',
    /for shop\/checkout:80 the retry budget .* 420 refused in 95s/,
  ],
  [
    'requests fail',
    answer,
    { seen: seen({ success: 0.8, lastError }) },
    'error',
    /^20 % of the requests of the last 15 s failed; the last: the application answered 503/,
  ],
  [
    'a slow application',
    answer,
    { seen: seen({ p50Ms: 1210, slowest: 'the application itself: 1.20s of 1.21s' }) },
    'warning',
    /it is slow, and that is the application itself: 1.20s of 1.21s; look into shop\/cart-1/,
  ],
  [
    'slow connections',
    answer,
    { seen: seen({ requests: 0, connections: 9, p50Ms: 250, slowest: null }) },
    'warning',
    /connecting takes 250ms: the wire between node-1 and node-2/,
  ],
];
for (const [what, one, facts, severity, words] of rows) {
  test(`why: ${what}`, () => {
    const [first] = causesOf(one, { ...nothing, ...facts }, nowMs);
    assert.equal(first?.severity, severity);
    assert.match(`${first?.text}${first?.fix == null ? '' : `; ${first.fix}`}`, words);
  });
}

test('all is well: there is no cause', () => {
  assert.deepEqual(causesOf(answer, { ...nothing, endpoints: [endpoint('cart-1')], seen: seen({}) }, nowMs), []);
});

test('errors go before warnings, and a refusal that the answer is about is said once', () => {
  const refusal = { ...lastError, flag: 'DENY', decidedBy: 'shop/p' };
  const facts = { endpoints: [endpoint('cart-1'), ejected], seen: seen({ success: 0, lastRefusal: refusal }) };
  const denied = causesOf(deniedBy('AuthorizationPolicy', 1), { ...nothing, ...facts }, nowMs);
  assert.deepEqual(
    denied.map(({ severity }) => severity),
    ['error', 'warning'],
  );
  assert.deepEqual(verdictCauses(answer), []);
});

test('the whole of why, in every format', async () => {
  const facts = { endpoints: [endpoint('cart-1'), ejected], seen: seen({ success: 0.8, p50Ms: 1210, lastError }) };
  const proxies: WhyView['proxies'] = [
    {
      kind: 'node',
      name: 'node-1',
      pod: null,
      connected: true,
      inStep: true,
      behindSince: null,
      loopDelayMs: { p50: 0.1, p99: 2, max: 9 },
      problems: [],
    },
    {
      kind: 'node',
      name: 'node-2',
      pod: null,
      connected: false,
      inStep: false,
      behindSince: ago(90_000),
      loopDelayMs: null,
      problems: [{ severity: 'error', text: 'the node proxy of node-2 is down', fix: null }],
    },
  ];
  const causes = causesOf(answer, { ...nothing, ...facts, proxies }, nowMs);
  const unknown = ['pods of shop: took longer than 2000 ms'];
  const view: WhyView = { ...answer, ...facts, causes, proxies, unknown };
  const result = whyResult(view, nowMs);
  assert.equal(result.exitCode, 0);
  assert.match(result.text({ wide: false, paint: plain }), /^allowed: .*\nbecause: the node proxy of node-2 is down\n/);
  await assertGoldenResult('why-live', result);
});
