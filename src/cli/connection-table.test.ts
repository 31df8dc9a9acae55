import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionView } from '../model/views.ts';
import { connectionTable } from './config-tables.ts';
import { plain } from './io.ts';

const connection: ConnectionView = {
  id: 'a',
  direction: 'inbound',
  startedAt: '2026-11-21T12:09:30.000Z',
  source: { workload: 'web', namespace: 'shop', identity: 'spiffe://x/ns/shop/sa/web', address: '10.1.0.1:40000' },
  destination: {
    workload: 'cart',
    namespace: 'shop',
    identity: 'spiffe://x/ns/shop/sa/cart',
    address: '10.2.0.1:8080',
    service: 'cart.shop.svc.cluster.local',
  },
  transport: 'mtls',
  bytesSent: 10,
  bytesReceived: 2_000,
  thread: 0,
};
const request = {
  method: 'POST',
  authority: 'cart',
  path: '/shop.Cart/Watch',
  protocol: 'grpc',
  upgrade: null,
  route: 'GRPCRoute/shop/cart#0',
  attempts: 1,
  status: 200,
} as const;

test('requests at a waypoint have columns of their own; without them there are none', () => {
  const view = { wide: true, paint: plain };
  const [header = '', first = '', second = ''] = connectionTable([{ ...connection, request }, connection], view).split(
    '\n',
  );
  assert.match(header, /PROTOCOL +SENT +RECEIVED +REQUEST +ROUTE +REMOTE_IDENTITY +SINCE/);
  assert.match(first, /^shop.cart .* POST cart.shop.Cart.Watch +GRPCRoute.shop.cart#0 +spiffe:..x.ns.shop.sa.web/);
  assert.match(second, /kB +- +- +spiffe/);
  assert.doesNotMatch(connectionTable([connection], view), /REQUEST|ROUTE/);
});
