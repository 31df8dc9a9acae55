// What the documentation of Istio (its traffic-management tasks) and of Gateway API (its mesh examples) has readers
// apply, read and obeyed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { RouteRule } from '../../model/route-types.ts';
import { type CompiledRoutes, compileRouteText, hitOf, outcomeOf, requestOf } from './testing-routes.ts';

const folder = path.join(import.meta.dirname, '../../../test/fixtures/routes');

function compile(...names: string[]): CompiledRoutes {
  return compileRouteText(names.map((name) => readFileSync(path.join(folder, `${name}.yaml`), 'utf8')).join('\n---\n'));
}

function ruleOf(
  compiled: CompiledRoutes,
  service: string,
  port: number,
  line: string,
  headers: string[] = [],
): RouteRule {
  return hitOf(compiled.table(service), port, requestOf(line, headers))?.rule ?? assert.fail(`${line} has no route`);
}

/** `SERVICE/SUBSET xWEIGHT` of each backend. */
function backendsOf({ action }: RouteRule): string[] {
  if (action.kind !== 'forward') return [];
  return action.backends.map((one) => {
    const name = one.service.split('/')[1]?.split('.')[0];
    const invalid = one.invalid === null ? '' : ` ${one.invalid.status}`;
    return `${name}${one.subset === '' ? '' : `/${one.subset}`} x${one.weight}${invalid}`;
  });
}

function warnings(compiled: CompiledRoutes): string[] {
  return compiled.issues.filter((one) => one.severity !== 'info').map((one) => one.message);
}

test('traffic shifting', () => {
  const compiled = compile('bookinfo', 'istio-traffic-shifting');
  assert.deepEqual(backendsOf(ruleOf(compiled, 'reviews', 9080, '/')), ['reviews/v1 x50', 'reviews/v3 x50']);
  assert.deepEqual(warnings(compiled), []);
  const { destination } = compiled.routes('reviews');
  assert.deepEqual(
    destination.subsets.map((one) => [one.name, one.labels]),
    [
      ['v1', { version: 'v1' }],
      ['v2', { version: 'v2' }],
      ['v3', { version: 'v3' }],
    ],
  );
});

test('request routing by user', () => {
  const compiled = compile('bookinfo', 'istio-request-routing');
  assert.deepEqual(backendsOf(ruleOf(compiled, 'reviews', 9080, '/', ['end-user: jason'])), ['reviews/v2 x1']);
  assert.deepEqual(backendsOf(ruleOf(compiled, 'reviews', 9080, '/')), ['reviews/v1 x1']);
});

test('fault injection', () => {
  const compiled = compile('bookinfo', 'istio-fault-injection');
  const fault = (user: string) => ruleOf(compiled, 'ratings', 9080, '/', [`end-user: ${user}`]).fault;
  assert.deepEqual(fault('jason'), { delay: { fraction: 1, delayMs: 7000 }, abort: null });
  assert.deepEqual(fault('broken'), { delay: null, abort: { fraction: 1, status: 500, grpcStatus: null } });
  assert.equal(fault('anyone'), null);
});

test('time-outs and retries', () => {
  const timeouts = ruleOf(compile('bookinfo', 'istio-request-timeouts'), 'reviews', 9080, '/').timeouts;
  assert.equal(timeouts.requestMs, 500);
  const compiled = compile('bookinfo', 'istio-retries');
  const { retry } = ruleOf(compiled, 'ratings', 9080, '/');
  assert.equal(retry.attempts, 3);
  assert.equal(retry.perTryTimeoutMs, 2000);
  assert.deepEqual(retry.retryOn, ['connect-failure', 'refused-stream', 'retriable-status-codes']);
  assert.deepEqual(retry.statuses, [503]);
  assert.equal(retry.nonIdempotent, false);
  // The author learns that a POST is not among what is tried again.
  assert.match(warnings(compiled).join('\n'), /does not repeat a POST/);
});

test('circuit breaking', () => {
  const compiled = compile('bookinfo', 'istio-circuit-breaking');
  const { policy } = compiled.routes('httpbin').destination;
  assert.equal(policy.connectionPool.maxConnections, 1);
  assert.equal(policy.connectionPool.maxPendingRequests, 1);
  assert.equal(policy.connectionPool.maxRequestsPerConnection, 1);
  assert.deepEqual(policy.outlier, {
    consecutive5xx: 1,
    consecutiveGatewayErrors: 0,
    consecutiveLocalFailures: 0,
    splitLocalFailures: false,
    successRate: null,
    intervalMs: 1000,
    baseEjectionMs: 180_000,
    maxEjectionMs: 300_000,
    maxEjectionPercent: 100,
    minHealthPercent: 0,
  });
  assert.deepEqual(policy.from, ['DestinationRule/default/httpbin']);
  assert.equal(outcomeOf(hitOf(compiled.table('httpbin'), 8000, requestOf('/'))), 'httpbin');
});

test('mirroring', () => {
  const compiled = compile('bookinfo', 'istio-mirroring');
  const rule = ruleOf(compiled, 'httpbin', 8000, '/');
  assert.deepEqual(backendsOf(rule), ['httpbin/v1 x1']);
  const [mirror] = rule.mirrors;
  assert.deepEqual([mirror?.backend.subset, mirror?.fraction, mirror?.shadowSuffix], ['v2', 1, true]);
});

test('older versions of the API, rewriting, CORS, cookies', () => {
  const compiled = compile('bookinfo', 'istio-older-versions');
  const rewritten = ruleOf(compiled, 'reviews', 9080, '/wpcatalog/x');
  assert.deepEqual(backendsOf(rewritten), ['reviews/v2 x1']);
  assert.deepEqual(rewritten.rewrite, { authority: null, path: { kind: 'prefix', value: '/newcatalog' } });
  const { cors } = ruleOf(compiled, 'reviews', 9080, '/');
  assert.deepEqual(
    [cors?.maxAgeS, cors?.allowMethods, cors?.unmatchedPreflights],
    [86_400, ['POST', 'GET'], 'forward'],
  );
  // Two rules for one host in one namespace are one: the first by age and name has the policy, subsets add up.
  const { policy, subsets } = compiled.routes('ratings').destination;
  assert.deepEqual(policy.loadBalancing.hash?.key, { kind: 'cookie', name: 'user', path: '', ttlMs: 0 });
  assert.deepEqual(
    subsets.map((one) => one.name),
    ['v1'],
  );
});

test('Gateway API: a canary by weight, and by header', () => {
  const compiled = compile('gateway-api-mesh', 'gateway-api-canary');
  assert.deepEqual(backendsOf(ruleOf(compiled, 'foo', 80, '/')), ['foo-v1 x90', 'foo-v2 x10']);
  assert.deepEqual(backendsOf(ruleOf(compiled, 'foo', 80, '/', ['traffic: test'])), ['foo-v2 x1']);
  assert.equal(compiled.table('foo').port(5000)?.attached, false);
  const status = compiled.status('HTTPRoute', 'default/foo-canary');
  assert.deepEqual(
    status.parents[0]?.conditions.map((one) => `${one.type} ${one.status} ${one.reason}`),
    [
      'Accepted True Accepted',
      'ResolvedRefs True ResolvedRefs',
      'WaypointAccepted False AncestorNotBound',
      'Programmed False NoResources',
    ],
  );
});

test('Gateway API: gRPC by method and header', () => {
  const compiled = compile('gateway-api-mesh', 'gateway-api-grpc');
  const login = ruleOf(compiled, 'foo', 5000, 'POST /com.example.User/Login');
  assert.deepEqual([login.grpc, backendsOf(login)], [true, ['foo-grpc x1']]);
  const canary = ruleOf(compiled, 'foo', 5000, 'POST /any.Service/Method', ['env: canary']);
  assert.deepEqual(canary.requestHeaders.add, [['x-canary', '1']]);
  assert.equal(hitOf(compiled.table('foo'), 5000, requestOf('POST /any.Service/Method')), null);
});

test('Gateway API: rewriting, mirroring a share, time-outs, retries, redirects', () => {
  const compiled = compile('gateway-api-mesh', 'gateway-api-timeouts-mirror');
  const rule = ruleOf(compiled, 'foo', 80, '/cayenne/1');
  assert.deepEqual(rule.rewrite, { authority: 'elsewhere.example', path: { kind: 'prefix', value: '/paprika' } });
  assert.equal(rule.mirrors[0]?.fraction, 0.42);
  assert.deepEqual([rule.timeouts.requestMs, rule.timeouts.perTryMs], [10_000, 2000]);
  assert.deepEqual(
    [rule.retry.attempts, rule.retry.statuses, rule.retry.backoffBaseMs],
    [3, [500, 502, 503, 504], 100],
  );
  assert.ok(rule.retry.retryOn.includes('connect-failure') && rule.retry.retryOn.includes('reset'));
  const { action } = ruleOf(compiled, 'foo', 80, '/old');
  assert.deepEqual(action, {
    kind: 'redirect',
    redirect: { scheme: 'https', authority: null, port: 'scheme', path: null, status: 301 },
  });
});
