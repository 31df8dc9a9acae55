import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import type { Policy } from '../model/types.ts';
import type { AccessRecord } from '../telemetry/access-record.ts';
import { EdgeCounters } from '../telemetry/edge-counters.ts';
import type { IncomingTunnel, TunnelCredentials } from '../tunnel/types.ts';
import { ConnectionTracker } from './connection-tracker.ts';
import type { ConnectTcp, ForwardContext } from './context.ts';
import { EdgeRecorder } from './edge-recorder.ts';
import { FakeStream } from './fake-stream.ts';
import { acceptTunnel } from './inbound-hbone.ts';
import { judgeOf } from './judge.ts';
import { Sweep } from './sweep.ts';
import { testAdmission } from './testing-admission.ts';
import { pod, policy, rule, update } from './testing-mesh.ts';

const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const cartId = 'spiffe://cluster.local/ns/shop/sa/cart';
const workloads = [
  pod('web', 'n1', ['10.0.1.2', 'fd00::1:2']),
  pod('other', 'n1', '10.0.1.3'),
  pod('cart', 'n2', ['10.0.2.3', 'fd00::2:3']),
  pod('cart-2', 'n2', '10.0.2.4', { serviceAccount: 'cart' }),
  pod('cart-elsewhere', 'n3', '10.0.3.3', { serviceAccount: 'cart' }),
  pod('stock', 'n2', '10.0.2.5'),
  pod('legacy', 'n2', '10.0.2.6', { serviceAccount: 'cart', tunnelProtocol: 'NONE' }),
];

/** A CONNECT as the tunnel server hands it on; `answer` is what the peer was told. */
class FakeTunnel implements IncomingTunnel {
  readonly peerIdentity = webId;
  readonly remoteAddress = '::ffff:10.80.0.11';
  readonly remotePort = 5555;
  readonly localAddress = '::ffff:10.0.2.3';
  readonly baggage = '';
  readonly traceparent = '';
  readonly authority: string;
  readonly forwarded: string;
  readonly stream = new FakeStream();
  onAbort: (() => void) | null = null;
  answer = 0;
  answerBaggage = '';

  constructor(authority: string, forwarded = '') {
    this.authority = authority;
    this.forwarded = forwarded;
  }

  accept(baggage: string): FakeStream {
    assert.equal(this.answer, 0, 'answered twice');
    this.answer = 200;
    this.answerBaggage = baggage;
    return this.stream;
  }

  reject(status: 400 | 401 | 503): void {
    assert.equal(this.answer, 0, 'answered twice');
    this.answer = status;
  }
}

function setUp(policies: readonly Policy[] = []) {
  const index = new MeshIndex();
  index.apply(update({ workloads, policies, complete: true }));
  const records: AccessRecord[] = [];
  const tracker = new ConnectionTracker({
    threadId: 0,
    admission: testAdmission(),
    judge: judgeOf(index),
    records: {
      wants: () => true,
      connection: (record) => records.push(record),
      writeOpening: () => {},
      logsOpenings: false,
    },
    edges: new EdgeRecorder(new EdgeCounters()),
  });
  const dials: { address: string; settle: Parameters<ConnectTcp>[1]; cancelled: boolean }[] = [];
  const connect: ConnectTcp = ({ host, port }, settle) => {
    const dial = { address: `${host} ${port}`, settle, cancelled: false };
    dials.push(dial);
    return () => {
      dial.cancelled = true;
    };
  };
  const context = {
    config: {
      nodeName: 'n2',
      ports: { outbound: 15001, inbound: 15006, hbone: 15008 },
      timeouts: { connectMs: 1000, idleMs: 1000, halfCloseMs: 1000 },
    },
    index,
    tracker,
    sweep: new Sweep({ tickMs: 1000 }),
    connect,
    nextId: () => '0-1',
  } as unknown as ForwardContext;
  const credentials = { identity: cartId } as TunnelCredentials;
  const open = (authority: string, forwarded?: string): FakeTunnel => {
    const tunnel = new FakeTunnel(authority, forwarded);
    acceptTunnel(context, credentials, tunnel);
    return tunnel;
  };
  return { open, dials, records, tracker };
}

const refusals: readonly (readonly [string, string, number])[] = [
  ['a pod of this node under another identity', '10.0.2.5:80', 400],
  ['a pod of the same identity on another node', '10.0.3.3:80', 400],
  ['a pod outside the mesh', '10.0.2.6:80', 400],
  ['an address that nobody has', '10.0.2.99:80', 400],
  ['an address outside', '192.0.2.1:80', 400],
  ['the node itself', '127.0.0.1:15000', 400],
  ['a host name', 'cart.shop.svc.cluster.local:80', 400],
  ['no port', '10.0.2.3', 400],
  ['port 0', '10.0.2.3:0', 400],
  ['nothing', '', 400],
  ['a port of the proxy', '10.0.2.3:15008', 503],
];
for (const [title, authority, status] of refusals) {
  test(`authority names ${title}: ${status}, nothing is dialled, one record`, () => {
    const { open, dials, records, tracker } = setUp();
    assert.equal(open(authority).answer, status);
    assert.deepEqual([dials.length, records.length, tracker.size], [0, 1, 0]);
  });
}

for (const [title, authority, dialled] of [
  ['the pod that the session was made to', '10.0.2.3:8080', '10.0.2.3 8080'],
  ['its other address', '[fd00::2:3]:8080', 'fd00::2:3 8080'],
  ['its address in IPv4-mapped form', '[::ffff:10.0.2.3]:8080', '10.0.2.3 8080'],
  ['another pod of this node under the same identity', '10.0.2.4:8080', '10.0.2.4 8080'],
] as const) {
  test(`authority names ${title}: 200 once the pod is connected, with its baggage`, () => {
    const { open, dials } = setUp();
    const tunnel = open(authority);
    assert.equal(tunnel.answer, 0);
    assert.equal(dials[0]?.address, dialled);
    dials[0]?.settle(null, new FakeStream() as unknown as TcpStream);
    assert.equal(tunnel.answer, 200);
    assert.match(tunnel.answerBaggage, /k8s\.namespace\.name=shop/);
  });
}

test('the pod cannot be connected: 503', () => {
  const { open, dials, records } = setUp();
  const tunnel = open('10.0.2.3:8080');
  dials[0]?.settle(new MeshError('CONNECT_FAILED', { address: 'x', reason: 'refused' }), null);
  assert.equal(tunnel.answer, 503);
  assert.equal(records[0]?.flag, 'CONNECT');
});

test('refused by policy: 401, and nothing is dialled', () => {
  const { open, dials, records } = setUp([policy('nobody', { action: 'allow', rules: [] })]);
  assert.equal(open('10.0.2.3:8080').answer, 401);
  assert.equal(dials.length, 0);
  assert.equal(records[0]?.flag, 'DENY');
});

test('a policy that comes while the pod is being connected: 401, and the connect is given up', () => {
  const { open, dials, tracker } = setUp([policy('nobody', { action: 'deny', rules: [] })]);
  const tunnel = open('10.0.2.3:8080');
  tracker.workloadChanged('Kubernetes//Pod/shop/cart', {
    ...pod('cart', 'n2', ['10.0.2.3', 'fd00::2:3']),
    policies: ['shop/not-known'],
  });
  assert.deepEqual([tunnel.answer, dials[0]?.cancelled], [401, true]);
});

test('the peer gives up while the pod is being connected: so do we', () => {
  const { open, dials, records } = setUp();
  const tunnel = open('10.0.2.3:8080');
  tunnel.onAbort?.();
  assert.equal(dials[0]?.cancelled, true);
  assert.deepEqual([records[0]?.flag, tunnel.answer], ['RESET_BY_SOURCE', 0]);
});

const fromClaimed = policy('from', { action: 'allow', rules: [rule({ sourceIps: ['10.0.1.2/32', 'fd00::1:2/128'] })] });
for (const [title, forwarded, source, workload] of [
  ['a workload of the very identity', 'for="10.0.1.2:4444"', '10.0.1.2:4444', 'web'],
  ['its IPv6 address', 'for="[fd00::1:2]:4444";host=cart', '[fd00::1:2]:4444', 'web'],
  ['a workload of another identity', 'for="10.0.1.3:4444"', '10.80.0.11:5555', null],
  ['nobody that is known', 'for="10.9.9.9:4444"', '10.80.0.11:5555', null],
  ['nothing readable', 'for=unknown', '10.80.0.11:5555', null],
] as const) {
  test(`forwarded claims ${title}: policy and log see ${source}`, () => {
    const { open, records, dials } = setUp([fromClaimed]);
    const tunnel = open('10.0.2.3:8080', forwarded);
    assert.equal(dials.length, workload === null ? 0 : 1);
    if (workload !== null) dials[0]?.settle(new MeshError('CONNECT_FAILED'), null);
    assert.equal(tunnel.answer, workload === null ? 401 : 503);
    assert.deepEqual([records[0]?.source.address, records[0]?.source.workload], [source, workload]);
    assert.equal(records[0]?.source.identity, webId);
  });
}
