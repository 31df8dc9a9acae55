// What is told of endpoints that waypoints eject: once each, of what is news, and with what Events need.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../base/manual-clock.ts';
import type { ObservedProxy } from '../discovery/observe-server.ts';
import type { ClusterEvent } from '../kube/event-writer.ts';
import type { GatewayResource } from '../model/resources.ts';
import type { EjectedView } from '../model/views.ts';
import { EjectionWatch } from './ejection-watch.ts';

const address = '10.244.1.5:8080';

/** Out from second `since` to second `until` of the hour. */
function row(since: number, until: number, change: Partial<EjectedView> = {}): EjectedView {
  const at = (second: number): string => `2026-01-01T10:${String(second).padStart(2, '0')}:00.250Z`;
  const endpoint = { service: 'shop/cart', namespace: 'shop', workload: 'cart-1', address };
  return { ...endpoint, since: at(since), until: at(until), reason: '3 answers of 500 to 599 in a row', ...change };
}

function scene() {
  const clock = new ManualClock(Date.UTC(2026, 0, 1, 11));
  const told: ClusterEvent[] = [];
  const uids = new Map([['shop/cart-1', 'uid-1']]);
  const proxies = new Map<string, readonly EjectedView[] | null>();
  const compiler = {
    pod: (namespace: string, name: string) => {
      const uid = uids.get(`${namespace}/${name}`);
      const rest = { serviceAccount: '', node: '', phase: 'Running', hostNetwork: false, gateway: null } as const;
      return uid === undefined ? null : { uid, namespace, name, ...rest };
    },
    gateways: () => [
      { apiVersion: 'gateway.networking.k8s.io/v1', namespace: 'shop', name: 'wp', uid: 'uid-wp' } as GatewayResource,
    ],
  };
  const proxyOf = (pod: string): ObservedProxy => ({
    node: {
      ...{ kind: 'waypoint', namespace: 'shop', name: pod, waypoint: 'shop/wp', nodeName: 'n1', version: '1' },
      ...{ addresses: [], clusterId: '' },
    },
    ask: (question) => {
      assert.equal(question, 'GET /ejected');
      const ejected = proxies.get(pod) ?? null;
      const status = ejected === null ? 404 : 200;
      return Promise.resolve({ status, contentType: '', body: JSON.stringify({ ejected }) });
    },
  });
  const observed = { proxies: () => [...proxies.keys()].map(proxyOf) };
  const watch = new EjectionWatch({ observed, compiler, clock, tell: (event) => told.push(event) });
  watch.start();
  /** What is told when the waypoints answer `answers`, by their pods, some seconds later. */
  const turn = async (answers: Readonly<Record<string, readonly EjectedView[] | null>>, ms = 5_000) => {
    proxies.clear();
    for (const [pod, ejected] of Object.entries(answers)) proxies.set(pod, ejected);
    told.length = 0;
    clock.advance(ms);
    for (let at = 0; at < 20; at++) await nextTurn();
    return told.map(({ reason, note, regarding }) => `${reason} ${regarding.kind}/${regarding.uid} ${note}`);
  };
  return { turn, uids, watch };
}

const ejected =
  `EndpointEjected Pod/uid-1 waypoint shop/wp has ejected ${address} of service shop/cart ` +
  'until 2026-01-01T10:31:00Z: 3 answers of 500 to 599 in a row';
const returned = `EndpointReturned Pod/uid-1 waypoint shop/wp sends requests to ${address} of service shop/cart again`;

test('an ejection is told once, and its return', async () => {
  const { turn } = scene();
  assert.deepEqual(await turn({ a: [] }), []);
  assert.deepEqual(await turn({ a: [row(30, 31)] }), [ejected]);
  assert.deepEqual(await turn({ a: [row(30, 32)] }), [], 'it stays out for longer');
  assert.deepEqual(await turn({ a: null }), [], 'no answer is no news');
  assert.deepEqual(await turn({ a: [] }), [returned]);
  assert.deepEqual(await turn({ a: [] }), []);
});

test('what was so when a waypoint came is not told, its return is; a waypoint that goes says nothing', async () => {
  const { turn } = scene();
  assert.deepEqual(await turn({ a: [row(30, 31)] }), []);
  assert.deepEqual(await turn({ a: [] }), [returned]);
  assert.deepEqual(await turn({ a: [row(33, 34)] }), [ejected.replace(':31:', ':34:')]);
  assert.deepEqual(await turn({}), []);
  assert.deepEqual(await turn({ a: [row(33, 34)] }), []);
});

test('what was ejected since the waypoint came is told with its first answer', async () => {
  const { turn } = scene();
  const fresh = { since: '2026-01-01T11:00:02.000Z', until: '2026-01-01T11:00:32.000Z' };
  const told = await turn({ a: [row(0, 0, fresh)] });
  assert.deepEqual(told, [ejected.replace('10:31:00Z', '11:00:32Z')]);
});

test('an endpoint that comes and goes is told of once a minute', async () => {
  const { turn } = scene();
  await turn({ a: [] });
  assert.deepEqual(await turn({ a: [row(30, 31)] }), [ejected]);
  assert.deepEqual(await turn({ a: [] }), [returned]);
  assert.deepEqual(await turn({ a: [row(32, 33)] }), []);
  assert.deepEqual(await turn({ a: [] }), [], 'neither is its return');
  assert.deepEqual(await turn({ a: [] }, 60_000), []);
  assert.deepEqual((await turn({ a: [row(40, 41)] })).length, 1);
});

test('a subset; an endpoint that is no pod; a pod that has gone', async () => {
  const { turn, uids } = scene();
  await turn({ a: [] });
  const [subset] = await turn({ a: [row(30, 31, { subset: 'v1' })] });
  assert.match(`${subset}`, /of service shop\/cart, subset v1 until/);
  const [gateway] = await turn({ a: [row(30, 31, { workload: 'elsewhere', address: '192.0.2.1:443' })] });
  assert.match(`${gateway}`, /^EndpointEjected Gateway\/uid-wp waypoint shop\/wp has ejected 192\.0\.2\.1:443 /);
  assert.equal((await turn({ a: [row(30, 31)] })).length, 2, 'one is ejected, the other has returned');
  uids.delete('shop/cart-1');
  assert.deepEqual(await turn({ a: [] }), []);
});
