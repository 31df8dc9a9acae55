import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import type { RequestRecord } from './access-record.ts';
import { type FlowField, type FlowTerm, flowFilter } from './flow-filter.ts';
import { verdictOf } from './flow-verdict.ts';
import { refusedFlow, requestFlow, tunnelFlow } from './testing-flows.ts';

const { request, tunnel, refused } = { request: requestFlow(), tunnel: tunnelFlow(), refused: refusedFlow() };
const all = { request, tunnel, refused };

/** Terms as on a command line; `!` negates. Then the flows that pass. */
const rows: readonly (readonly [string, readonly (keyof typeof all)[]])[] = [
  ['', ['request', 'tunnel', 'refused']],
  ['pod=shop/web', ['request', 'tunnel']],
  ['pod=web-', ['request', 'tunnel']],
  ['fromPod=web', ['request', 'tunnel']],
  ['toPod=web', []],
  ['namespace=legacy', ['refused']],
  ['toNamespace=shop', ['request', 'tunnel', 'refused']],
  ['fromIdentity=shop/web', ['request', 'tunnel']],
  ['identity=spiffe://cluster.local/ns/shop/sa/cart', ['request', 'tunnel', 'refused']],
  ['!fromIdentity=shop/web', ['refused']],
  ['ip=10.244.1.0/24', ['request', 'tunnel']],
  ['toIp=10.244.2.3', ['request', 'tunnel', 'refused']],
  ['fromIp=::1', []],
  ['toPort=8080', ['request', 'tunnel', 'refused']],
  ['toPort=80', []],
  ['toService=cart.shop', ['request', 'refused']],
  ['toService=shop/cart', ['request', 'refused']],
  ['toService=cart', ['request', 'refused']],
  ['toService=car', []],
  ['toService=cart.shop.svc.cluster.local', ['request', 'refused']],
  ['verdict=refused', ['refused']],
  ['verdict=dropped', ['refused']],
  ['verdict=failed', ['request']],
  ['verdict=failed verdict=refused', ['request', 'refused']],
  ['verdict=failed toPod=legacy', []],
  ['flag=DENY', ['refused']],
  ['policy=only-web', ['refused']],
  ['policy=shop/only-web', ['refused']],
  ['policy=web', []],
  ['transport=plaintext', ['refused']],
  ['!transport=mtls', ['refused']],
  ['protocol=tcp', ['tunnel', 'refused']],
  ['protocol=http', ['request']],
  ['protocol=grpc', []],
  ['method=get', ['request']],
  ['path=/items', ['request']],
  ['path=~^/items/\\d+$', ['request']],
  ['path=~^/orders', []],
  ['status=503', ['request']],
  ['status=5xx', ['request']],
  ['status=5+', ['request']],
  ['status=500+', ['request']],
  ['status=400-499', []],
  ['status=400-503', ['request']],
  ['route=shop/cart', ['request']],
  ['requestId=r-1', ['request']],
  ['traceId=0af7651916cd43dd8448eb211c80319c', ['request']],
  ['slowerThan=30ms', ['request']],
  ['slowerThan=1s', []],
  ['node=node-2', ['tunnel', 'refused']],
  ['waypoint=shop/waypoint', ['request']],
];

for (const [line, passing] of rows) {
  test(`filter: ${line || 'none'}`, () => {
    const filter = flowFilter(termsOf(line));
    assert.deepEqual(
      Object.entries(all).flatMap(([name, flow]) => (filter(flow) ? [name] : [])),
      passing,
    );
  });
}

for (const line of [
  'toPort=http',
  'status=ok',
  'verdict=good',
  'transport=tls',
  'ip=host',
  'path=~(',
  'slowerThan=5',
  'identity=web',
]) {
  test(`a value that its field cannot be is said: ${line}`, () =>
    assert.throws(
      () => flowFilter(termsOf(line)),
      (error) => isMeshError(error) && error.code === 'USAGE' && error.message.includes(line.split('=')[1] ?? ''),
    ));
}

test('the verdict: policy refuses, everything else that goes wrong fails', () => {
  const flow = (change: Partial<RequestRecord>): string =>
    verdictOf(requestFlow({ flag: '-', status: 200, ...change }));
  assert.equal(flow({}), 'forwarded');
  assert.equal(flow({ status: 404 }), 'forwarded');
  assert.equal(flow({ status: 500 }), 'failed');
  assert.equal(flow({ flag: 'CONNECT' }), 'failed');
  assert.equal(flow({ flag: 'RATE_LIMITED', status: 429 }), 'refused');
  assert.equal(flow({ grpcStatus: 14 }), 'failed');
});

function termsOf(line: string): FlowTerm[] {
  return line
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      const [field = '', ...value] = word.replace(/^!/, '').split('=');
      return { field: field as FlowField, value: value.join('='), negated: word.startsWith('!') };
    });
}
