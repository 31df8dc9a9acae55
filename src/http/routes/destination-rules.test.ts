// DestinationRules: selected, merged, overridden (l7.md §3.4).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from '../../kube/manifests.ts';
import type { DestinationPolicy } from '../../model/route-types.ts';
import { compileRouteText, serviceText } from './testing-routes.ts';

function rule(name: string, spec: string, more = ''): string {
  const [title, namespace = 'shop'] = name.split('.');
  return `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${title}, namespace: ${namespace}${more}}
spec: ${spec}
`;
}

const service = serviceText('echo.shop', ['80/http', '90/http-more']);
const pool = (count: number): string => `connectionPool: {tcp: {maxConnections: ${count}}}`;

function policyOf(text: string): DestinationPolicy {
  return compileRouteText(service + text).routes('echo.shop').destination.policy;
}

const selection = [
  [
    'its own host before a wildcard',
    rule('a', `{host: "*.shop.svc.cluster.local", trafficPolicy: {${pool(1)}}}`) +
      rule('b', `{host: echo, trafficPolicy: {${pool(2)}}}`),
    2,
  ],
  [
    'the longer wildcard',
    rule('a', `{host: "*.svc.cluster.local", trafficPolicy: {${pool(1)}}}`) +
      rule('b', `{host: "*.shop.svc.cluster.local", trafficPolicy: {${pool(2)}}}`),
    2,
  ],
  [
    'its own namespace before a root namespace',
    rule('a.istio-system', `{host: echo.shop.svc.cluster.local, trafficPolicy: {${pool(1)}}}`) +
      rule('b', `{host: echo, trafficPolicy: {${pool(2)}}}`),
    2,
  ],
  ['a root namespace', rule('a.istio-system', `{host: echo.shop.svc.cluster.local, trafficPolicy: {${pool(1)}}}`), 1],
  [
    'not one that is not exported',
    rule('a.istio-system', `{host: echo.shop.svc.cluster.local, exportTo: ["."], trafficPolicy: {${pool(1)}}}`),
    0,
  ],
  [
    'not one of another namespace',
    rule('a.web', `{host: echo.shop.svc.cluster.local, trafficPolicy: {${pool(1)}}}`),
    0,
  ],
  [
    'the oldest of one namespace',
    rule('a', `{host: echo, trafficPolicy: {${pool(1)}}}`, ', creationTimestamp: "2026-01-02T00:00:00Z"') +
      rule('b', `{host: echo, trafficPolicy: {${pool(2)}}}`, ', creationTimestamp: "2026-01-01T00:00:00Z"'),
    2,
  ],
] as const;
for (const [what, text, expected] of selection) {
  test(`DestinationRule: ${what}`, () => assert.equal(policyOf(text).connectionPool.maxConnections, expected));
}

test('a block of a subset replaces its parent’s, those of a port replace both', () => {
  const text = rule(
    'echo',
    `
  host: echo
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 7}, http: {maxRetries: 3}}
    outlierDetection: {}
    portLevelSettings: [{port: {number: 90}, loadBalancer: {simple: RANDOM}}]
  subsets:
  - {name: plain, labels: {v: a}}
  - {name: own, labels: {v: b}, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 5}}}}`,
  );
  const { policy, portPolicies, subsets } = compileRouteText(service + text).routes('echo.shop').destination;
  assert.deepEqual([policy.connectionPool.maxConnections, policy.outlier?.consecutive5xx], [7, 5]);
  const [plain, own] = subsets;
  assert.equal(plain?.policy.connectionPool.maxConnections, 7);
  assert.deepEqual(
    [
      own?.policy.connectionPool.maxConnections,
      own?.policy.connectionPool.maxRequests,
      own?.policy.outlier?.intervalMs,
    ],
    [0, 5, 10_000],
  );
  for (const ports of [portPolicies, plain?.portPolicies]) {
    const one = ports?.[0];
    assert.deepEqual(
      [one?.port, one?.policy.loadBalancing.algorithm, one?.policy.connectionPool.maxConnections, one?.policy.outlier],
      [90, 'random', 0, null],
    );
  }
});

test('nearness counts where endpoints are ejected, or where the Service says so', () => {
  const near = (text: string): readonly string[] => policyOf(text).loadBalancing.localityPreference;
  assert.deepEqual(near(''), []);
  assert.deepEqual(near(rule('a', '{host: echo, trafficPolicy: {outlierDetection: {}}}')), [
    'region',
    'zone',
    'subzone',
  ]);
  const off = 'trafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}}';
  assert.deepEqual(near(rule('a', `{host: echo, ${off}}`)), []);
});

test('what is not done is named, and a host that is not there', () => {
  const text = rule('a', '{host: echo, trafficPolicy: {tls: {mode: SIMPLE}}}') + rule('b', '{host: gone}');
  const compiled = compileRouteText(service + text);
  const messages = compiled.issues.map((one) => one.message).join('\n');
  assert.match(messages, /tls is not supported: TLS of mode SIMPLE/);
  assert.match(messages, /host gone.shop.svc.cluster.local is no service/);
  const words = (name: string): string[] =>
    compiled.status('DestinationRule', `shop/${name}`).conditions.map((one) => `${one.type} ${one.reason}`);
  assert.ok(words('a').includes('PartiallyInvalid UnsupportedValue'));
  assert.ok(words('b').includes('Accepted TargetNotFound'));
});

test('a subset that selects no pod is named, until one is there', () => {
  const pod = (name: string, version: string): string => `---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: ${name}, labels: {app: echo, version: ${version}}}
`;
  const subsets = rule(
    'a',
    '{host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}',
  );
  const compiled = compileRouteText(service + pod('echo-1', 'v1') + subsets);
  const { compiler } = compiled;
  const said = (): string[] => compiler.issues().map((one) => `${one.place?.line} ${one.message}`);
  const resolved = (): string => {
    const conditions = compiler.statuses().find((one) => one.kind === 'DestinationRule')?.conditions ?? [];
    return conditions.find((one) => one.type === 'ResolvedRefs')?.reason ?? '';
  };
  assert.deepEqual([said(), resolved()], [['14 subset v2 selects no pod of service shop/echo'], 'BackendNotFound']);
  for (const resource of readManifests([{ text: pod('echo-2', 'v2'), file: 'later.yaml' }]).resources) {
    compiler.upsert(resource);
  }
  compiler.flush();
  assert.deepEqual([said(), resolved()], [[], 'ResolvedRefs']);
  compiler.delete('Pod', 'shop', 'echo-1');
  compiler.flush();
  assert.deepEqual([said(), resolved()], [['14 subset v1 selects no pod of service shop/echo'], 'BackendNotFound']);
  compiler.delete('Pod', 'shop', 'echo-2');
  compiler.flush();
  // A service without any pod says so elsewhere.
  assert.deepEqual([said(), resolved()], [[], 'ResolvedRefs']);
});

test('workloads carry the labels of subsets, and no others', () => {
  const pod = `---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: echo-1, labels: {app: echo, version: v1, other: x}}
`;
  const subsets = rule('a', '{host: echo, subsets: [{name: v1, labels: {version: v1}}]}');
  const labels = (text: string) => [...compileRouteText(text).index.workloads()].map((one) => one.labels);
  assert.deepEqual(labels(service + pod + subsets), [{ version: 'v1' }]);
  assert.deepEqual(labels(service + pod), [undefined]);
});
