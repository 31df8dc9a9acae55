import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import type { TracingConfig } from '../config/tracing.ts';
import { serviceOf, workloadOf } from '../model/testing-mesh.ts';
import { originOf } from '../telemetry/traces/origin.ts';
import { plainReceiver, type ReceivedSpan, TestReceiver } from '../telemetry/traces/testing-receiver.ts';
import { Tracer } from '../telemetry/traces/tracer.ts';
import { parseTraceparent } from '../tunnel/traceparent.ts';
import { Connection, type Direction } from './connection.ts';
import { ConnectionTraces } from './connection-traces.ts';

async function tracesOf(t: TestContext, live: Partial<TracingConfig> = {}) {
  const receiver = new TestReceiver();
  const endpoint = await receiver.listen();
  t.after(() => receiver.close());
  const sampled = { ...plainReceiver, samplingPercent: 100, namespaces: {}, connections: true, queuedSpansMax: 100 };
  const workload = { type: 'daemonset', name: 'ambient-node' } as const;
  const origin = originOf({ service: 'ambient-node', namespace: '', pod: '', node: 'n1', cluster: 'c', workload });
  const config = { ...sampled, ...live, endpoint };
  const tracer = new Tracer({ config, origin, clock: systemClock, random: Math.random, notice: () => {} });
  const spans = async (): Promise<readonly ReceivedSpan[]> => {
    await tracer.close(20_000);
    return receiver.spans;
  };
  return { traces: new ConnectionTraces(tracer), tracer, spans };
}

function connectionOf(direction: Direction): Connection {
  const web = { address: '10.244.1.2', port: 40_000, workload: workloadOf('shop/web'), identity: 'spiffe://x/web' };
  const cart = { address: '10.244.2.3', port: 8080, workload: workloadOf('shop/cart'), identity: null };
  const connection = new Connection('1', direction, web, cart);
  connection.service = serviceOf('shop/cart');
  connection.connectMs = 1.5;
  return connection;
}

test('both ends of a tunnel are spans of one trace, with the segments of each', async (t) => {
  const { traces, spans } = await tracesOf(t);
  const [source, destination] = [connectionOf('outbound'), connectionOf('inbound')];
  const traceparent = traces.traceparentOf(source);
  assert.equal(traces.traceparentOf(source), traceparent, 'another try is of the same trace');
  traces.adopt(destination, traceparent);
  const error = new MeshError('POLICY_DENIED', { policy: 'shop/deny' });
  destination.decidedBy = 'shop/deny';
  traces.finished(destination, error, 'DENY');
  traces.finished(source, null, '-');
  const [inbound, outbound] = await spans();
  assert.deepEqual([outbound!.kind, outbound!.parentId, outbound!.isError], ['client', '', false]);
  assert.deepEqual(
    [inbound!.kind, inbound!.traceId, inbound!.parentId],
    ['server', outbound!.traceId, outbound!.spanId],
  );
  assert.equal(traceparent, `00-${outbound!.traceId}-${outbound!.spanId}-01`);
  assert.equal(source.record(null, '-').traceId, outbound!.traceId);
  const { attributes } = outbound!;
  assert.equal(attributes['ambient.segment.connect_us'], 1_500);
  assert.equal(attributes['ambient.destination.service'], 'cart.shop.svc.cluster.local');
  assert.equal(attributes['network.peer.address'], '10.244.2.3');
  const refused = inbound!.attributes;
  assert.deepEqual([refused['ambient.flag'], refused['ambient.policy']], ['DENY', 'shop/deny']);
  assert.deepEqual([inbound!.isError, refused['error.type']], [true, 'POLICY_DENIED']);
});

test('what is not sampled, and what nobody asked for, leaves nothing', async (t) => {
  const never = await tracesOf(t, { namespaces: { shop: 0 } });
  const connection = connectionOf('outbound');
  assert.equal(parseTraceparent(never.traces.traceparentOf(connection))!.sampled, false);
  const peer = connectionOf('inbound');
  never.traces.adopt(peer, never.traces.traceparentOf(connection));
  for (const each of [connection, peer]) never.traces.finished(each, null, '-');
  assert.deepEqual([await never.spans(), connection.record(null, '-').traceId], [[], undefined]);
  const off = await tracesOf(t, { connections: false });
  const plain = connectionOf('inbound');
  off.traces.adopt(plain, `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
  off.traces.finished(plain, null, '-');
  assert.deepEqual(await off.spans(), []);
});

test('a connection without a tunnel is decided upon at its end', async (t) => {
  const { traces, spans } = await tracesOf(t, { samplingPercent: 0, namespaces: { shop: 100 } });
  traces.finished(connectionOf('inbound'), null, '-');
  const [span, ...others] = await spans();
  assert.deepEqual([span!.name, span!.parentId, others], ['inbound connection', '', []]);
});
